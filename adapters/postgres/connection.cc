#include "adapters/postgres/connection.h"

#include <cstdlib>
#include <string_view>

#include "adapters/postgres/classify.h"

namespace assent::adapters::postgres {
namespace {

using std::chrono::milliseconds;

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

}  // namespace

std::string Failure::Text() const { return code.empty() ? message : message + " (" + code + ")"; }

// Notices would go to standard error otherwise. One of them is news: with trace_notify the server
// tells of each NOTIFY, also inside functions and triggers, which nothing else shows before COMMIT.
class Connection::Notices final : public pqxx::errorhandler {
 public:
  explicit Notices(pqxx::connection& connection) : pqxx::errorhandler(connection) {}

  bool operator()(const char message[]) noexcept override {
    if (std::string_view(message).find("Async_Notify(") != std::string_view::npos) seen = true;
    return false;
  }

  bool seen = false;
};

std::string ConnectionText(const ConnectOptions& options, Purpose purpose) {
  bool work = purpose == Purpose::kWork;
  // Server settings for the whole session. RESET ALL between branches returns to these.
  std::string settings = "-c bytea_output=hex -c extra_float_digits=1 -c DateStyle=ISO";
  milliseconds limit = work ? options.statement_timeout : options.finish_timeout;
  settings += " -c statement_timeout=" + std::to_string(limit.count());
  if (work) {
    settings += " -c trace_notify=on -c client_min_messages=debug1";  // See Notices.
  } else {
    settings += " -c client_min_messages=error";
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
  if (!work) text += " tcp_user_timeout=" + std::to_string(options.finish_timeout.count());
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
  } catch (const pqxx::sql_error& error) {
    failure = {.code = error.sqlstate(), .message = WithoutLineEnds(error.what())};
    failure.lost = EndsSession(failure.code) || !connection_->is_open();
  } catch (const std::exception& error) {
    // broken_connection; and whatever else libpqxx throws leaves a session that nobody knows.
    failure = {.message = WithoutLineEnds(error.what()), .lost = true};
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

Outcome<ServerFacts> Connection::Facts() {
  Outcome<pqxx::result> answer =
      Run("SELECT current_setting('server_version_num')::int, pg_is_in_recovery(),"
          " (SELECT system_identifier FROM pg_control_system()),"
          " (SELECT oid FROM pg_database WHERE datname = current_database())");
  if (auto* failure = std::get_if<Failure>(&answer)) return *failure;
  const pqxx::row row = std::get<pqxx::result>(answer).front();
  return ServerFacts{.version = std::atoi(row[0].c_str()),
                     .in_recovery = std::string_view(row[1].c_str()) == "t",
                     .identity = {.system = row[2].c_str(), .database = row[3].c_str()}};
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

bool Connection::notified() const { return notices_ != nullptr && notices_->seen; }
void Connection::ForgetNotify() {
  if (notices_ != nullptr) notices_->seen = false;
}

}  // namespace assent::adapters::postgres
