#include "tests/support/mysql_server.h"
#include "tests/support/servers_under_test.h"

namespace assent::test_support {
namespace {

Result<std::unique_ptr<Mysqld>> Create(const ServerUnderTest& self,
                                       const std::map<std::string, std::string>& settings) {
  MysqlOptions options{.log_bin = self.log_bin, .detach_on_prepare = !self.attaches};
  // The one that is as most are has it; without it the others start in half the time.
  if (self.attaches || !self.log_bin) options.settings["performance-schema"] = "OFF";
  for (const auto& [name, value] : settings) options.settings[name] = value;
  auto made = MysqlServer::Create(options);
  if (!made.ok()) return made.status();
  return std::unique_ptr<Mysqld>(std::move(*made));
}

}  // namespace

const std::vector<ServerUnderTest>& ServersUnderTest() {
  static const std::vector<ServerUnderTest> servers = {
      {.name = "mysql", .log_bin = true, .is_optional = true, .create = Create},
      {.name = "mysql_attached",
       .log_bin = true,
       .attaches = true,
       .is_optional = true,
       .create = Create},
      {.name = "mysql_no_binlog", .is_optional = true, .create = Create},
  };
  return servers;
}

}  // namespace assent::test_support
