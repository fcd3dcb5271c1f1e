#include "tests/support/mariadb_server.h"

#include <mysql_connection.h>
#include <mysql_driver.h>

#include <cppconn/exception.h>
#include <cppconn/resultset.h>
#include <cppconn/resultset_metadata.h>
#include <cppconn/statement.h>

#include <chrono>
#include <utility>

namespace assent::test_support {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kStartTimeout{60};  // Crash recovery on a busy machine.
constexpr seconds kStopTimeout{60};

SpawnOptions ToolOptions() {
  SpawnOptions options;
  options.unprivileged = true;
  options.inherit_environment = false;  // MYSQL_* variables must not reach it.
  options.working_dir = "/";
  return options;
}

sql::Driver* Driver() {
  static sql::Driver* const driver = get_driver_instance();  // Not safe to make twice at once.
  return driver;
}

}  // namespace

MariadbServer::MariadbServer(MariadbOptions options)
    : options_(std::move(options)), port_(PickFreePort()) {}

Result<std::unique_ptr<MariadbServer>> MariadbServer::Create(const MariadbOptions& options) {
  std::unique_ptr<MariadbServer> server(new MariadbServer(options));
  for (const char* name : {"my", "tmp"}) {
    if (Status made = server->dir_.MakeDirForUnprivileged(name); !made.ok()) return made;
  }
  Status init =
      RunToEnd({"mariadb-install-db", "--no-defaults", "--datadir=" + server->DataDir(),
                "--tmpdir=" + server->dir_.File("tmp"), "--auth-root-authentication-method=normal",
                "--skip-test-db", "--skip-name-resolve", "--innodb-log-file-size=16M",
                "--innodb-buffer-pool-size=16M"},
               {}, ToolOptions(), server->dir_.File("install.log"), kStartTimeout);
  if (!init.ok()) return init;
  if (Status started = server->Start(); !started.ok()) return started;
  Status created = server->Execute(std::string("CREATE DATABASE ") + kDatabase, "mysql");
  if (!created.ok()) return created;
  return server;
}

MariadbServer::~MariadbServer() = default;  // The process is killed, then the data removed.

bool MariadbServer::Running() { return process_ && process_->Running(); }

Status MariadbServer::Start() {
  if (Running()) return Ok();
  // The socket's directory must be writable for the server's user.
  if (Status given = GiveToUnprivileged(dir_.path()); !given.ok()) return given;
  std::map<std::string, std::string> settings = {
      {"datadir", DataDir()},
      // A starting server removes every temporary table it finds there, also those of others.
      {"tmpdir", dir_.File("tmp")},
      {"socket", socket()},
      {"pid-file", dir_.File("my.pid")},
      {"bind-address", "127.0.0.1"},
      {"port", std::to_string(port_)},
      {"skip-name-resolve", "1"},
      {"character-set-server", "utf8mb4"},
      {"max-connections", "300"},
      {"innodb-flush-log-at-trx-commit", "1"},
      {"innodb-log-file-size", "16M"},
      {"innodb-buffer-pool-size", "32M"},
      {"innodb-buffer-pool-dump-at-shutdown", "0"},
      {"innodb-buffer-pool-load-at-startup", "0"},
      {"performance-schema", "0"},
      {"aria-pagecache-buffer-size", "8M"},
      {"key-buffer-size", "1M"},
  };
  if (options_.log_bin) {
    settings["log-bin"] = "binlog";
    settings["server-id"] = "1";
    settings["sync-binlog"] = "1";
  }
  for (const auto& [name, value] : options_.settings) settings[name] = value;
  Argv argv = {"mariadbd", "--no-defaults"};
  for (const auto& [name, value] : settings) argv.push_back("--" + name + "=" + value);
  SpawnOptions spawn = ToolOptions();
  spawn.stdout_file = spawn.stderr_file = log_file();
  auto process = Process::Spawn(argv, {}, spawn);
  if (!process.ok()) return process.status();
  process_ = std::move(*process);
  return WaitReady();
}

Status MariadbServer::WaitReady() {
  Status last = Unavailable("not asked yet");
  bool ready = WaitUntil(kStartTimeout, [&] {
    if (!process_->Running()) return true;
    last = Run("SELECT 1", "mysql").status();
    return last.ok();
  });
  if (!process_->Running()) {
    return Unavailable("MariaDB ended at start: " + process_->Wait(milliseconds(0))->ToString() +
                       "; its log: " + Tail(log_file()));
  }
  if (!ready) {
    return Unavailable("MariaDB does not answer: " + last.ToString() +
                       "; its log: " + Tail(log_file()));
  }
  return Ok();
}

Status MariadbServer::Stop() {
  if (!Running()) return Ok();
  process_->Signal(SIGTERM);
  std::optional<ExitStatus> status = process_->Wait(kStopTimeout);
  if (!status.has_value()) {
    Kill9();
    return DeadlineExceeded("MariaDB did not stop; its log: " + Tail(log_file()));
  }
  if (!status->ok()) {
    return Internal("MariaDB stopped with " + status->ToString() +
                    "; its log: " + Tail(log_file()));
  }
  return Ok();
}

void MariadbServer::Kill9() {
  if (process_) process_->Kill9();
}

Status MariadbServer::Restart() {
  if (Status stopped = Stop(); !stopped.ok()) return stopped;
  return Start();
}

adapters::ConnectOptions MariadbServer::ConnectOptions(const std::string& cluster,
                                                       const std::string& resource) const {
  adapters::ConnectOptions options;
  options.cluster = cluster;
  options.resource = resource;
  options.host = "127.0.0.1";
  options.port = port_;
  options.database = kDatabase;
  options.user = kSuperuser;
  options.identity = "mariadb-test-" + std::to_string(port_);
  return options;
}

adapters::ConnectOptions MariadbServer::SocketConnectOptions(const std::string& cluster,
                                                             const std::string& resource) const {
  adapters::ConnectOptions options = ConnectOptions(cluster, resource);
  options.host = socket();
  return options;
}

std::string MariadbServer::CommandLine() const {
  return "mariadb --no-defaults -h 127.0.0.1 -P " + std::to_string(port_) + " -u " + kSuperuser +
         " " + kDatabase;
}

Status MariadbServer::Execute(const std::string& sql, const std::string& database) const {
  return Run(sql, database).status();
}

Result<Rows> MariadbServer::Query(const std::string& sql, const std::string& database) const {
  return Run(sql, database);
}

Result<Rows> MariadbServer::Run(const std::string& sql, const std::string& database) const {
  try {
    std::unique_ptr<sql::Connection> connection(
        Driver()->connect("unix://" + socket(), kSuperuser, ""));
    connection->setSchema(database);
    std::unique_ptr<sql::Statement> statement(connection->createStatement());
    Rows rows;
    if (!statement->execute(sql)) return rows;
    std::unique_ptr<sql::ResultSet> result(statement->getResultSet());
    uint32_t columns = result->getMetaData()->getColumnCount();
    while (result->next()) {
      std::vector<std::string> values;
      for (uint32_t i = 1; i <= columns; ++i) {
        values.push_back(result->isNull(i) ? "NULL" : std::string(result->getString(i)));
      }
      rows.push_back(std::move(values));
    }
    return rows;
  } catch (const sql::SQLException& error) {
    std::string text = std::to_string(error.getErrorCode()) + "/" + error.getSQLState() + ": " +
                       error.what() + " in: " + sql;
    // 2000 and up are the client's own: no connection, or a lost one.
    return error.getErrorCode() >= 2000 && error.getErrorCode() < 3000 ? Unavailable(text)
                                                                       : Aborted(text);
  }
}

}  // namespace assent::test_support
