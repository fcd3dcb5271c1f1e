// On which servers of the MySQL family a test binary runs: those of the one file that is linked
// into it, mariadb_under_test.cc or mysql_under_test.cc. So the same tests run on both, and no test
// of MariaDB needs a MySQL.
#pragma once

#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "base/status.h"
#include "tests/support/mysqld.h"

namespace assent::test_support {

struct ServerUnderTest {
  std::string name;  // Within names of tests: letters, digits and underscores.
  bool is_mariadb = false;
  bool log_bin = false;  // With the binary log: another code path of XA in the server.
  // A prepared branch stays tied to its session, and only that one can finish it while it lives.
  bool attaches = false;
  // Not to be had everywhere: tests skip themselves then.
  bool is_optional = false;
  // One more of them. `settings` as of MariadbOptions.
  Result<std::unique_ptr<Mysqld>> (*create)(const ServerUnderTest& self,
                                            const std::map<std::string, std::string>& settings);

  Result<std::unique_ptr<Mysqld>> Create(
      const std::map<std::string, std::string>& settings = {}) const {
    return create(*this, settings);
  }
  // Whether Create() failed with `status` since there is no such server here.
  bool IsAbsent(const Status& status) const {
    return is_optional && status.code() == Code::kNotFound;
  }
};

// For messages of GoogleTest.
inline void PrintTo(const ServerUnderTest& server, std::ostream* out) { *out << server.name; }

// The first is the one that most people run.
const std::vector<ServerUnderTest>& ServersUnderTest();

}  // namespace assent::test_support
