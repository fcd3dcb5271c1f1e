#include "tests/support/mysqld.h"

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

Mysqld::Mysqld(std::string product, Argv program, Settings settings)
    : product_(std::move(product)),
      program_(std::move(program)),
      settings_(std::move(settings)),
      port_(PickFreePort()) {}

Status Mysqld::MakeData(const Argv& tool) {
  for (const char* name : {"my", "tmp"}) {
    if (Status made = dir_.MakeDirForUnprivileged(name); !made.ok()) return made;
  }
  return RunToEnd(tool, {}, ToolOptions(), dir_.File("install.log"), kStartTimeout);
}

Status Mysqld::StartFirst(const std::vector<std::string>& statements) {
  if (Status started = Start(); !started.ok()) return started;
  for (const std::string& sql : statements) {
    if (Status done = Execute(sql, "mysql"); !done.ok()) return done;
  }
  return Execute(std::string("CREATE DATABASE ") + kDatabase, "mysql");
}

bool Mysqld::Running() { return process_ && process_->Running(); }

Status Mysqld::Start() {
  if (Running()) return Ok();
  // The socket's directory must be writable for the server's user.
  if (Status given = GiveToUnprivileged(dir_.path()); !given.ok()) return given;
  Settings settings = {
      {"datadir", DataDir()},
      // A starting server removes every temporary table it finds there, also those of others.
      {"tmpdir", TmpDir()},
      {"socket", socket()},
      {"pid-file", dir_.File("my.pid")},
      {"bind-address", "127.0.0.1"},
      {"port", std::to_string(port_)},
      {"skip-name-resolve", "1"},
      {"character-set-server", "utf8mb4"},
      {"max-connections", "300"},
      {"innodb-flush-log-at-trx-commit", "1"},
      {"innodb-buffer-pool-size", "32M"},
      {"innodb-buffer-pool-dump-at-shutdown", "0"},
      {"innodb-buffer-pool-load-at-startup", "0"},
      {"key-buffer-size", "1M"},
  };
  for (const auto& [name, value] : settings_) settings[name] = value;
  Argv argv = program_;
  for (const auto& [name, value] : settings) argv.push_back("--" + name + "=" + value);
  SpawnOptions spawn = ToolOptions();
  spawn.stdout_file = spawn.stderr_file = log_file();
  auto process = Process::Spawn(argv, {}, spawn);
  if (!process.ok()) return process.status();
  process_ = std::move(*process);
  return WaitReady();
}

Status Mysqld::WaitReady() {
  Status last = Unavailable("not asked yet");
  bool ready = WaitUntil(kStartTimeout, [&] {
    if (!process_->Running()) return true;
    last = Run("SELECT 1", "mysql").status();
    return last.ok();
  });
  if (!process_->Running()) {
    return Unavailable(product_ +
                       " ended at start: " + process_->Wait(milliseconds(0))->ToString() +
                       "; its log: " + Tail(log_file()));
  }
  if (!ready) {
    return Unavailable(product_ + " does not answer: " + last.ToString() +
                       "; its log: " + Tail(log_file()));
  }
  return Ok();
}

Status Mysqld::Stop() {
  if (!Running()) return Ok();
  process_->Signal(SIGTERM);
  std::optional<ExitStatus> status = process_->Wait(kStopTimeout);
  if (!status.has_value()) {
    Kill9();
    return DeadlineExceeded(product_ + " did not stop; its log: " + Tail(log_file()));
  }
  if (!status->ok()) {
    return Internal(product_ + " stopped with " + status->ToString() +
                    "; its log: " + Tail(log_file()));
  }
  return Ok();
}

void Mysqld::Kill9() {
  if (process_) process_->Kill9();
}

Status Mysqld::Restart() {
  if (Status stopped = Stop(); !stopped.ok()) return stopped;
  return Start();
}

adapters::ConnectOptions Mysqld::ConnectOptions(const std::string& cluster,
                                                const std::string& resource) const {
  adapters::ConnectOptions options;
  options.cluster = cluster;
  options.resource = resource;
  options.host = "127.0.0.1";
  options.port = port_;
  options.database = kDatabase;
  options.user = kSuperuser;
  options.identity = identity_;
  return options;
}

adapters::ConnectOptions Mysqld::SocketConnectOptions(const std::string& cluster,
                                                      const std::string& resource) const {
  adapters::ConnectOptions options = ConnectOptions(cluster, resource);
  options.host = socket();
  return options;
}

std::string Mysqld::CommandLine() const {
  return "mariadb --no-defaults -h 127.0.0.1 -P " + std::to_string(port_) + " -u " + kSuperuser +
         " " + kDatabase;
}

Status Mysqld::Execute(const std::string& sql, const std::string& database) const {
  return Run(sql, database).status();
}

Result<Rows> Mysqld::Query(const std::string& sql, const std::string& database) const {
  return Run(sql, database);
}

Result<Rows> Mysqld::Run(const std::string& sql, const std::string& database) const {
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
