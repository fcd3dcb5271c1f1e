// A session of the application's own driver, as libassent uses it in an app-held branch: it only
// ever runs plain statements on it, given as text.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "base/status.h"

namespace assent::client {

// Who ends a branch that the application prepared.
enum class Finisher : uint8_t {
  // The session that prepared it, as soon as the outcome is known here. If it fails, or this
  // process dies, the agent does so after the coordinator's finish_grace (2 s).
  kApp,
  // The agent. On a database that ties a prepared branch to its session (MariaDB; MySQL with
  // xa_detach_on_prepare off) it kills that connection: close it, and never give it back to a pool.
  kAgent,
};

namespace internal {

// Drivers throw, and libassent does not: what `call` throws or returns becomes a Status.
template <typename Call, typename... Arguments>
Status Caught(Call& call, const Arguments&... arguments) {
  using Answer = std::invoke_result_t<Call&, const Arguments&...>;
  static_assert(std::is_void_v<Answer> || std::is_same_v<Answer, Status>,
                "return nothing and throw on failure, or return a Status. (A bool is refused: "
                "Connector/C++'s execute answers false where all went well.)");
  try {
    if constexpr (std::is_void_v<Answer>) {
      call(arguments...);
      return Ok();
    } else {
      return call(arguments...);
    }
  } catch (const std::exception& error) {
    return {Code::kUnknown, error.what()};
  } catch (...) {
    return {Code::kUnknown, "the driver threw what is no std::exception"};
  }
}

}  // namespace internal

// A handle: copies share the callables. Make one for each connection, right after it was opened,
// and use it for one transaction after another. The connection must outlive the Transaction.
//
//   libpqxx          pqxx::nontransaction session(connection);
//                    AppSession(connection.backendpid(),
//                               [&](const std::string& sql) { session.exec(sql); })
//   Connector/C++    std::unique_ptr<sql::Statement> statement(connection->createStatement());
//                    AppSession(id, [&](const std::string& sql) { statement->execute(sql); })
//                    with the id that `SELECT CONNECTION_ID()` answered
//
// Work on the connection with your driver as ever; do not begin or end transactions on it.
class AppSession {
 public:
  // `connection_id`: pg_backend_pid() on PostgreSQL, CONNECTION_ID() on MySQL and MariaDB. Where a
  // prepared branch is tied to its session (see Finisher), it can't be finished by others without.
  // `execute(sql)` runs one plain statement (not a prepared one) and waits for its end: it throws
  // (std::exception) or returns a Status that is not OK exactly if the statement failed.
  template <std::invocable<const std::string&> Execute>
  AppSession(uint64_t connection_id, Execute execute)
      : calls_(std::make_shared<const Calls>(
            Calls{connection_id,
                  [execute = std::move(execute)](const std::string& sql) mutable {
                    return internal::Caught(execute, sql);
                  },
                  {},
                  {}})) {}

  // For drivers that can send without waiting (libpq: PQsendQuery, PQgetResult; the C API of MySQL:
  // mysql_send_query, mysql_read_query_result): steps on several sessions then run at the same time
  // without a thread. `wait()` is called once after each `start(sql)` that succeeded, by the same
  // thread, and answers as `execute` does.
  template <std::invocable<const std::string&> Start, std::invocable<> Wait>
  AppSession(uint64_t connection_id, Start start, Wait wait)
      : calls_(std::make_shared<const Calls>(
            Calls{connection_id,
                  {},
                  [start = std::move(start)](const std::string& sql) mutable {
                    return internal::Caught(start, sql);
                  },
                  [wait = std::move(wait)]() mutable { return internal::Caught(wait); }})) {}

  uint64_t connection_id() const { return calls_->connection_id; }
  // Since it was made here.
  std::chrono::milliseconds age() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 calls_->made);
  }

  bool can_start() const { return calls_->start != nullptr; }
  Status Start(const std::string& sql) const { return calls_->start(sql); }
  Status Wait() const { return calls_->wait(); }
  Status Execute(const std::string& sql) const {
    if (!can_start()) return calls_->execute(sql);
    Status started = Start(sql);
    return started.ok() ? Wait() : started;
  }

 private:
  struct Calls {
    uint64_t connection_id;
    std::function<Status(const std::string&)> execute;
    std::function<Status(const std::string&)> start;
    std::function<Status()> wait;
    std::chrono::steady_clock::time_point made = std::chrono::steady_clock::now();
  };
  std::shared_ptr<const Calls> calls_;  // Shared by copies.
};

}  // namespace assent::client
