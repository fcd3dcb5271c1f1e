#include "adapters/mysql/app_session.h"

#include <string>
#include <thread>
#include <utility>
#include <variant>

#include "adapters/mysql/detached.h"

namespace assent::adapters::mysql {
namespace {

constexpr int kErNoSuchThread = 1094;
constexpr int kErKillDenied = 1095;

FinishAnswer NotSent(Finish finish, std::string detail) {
  return {.finish = finish, .detail = std::move(detail), .no_effect = true};
}

FinishAnswer NotSent(const SqlError& error, const std::string& what) {
  return {.finish = Finish::kTransient,
          .code = CodeOf(error),
          .detail = what + ": " + error.message,
          .session_lost = MeansConnectionLost(error) || error.number == 0,
          .no_effect = true};
}

// Refused for want of a privilege. A connection keeps those that it began with, so that only
// another one can feel the GRANT.
FinishAnswer Denied(const std::string& remedy) {
  FinishAnswer answer = NotSent(Finish::kRefused, remedy);
  answer.session_lost = true;
  return answer;
}

// Whether it has left; an error if that can't be asked.
std::variant<bool, SqlError> WaitUntilGone(Connection& connection, uint64_t connection_id) {
  const auto deadline = std::chrono::steady_clock::now() + kLeaveMax;
  std::chrono::milliseconds pause{1};
  while (true) {
    auto listed = IsInProcessList(connection, connection_id);
    if (auto* error = std::get_if<SqlError>(&listed)) return std::move(*error);
    if (!std::get<bool>(listed)) return true;
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(pause);
    pause = std::min(2 * pause, std::chrono::milliseconds(50));
  }
}

}  // namespace

std::optional<FinishAnswer> CloseAppSession(const FinishTools& tools,
                                            const VoteEvidence& evidence) {
  Connection& connection = tools.connection;
  if (!evidence.server.empty()) {
    auto here = tools.identity.ReadEvidence(connection);
    if (!here.ok()) return NotSent(Finish::kTransient, here.status().ToString());
    if (*here != evidence.server) {
      return NotSent(Finish::kTransient,
                     "the branch was prepared on " + evidence.server + ", but this is " + *here);
    }
  }
  if (!evidence.preparer) {
    // Nobody has named a session of this start of the server.
    std::this_thread::sleep_for(kGrace);
    return std::nullopt;
  }
  if (IsOfEarlierStart(connection.facts(), *evidence.preparer)) return std::nullopt;

  auto missing = tools.rights->Missing(connection);
  if (auto* error = std::get_if<SqlError>(&missing)) return NotSent(*error, "reading privileges");
  const std::string remedy = RightsRemedy(std::get<std::string>(missing), tools.user);
  if (!std::get<std::string>(missing).empty()) return Denied(remedy);

  const uint64_t id = evidence.preparer->connection_id;
  const std::string kill = "KILL CONNECTION " + std::to_string(id);
  if (id == connection.facts().connection_id) {
    return NotSent(Finish::kRefused,
                   "the application named connection " + std::to_string(id) +
                       " as its own, but that is the agent's: find the session that holds the "
                       "branch and close it");
  }
  auto listed = IsInProcessList(connection, id);
  if (auto* error = std::get_if<SqlError>(&listed)) return NotSent(*error, "process list");
  if (std::get<bool>(listed)) {
    auto error = connection.Run(kill);
    if (error && error->number == kErKillDenied) {
      return Denied(kill + ": " + error->message +
                    ". If that is the session of a user with SYSTEM_USER (MySQL), the agent's user "
                    "needs it as well");
    }
    if (error && error->number != kErNoSuchThread) return NotSent(*error, kill);
    auto gone = WaitUntilGone(connection, id);
    if (auto* failure = std::get_if<SqlError>(&gone)) return NotSent(*failure, "process list");
    if (!std::get<bool>(gone)) {
      return NotSent(Finish::kTransient,
                     kill + " was sent, but the session has not left the process list yet");
    }
  }
  std::this_thread::sleep_for(kGrace);
  return std::nullopt;
}

}  // namespace assent::adapters::mysql
