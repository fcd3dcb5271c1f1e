// A private MariaDB for tests, quickstart and bench; see mysqld.h.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/status.h"
#include "tests/support/mysqld.h"

namespace assent::test_support {

struct MariadbOptions {
  bool log_bin = false;  // Binary log, with sync_binlog=1.
  // Options as on mariadbd's command line without the dashes; they win over ours. See also Set().
  std::map<std::string, std::string> settings;
};

class MariadbServer final : public Mysqld {
 public:
  // Makes the data directory, starts, and creates kDatabase. The configured identity is
  // "mariadb-test-<port>". The error carries the server's log.
  static Result<std::unique_ptr<MariadbServer>> Create(const MariadbOptions& options = {});

 private:
  explicit MariadbServer(Settings settings);
};

}  // namespace assent::test_support
