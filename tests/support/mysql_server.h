// A private Oracle MySQL 9 for tests; see mysqld.h. Debian 12 has none: it is the one that
// tests/support/fetch-mysql has unpacked, and never fetched from here.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/status.h"
#include "tests/support/mysqld.h"

namespace assent::test_support {

struct MysqlOptions {
  bool log_bin = true;            // Binary log, with sync_binlog=1: the defaults.
  bool detach_on_prepare = true;  // xa_detach_on_prepare: the default.
  // Options as on mysqld's command line without the dashes; they win over ours. See also Set().
  std::map<std::string, std::string> settings;
};

class MysqlServer final : public Mysqld {
 public:
  // Makes the data directory, starts, and creates kDatabase. NOT_FOUND: MySQL has not been fetched.
  // Other errors carry the server's log.
  static Result<std::unique_ptr<MysqlServer>> Create(const MysqlOptions& options = {});

 private:
  MysqlServer(const std::string& program, Settings settings);
};

}  // namespace assent::test_support
