#include "adapters/postgres/connection.h"

#include <cstdlib>
#include <string_view>
#include <type_traits>

#include "adapters/postgres/classify.h"

namespace assent::adapters::postgres {
namespace {

using std::chrono::milliseconds;

constexpr char kCanceled[] = "57014";

// A server that lives ends a statement by its own timeout; only then does the watchdog bite.
constexpr milliseconds kGrace{1'000};

std::string Quoted(std::string_view value) {
  std::string quoted = "'";
  for (char c : value) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

std::string WithoutLineEnds(std::string_view text) {
  std::string line;
  for (char c : text) line += c == '\n' || c == '\t' ? ' ' : c;
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

// The SQLSTATE. libpqxx 6 forgets it for some codes that have an exception type of their own, two
// of which are not even sql_error. Empty: none is known.
std::string CodeOf(const std::exception& error) {
  if (const auto* sql = dynamic_cast<const pqxx::sql_error*>(&error)) {
    if (!sql->sqlstate().empty()) return sql->sqlstate();
  }
  auto is = [&]<typename Type>(std::type_identity<Type>) {
    return dynamic_cast<const Type*>(&error) != nullptr;
  };
  if (is(std::type_identity<pqxx::serialization_failure>{})) return "40001";
  if (is(std::type_identity<pqxx::deadlock_detected>{})) return "40P01";
  if (is(std::type_identity<pqxx::statement_completion_unknown>{})) return "40003";
  if (is(std::type_identity<pqxx::transaction_rollback>{})) return "40000";
  if (is(std::type_identity<pqxx::insufficient_privilege>{})) return "42501";
  if (is(std::type_identity<pqxx::feature_not_supported>{})) return "0A000";
  if (is(std::type_identity<pqxx::undefined_column>{})) return "42703";
  if (is(std::type_identity<pqxx::undefined_function>{})) return "42883";
  if (is(std::type_identity<pqxx::undefined_table>{})) return "42P01";
  if (is(std::type_identity<pqxx::syntax_error>{})) return "42601";
  if (is(std::type_identity<pqxx::disk_full>{})) return "53100";
  if (is(std::type_identity<pqxx::out_of_memory>{})) return "53200";
  return "";
}

}  // namespace

std::string Failure::Text() const { return code.empty() ? message : message + " (" + code + ")"; }

// Notices would go to standard error otherwise. Two of them are news that nothing else tells:
//  - With trace_notify the server reports each NOTIFY, also inside functions and triggers.
//  - A time-out or cancel that comes during the wait for the synchronous standby leaves the verb
//    done, here alone. (Known by its English text; another lc_messages hides it.)
class Connection::Notices final : public pqxx::errorhandler {
 public:
  explicit Notices(pqxx::connection& connection) : pqxx::errorhandler(connection) {}

  bool operator()(const char message[]) noexcept override {
    std::string_view text(message);
    if (text.find("Async_Notify(") != text.npos) reports.notified = true;
    if (text.find("canceling wait for synchronous replication") != text.npos) {
      reports.unreplicated = true;
    }
    return false;
  }

  Reports reports;
};

std::string ConnectionText(const ConnectOptions& options, Purpose purpose) {
  bool work = purpose == Purpose::kWork;
  // Server settings for the whole session. RESET ALL between branches returns to these.
  std::string settings = "-c bytea_output=hex -c extra_float_digits=1 -c DateStyle=ISO";
  milliseconds limit = work ? options.statement_timeout : options.finish_timeout;
  settings += " -c statement_timeout=" + std::to_string(limit.count());
  if (work) {
    // Cursors here are read to their end (cursor.h): the plan that ends first, not the one that
    // begins first.
    settings += " -c cursor_tuple_fraction=1";
    settings += " -c trace_notify=on -c client_min_messages=debug1";  // See Notices.
  } else {
    settings += " -c client_min_messages=warning";  // See Notices.
    // What is prepared here once is never planned again: no plan of ours depends on its parameters.
    settings += " -c plan_cache_mode=force_generic_plan";
  }

  // libpq counts in seconds, and takes 1 for 2.
  auto seconds = std::chrono::ceil<std::chrono::seconds>(options.connect_timeout).count();
  std::string text =
      "host=" + Quoted(options.host) +
      " port=" + std::to_string(options.port == 0 ? 5432 : options.port) +
      " dbname=" + Quoted(options.database) + " user=" + Quoted(options.user) +
      " application_name=" +
      Quoted(std::string(work ? "assent work " : "assent finish ") + options.resource) +
      " client_encoding=UTF8 gssencmode=disable" + " connect_timeout=" + std::to_string(seconds) +
      " options=" + Quoted(settings);
  if (!options.password.empty()) text += " password=" + Quoted(options.password);
  if (options.tls_ca_file.empty()) {
    text += " sslmode=prefer";
  } else {
    text += " sslmode=verify-full sslrootcert=" + Quoted(options.tls_ca_file);
  }
  // A host that vanished without a word must not hold a session for ever, and statements of work
  // may have no limit. These wait only for the other host's kernel, never for a slow statement.
  text += " keepalives_idle=10 keepalives_interval=5 keepalives_count=4";
  text += " tcp_user_timeout=" + std::to_string(options.finish_timeout.count());
  return text;
}

Connection::Connection(milliseconds limit, std::shared_ptr<Watchdog> dog)
    : limit_(limit), dog_(std::move(dog)) {}

Connection::~Connection() { Drop(); }

std::variant<std::unique_ptr<Connection>, WorkError> Connection::Open(
    const ConnectOptions& options, Purpose purpose, std::shared_ptr<Watchdog> dog) {
  std::string where = "connect to PostgreSQL at " + options.host + ", database " +
                      options.database + ", as " + options.user + ": ";
  if (!options.tls_ca_file.empty() && options.host.starts_with('/')) {
    // libpq would ignore sslmode there, and the promise of TLS would be broken without a word.
    return WorkError{.cause = Cause::kConfiguration,
                     .detail = where + "TLS is asked for (CA file " + options.tls_ca_file +
                               "), but a unix socket has none: name the host, or no CA file",
                     .session_lost = true};
  }
  milliseconds limit =
      purpose == Purpose::kWork ? options.statement_timeout : options.finish_timeout;
  if (limit.count() > 0) limit += kGrace;
  std::unique_ptr<Connection> opened(new Connection(limit, std::move(dog)));
  try {
    opened->connection_ = std::make_unique<pqxx::connection>(ConnectionText(options, purpose));
    opened->notices_ = std::make_unique<Notices>(*opened->connection_);
// libpqxx 6 reconnects by itself otherwise, even in the middle of a transaction.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    opened->connection_->inhibit_reactivation(true);
#pragma GCC diagnostic pop
  } catch (const std::exception& error) {
    std::string message = WithoutLineEnds(error.what());
    return WorkError{
        .cause = CauseOfConnect(message), .detail = where + message, .session_lost = true};
  }
  return opened;
}

template <typename Call>
Outcome<pqxx::result> Connection::Guard(const Call& call) {
  if (lost_) return Failure{.message = "the connection was lost before", .lost = true};
  Failure failure;
  try {
    Watchdog::Watch watch(*dog_, connection_->sock(), limit_);
    pqxx::nontransaction transaction(*connection_);
    return call(transaction);
  } catch (const std::exception& error) {
    failure = {.code = CodeOf(error), .message = WithoutLineEnds(error.what())};
    // An exception without a code is broken_connection, or something that nobody foresaw: it leaves
    // a session of which nothing is known.
    failure.lost = failure.code.empty() || EndsSession(failure.code) || !connection_->is_open();
  }
  if (failure.code == kCanceled) {
    // The server sends two signals for one cancel, to the process and to its group: the second must
    // not hit what is run next. Cancel returns when both were sent.
    MutexLock lock(mutex_);
  }
  if (failure.lost) Drop();
  return failure;
}

Outcome<pqxx::result> Connection::Run(const std::string& sql) {
  return Guard([&](pqxx::nontransaction& transaction) { return transaction.exec(sql); });
}

Outcome<pqxx::result> Connection::RunOne(const std::string& sql,
                                         const std::vector<const char*>& parameters) {
  return Guard([&](pqxx::nontransaction& transaction) {
    return transaction.exec_params(
        sql, pqxx::prepare::make_dynamic_params(parameters.begin(), parameters.end()));
  });
}

std::string FactsColumns() {
  return "current_setting('server_version_num')::int, pg_is_in_recovery(),"
         " (SELECT system_identifier FROM pg_control_system()),"
         " (SELECT oid FROM pg_database WHERE datname = current_database()),"
         // The timeline that is written now: the first 8 hexadecimal digits of the file's name.
         " CASE WHEN pg_is_in_recovery() THEN '0'"
         " ELSE left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END";
}

ServerFacts FactsOf(const pqxx::row& row) {
  return {.version = std::atoi(row[0].c_str()),
          .in_recovery = std::string_view(row[1].c_str()) == "t",
          .identity = {.system = row[2].c_str(), .database = row[3].c_str()},
          .timeline = static_cast<uint32_t>(std::strtoul(row[4].c_str(), nullptr, 16))};
}

Outcome<ServerFacts> Connection::Facts() {
  Outcome<pqxx::result> answer = Run("SELECT " + FactsColumns());
  if (auto* failure = std::get_if<Failure>(&answer)) return *failure;
  return FactsOf(std::get<pqxx::result>(answer).front());
}

void Connection::Cancel() {
  MutexLock lock(mutex_);
  if (lost_) return;
  try {
    connection_->cancel_query();
  } catch (const std::exception&) {
    // Best effort: the statement's own limits remain.
  }
}

void Connection::Drop() {
  MutexLock lock(mutex_);
  lost_ = true;
  try {
    notices_.reset();
    connection_.reset();
  } catch (const std::exception&) {
    // Closing what is broken already.
  }
}

Connection::Reports Connection::reports() const {
  return notices_ == nullptr ? Reports{} : notices_->reports;
}
void Connection::ForgetReports() {
  if (notices_ != nullptr) notices_->reports = {};
}

}  // namespace assent::adapters::postgres
