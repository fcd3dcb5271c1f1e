#include "tests/support/mariadb_server.h"

#include <utility>

namespace assent::test_support {

MariadbServer::MariadbServer(Settings settings)
    : Mysqld("MariaDB", {"mariadbd", "--no-defaults"}, std::move(settings)) {
  identity_ = "mariadb-test-" + std::to_string(port());
}

Result<std::unique_ptr<MariadbServer>> MariadbServer::Create(const MariadbOptions& options) {
  Settings settings = {
      {"innodb-log-file-size", "16M"},
      {"performance-schema", "0"},
      {"aria-pagecache-buffer-size", "8M"},
  };
  if (options.log_bin) {
    settings["log-bin"] = "binlog";
    settings["server-id"] = "1";
    settings["sync-binlog"] = "1";
  }
  for (const auto& [name, value] : options.settings) settings[name] = value;
  std::unique_ptr<MariadbServer> server(new MariadbServer(std::move(settings)));
  Status made = server->MakeData(
      {"mariadb-install-db", "--no-defaults", "--datadir=" + server->DataDir(),
       "--tmpdir=" + server->TmpDir(), "--auth-root-authentication-method=normal", "--skip-test-db",
       "--skip-name-resolve", "--innodb-log-file-size=16M", "--innodb-buffer-pool-size=16M"});
  if (!made.ok()) return made;
  if (Status started = server->StartFirst(); !started.ok()) return started;
  return server;
}

}  // namespace assent::test_support
