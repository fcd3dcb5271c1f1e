#include "tests/support/mysql_server.h"
#include "tests/support/servers_under_test.h"

namespace assent::test_support {
namespace {

Result<std::unique_ptr<Mysqld>> Create(const ServerUnderTest& self,
                                       const std::map<std::string, std::string>& settings) {
  auto made = MysqlServer::Create(
      {.log_bin = self.log_bin, .detach_on_prepare = !self.attaches, .settings = settings});
  if (!made.ok()) return made.status();
  return std::unique_ptr<Mysqld>(std::move(*made));
}

}  // namespace

const std::vector<ServerUnderTest>& ServersUnderTest() {
  static const std::vector<ServerUnderTest> servers = {
      {.name = "mysql", .log_bin = true, .create = Create},
      {.name = "mysql_attached", .log_bin = true, .attaches = true, .create = Create},
      {.name = "mysql_no_binlog", .create = Create},
  };
  return servers;
}

}  // namespace assent::test_support
