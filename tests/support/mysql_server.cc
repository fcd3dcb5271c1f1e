#include "tests/support/mysql_server.h"

#include <chrono>
#include <utility>

#include "tests/support/paths.h"

namespace assent::test_support {
namespace {

// The folder that the script has made.
Result<std::string> FindServer() {
  const std::string script = tests::SourceDir() + "/tests/support/fetch-mysql";
  TempDir dir;
  auto found = Run({script, "--cached"}, {}, {}, dir.File("out"), std::chrono::seconds(30));
  if (!found.ok()) return found.status();
  std::string output = found->output.substr(0, found->output.find_last_not_of('\n') + 1);
  if (!found->status.ok()) return NotFound(std::move(output));
  return output;
}

}  // namespace

MysqlServer::MysqlServer(const std::string& program, Settings settings)
    : Mysqld("MySQL", {program}, std::move(settings)) {}

Result<std::unique_ptr<MysqlServer>> MysqlServer::Create(const MysqlOptions& options) {
  auto folder = FindServer();
  if (!folder.ok()) return folder.status();
  Settings settings = {
      {"innodb-redo-log-capacity", "16M"},
      {"mysqlx", "OFF"},
      {"sync-binlog", "1"},
      {"xa-detach-on-prepare", options.detach_on_prepare ? "ON" : "OFF"},
  };
  if (!options.log_bin) settings.emplace("disable-log-bin", "1");
  for (const auto& [name, value] : options.settings) settings[name] = value;
  std::unique_ptr<MysqlServer> server(new MysqlServer(*folder + "/mysqld", std::move(settings)));
  Status made = server->MakeData({"cp", "-r", *folder + "/data/.", server->DataDir()});
  if (!made.ok()) return made;
  // There is a root of localhost only, and without name resolution 127.0.0.1 is not that.
  Status started = server->StartFirst(
      {"CREATE USER root@'127.0.0.1'", "GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION"});
  if (!started.ok()) return started;
  return server;
}

}  // namespace assent::test_support
