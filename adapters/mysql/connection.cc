#include "adapters/mysql/connection.h"

#include <mysql_connection.h>

#include <cppconn/driver.h>
#include <cppconn/exception.h>
#include <cppconn/resultset.h>
#include <cppconn/resultset_metadata.h>
#include <cppconn/statement.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <utility>

namespace assent::adapters::mysql {
namespace {

using std::chrono::milliseconds;

// The library wants get_driver_instance() once before threads, and each thread announced.
sql::Driver& Driver() {
  static sql::Driver* const driver = get_driver_instance();
  struct ThreadGuard {
    ThreadGuard() { driver->threadInit(); }
    ~ThreadGuard() { driver->threadEnd(); }
  };
  thread_local ThreadGuard guard;
  return *driver;
}

int WholeSeconds(milliseconds time) {
  return static_cast<int>(std::max<int64_t>(1, (time.count() + 999) / 1000));
}

// "tcp://host:port", or "unix://path"; a directory means the socket of Debian's name in it.
std::string Address(const ConnectOptions& options) {
  if (options.host.starts_with('/')) {
    std::error_code ignored;
    bool directory = std::filesystem::is_directory(options.host, ignored);
    return "unix://" + options.host + (directory ? "/mysqld.sock" : "");
  }
  constexpr uint16_t kDefaultPort = 3306;
  bool ipv6 = options.host.find(':') != std::string::npos && !options.host.starts_with('[');
  std::string host = options.host.empty() ? "127.0.0.1" : options.host;
  if (ipv6) host = "[" + host + "]";
  return "tcp://" + host + ":" + std::to_string(options.port == 0 ? kDefaultPort : options.port);
}

sql::ConnectOptionsMap Properties(const ConnectOptions& options, Purpose purpose) {
  sql::ConnectOptionsMap map;
  auto text = [&map](const char* name, const std::string& value) {
    map[name] = sql::SQLString(value);
  };
  auto number = [&map](const char* name, int value) { map[name] = value; };
  auto flag = [&map](const char* name, bool value) { map[name] = value; };

  text("hostName", Address(options));
  text("userName", options.user);
  text("password", options.password);
  if (!options.database.empty()) text("schema", options.database);
  text("OPT_CHARSET_NAME", "utf8mb4");
  text("characterSetResults", "utf8mb4");
  // A silent new session would lose the branch of the old one.
  flag("OPT_RECONNECT", false);
  // For QueryEach. No text of a user's gets to a finish session.
  flag("CLIENT_MULTI_STATEMENTS", purpose == Purpose::kFinish);
  // LOAD DATA LOCAL would read files of this machine; the library allows it by default.
  number("OPT_LOCAL_INFILE", 0);
  // Count the rows that a statement matched, as PostgreSQL does, not those that it altered.
  flag("CLIENT_FOUND_ROWS", true);
  number("OPT_CONNECT_TIMEOUT", WholeSeconds(options.connect_timeout));
  // No transaction lives longer (TransactionService.Begin), and so no statement. A host that
  // vanished without a word must not hold a session for ever.
  constexpr milliseconds kTransactionMax = std::chrono::hours(1);
  milliseconds silence = kTransactionMax + options.finish_timeout;
  if (purpose == Purpose::kFinish) {
    silence = options.finish_timeout;
  } else if (options.statement_timeout > milliseconds(0)) {
    // The server ends statements at statement_timeout (see work_session.cc); one that answers
    // nothing so much later is not there any more.
    silence = options.statement_timeout + options.finish_timeout;
  }
  number("OPT_READ_TIMEOUT", WholeSeconds(silence));
  number("OPT_WRITE_TIMEOUT", WholeSeconds(silence));
  if (!options.tls_ca_file.empty()) {
    // sslEnforce and OPT_SSL_MODE fall back to clear text without an error; only these two together
    // fail when the server has no TLS, and they check the host name as well.
    text("sslCA", options.tls_ca_file);
    flag("sslVerify", true);
  }
  return map;
}

SqlError Thrown() {
  try {
    throw;
  } catch (const sql::SQLException& e) {
    return {.number = e.getErrorCode(), .state = e.getSQLState(), .message = e.what()};
  } catch (const std::exception& e) {
    return {.number = 0, .state = "", .message = e.what()};
  } catch (...) {
    return {.number = 0, .state = "", .message = "something that is no std::exception was thrown"};
  }
}

std::vector<Row> ReadRows(sql::Statement& statement) {
  std::vector<Row> rows;
  std::unique_ptr<sql::ResultSet> result(statement.getResultSet());
  const uint32_t columns = result->getMetaData()->getColumnCount();
  while (result->next()) {
    Row row;
    for (uint32_t i = 1; i <= columns; ++i) {
      // By length: XA RECOVER's data may hold NUL, though its column is declared as text.
      auto value = result->getString(i);
      row.push_back(result->isNull(i) ? std::nullopt
                                      : std::optional(std::string(value.c_str(), value.length())));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

WorkError OpenError(const SqlError& error, const std::string& where) {
  WorkError work = ToWorkError(error, "connecting to " + where);
  // There never was a connection to lose.
  if (work.cause == Cause::kConnectionLost || work.cause == Cause::kStatementFailed) {
    work.cause = Cause::kUnavailable;
  }
  work.session_lost = true;
  return work;
}

}  // namespace

Connection::Connection(std::unique_ptr<sql::Connection> connection)
    : connection_(std::move(connection)) {}

Connection::~Connection() {
  try {
    statements_.Clear();
    connection_.reset();
  } catch (...) {
    // A connection that can't even be closed is gone, which is what was wanted.
  }
}

std::variant<std::unique_ptr<Connection>, WorkError> Connection::Open(const ConnectOptions& options,
                                                                      Purpose purpose) {
  const std::string where = Address(options) + " as user \"" + options.user + "\"";
  std::unique_ptr<Connection> connection;
  try {
    sql::ConnectOptionsMap properties = Properties(options, purpose);
    connection.reset(
        new Connection(std::unique_ptr<sql::Connection>(Driver().connect(properties))));
  } catch (...) {
    return OpenError(Thrown(), where);
  }
  if (!options.tls_ca_file.empty()) {
    if (auto bad = connection->CheckTls(where)) return *std::move(bad);
  }
  if (auto error = connection->ReadFacts()) return OpenError(*error, where);
  return connection;
}

std::optional<WorkError> Connection::CheckTls(const std::string& where) {
  auto status = Query("SHOW SESSION STATUS LIKE 'Ssl_cipher'");
  if (auto* error = std::get_if<SqlError>(&status)) return OpenError(*error, where);
  auto& rows = std::get<std::vector<Row>>(status);
  if (rows.size() == 1 && rows[0].size() == 2 && !rows[0][1].value_or("").empty()) {
    return std::nullopt;
  }
  return WorkError{.cause = Cause::kConfiguration,
                   .detail = "connecting to " + where +
                             ": tls_ca_file is set but the connection is not encrypted; give the "
                             "server a certificate (ssl_cert, ssl_key)",
                   .session_lost = true};
}

std::optional<SqlError> Connection::ReadFacts() {
  auto variables = Query(
      "SHOW SESSION VARIABLES WHERE Variable_name IN ('version', 'server_uuid', "
      "'xa_detach_on_prepare', 'innodb_rollback_on_timeout')");
  if (auto* error = std::get_if<SqlError>(&variables)) return *error;
  for (const Row& row : std::get<std::vector<Row>>(variables)) {
    const std::string& name = *row[0];
    std::string value = row[1].value_or("");
    bool on = value == "ON" || value == "1";
    if (name == "version") {
      facts_.version = value;
      if (value.find("MariaDB") != std::string::npos) facts_.flavour = Flavour::kMariadb;
    } else if (name == "server_uuid") {
      facts_.server_uuid = value;
    } else if (name == "xa_detach_on_prepare") {
      facts_.detaches_on_prepare = on;
    } else if (name == "innodb_rollback_on_timeout") {
      facts_.rollback_on_timeout = on;
    }
  }
  const bool mariadb = facts_.flavour == Flavour::kMariadb;
  facts_.asked_at = std::chrono::steady_clock::now();
  auto id = Query(
      std::string("SELECT CONNECTION_ID(), CAST(UNIX_TIMESTAMP() - variable_value AS SIGNED), "
                  "variable_value FROM ") +
      (mariadb ? "information_schema" : "performance_schema") +
      ".global_status WHERE variable_name = 'UPTIME'");
  if (auto* error = std::get_if<SqlError>(&id)) return *error;
  const Row& row = std::get<std::vector<Row>>(id).at(0);
  facts_.connection_id = std::strtoull(row[0].value_or("0").c_str(), nullptr, 10);
  facts_.server_started = std::strtoll(row[1].value_or("0").c_str(), nullptr, 10);
  facts_.uptime = std::chrono::seconds(std::strtoll(row[2].value_or("0").c_str(), nullptr, 10));
  return std::nullopt;
}

std::optional<SqlError> Connection::Guarded(const std::function<void(sql::Connection&)>& work) {
  if (lost_) return SqlError{.number = 2006, .state = "HY000", .message = "the session is lost"};
  try {
    Driver();  // Announces this thread.
    work(*connection_);
    return std::nullopt;
  } catch (...) {
    SqlError error = Thrown();
    if (MeansConnectionLost(error)) lost_ = true;
    return error;
  }
}

std::optional<SqlError> Connection::Run(const std::string& sql) {
  auto result = Query(sql);
  if (auto* error = std::get_if<SqlError>(&result)) return *error;
  return std::nullopt;
}

std::variant<std::vector<Row>, SqlError> Connection::Query(const std::string& sql) {
  std::vector<Row> rows;
  auto error = Guarded([&](sql::Connection& connection) {
    std::unique_ptr<sql::Statement> statement(connection.createStatement());
    if (statement->execute(sql)) rows = ReadRows(*statement);
  });
  if (error) return std::move(*error);
  return rows;
}

std::vector<std::variant<std::vector<Row>, SqlError>> Connection::QueryEach(
    const std::vector<std::string>& queries) {
  std::string all;
  for (const std::string& query : queries) all += (all.empty() ? "" : "; ") + query;
  std::vector<std::variant<std::vector<Row>, SqlError>> answers;
  auto error = Guarded([&](sql::Connection& connection) {
    std::unique_ptr<sql::Statement> statement(connection.createStatement());
    for (bool more = statement->execute(all); more; more = statement->getMoreResults()) {
      answers.emplace_back(ReadRows(*statement));
    }
  });
  if (error) answers.emplace_back(*std::move(error));
  return answers;
}

}  // namespace assent::adapters::mysql
