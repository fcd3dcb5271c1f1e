#include "tests/support/mariadb_server.h"
#include "tests/support/servers_under_test.h"

namespace assent::test_support {
namespace {

Result<std::unique_ptr<Mysqld>> Create(const ServerUnderTest& self,
                                       const std::map<std::string, std::string>& settings) {
  auto made = MariadbServer::Create({.log_bin = self.log_bin, .settings = settings});
  if (!made.ok()) return made.status();
  return std::unique_ptr<Mysqld>(std::move(*made));
}

}  // namespace

const std::vector<ServerUnderTest>& ServersUnderTest() {
  static const std::vector<ServerUnderTest> servers = {
      {.name = "mariadb", .is_mariadb = true, .attaches = true, .create = Create},
      {.name = "mariadb_binlog",
       .is_mariadb = true,
       .log_bin = true,
       .attaches = true,
       .create = Create},
  };
  return servers;
}

}  // namespace assent::test_support
