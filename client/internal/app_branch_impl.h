// Branches that the application holds: what is run on their sessions, and when. The rules of
// docs/protocols.md 5 that bind the application are kept here: a branch that may be prepared is
// never ended before the outcome is known.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "assent/v1/common.pb.h"
#include "client/app_session.h"
#include "client/internal/agent_impl.h"
#include "client/internal/sessions.h"
#include "client/internal/work_failure.h"
#include "client/options.h"
#include "client/outcome.h"

namespace assent::client::internal {

class TransactionImpl;

// Not thread-safe: used by one thread at a time, as the session is.
class AppBranchImpl {
 public:
  enum class State : uint8_t {
    kWorking,   // PREPARE was not sent: the work may be given up at will.
    kPrepared,  // As far as the session can tell.
    kUnclear,   // PREPARE was sent and failed: it may have had its effect.
    kOver,      // The session is free of it, as far as we could see to it.
  };

  struct Identity {
    std::string gid;
    std::string resource;
    std::string kind;
    v1::BranchStatements statements;
  };

  AppBranchImpl(Identity identity, AppSession session, Finisher finisher)
      : identity_(std::move(identity)), session_(std::move(session)), finisher_(finisher) {}

  const std::string& gid() const { return identity_.gid; }
  const std::string& resource() const { return identity_.resource; }
  const std::string& kind() const { return identity_.kind; }
  const AppSession& session() const { return session_; }
  Finisher finisher() const { return finisher_; }
  State state() const { return state_; }
  // Why it can't be committed, if it can't.
  const std::optional<WorkFailure>& failure() const { return failure_; }

  SessionStep BeginStep() const { return Step(identity_.statements.begin()); }
  SessionStep PrepareStep() const { return Step(identity_.statements.prepare()); }
  SessionStep AbandonStep() const { return Step(identity_.statements.abandon()); }
  SessionStep CommitStep() const { return {session_, {identity_.statements.commit()}}; }
  SessionStep RollbackStep() const { return {session_, {identity_.statements.rollback()}}; }

  void BeginEnded(const SessionEnd& end);
  void PrepareEnded(const SessionEnd& end);
  // The agent saw it prepared, or did not.
  void VotedYes();
  void VotedNo(WorkFailure failure) { failure_ = std::move(failure); }
  void Over() { state_ = State::kOver; }

 private:
  template <typename Statements>
  SessionStep Step(const Statements& statements) const {
    return {session_, {statements.begin(), statements.end()}};
  }
  WorkFailure Failed(const char* verb, const Status& status) const;

  const Identity identity_;
  const AppSession session_;
  const Finisher finisher_;
  State state_ = State::kWorking;
  std::optional<WorkFailure> failure_;
};

using AppBranches = std::vector<std::shared_ptr<AppBranchImpl>>;  // Shared with their handles.

// Why not all of them can be committed, if so.
std::optional<WorkFailure> FirstFailure(const AppBranches& branches);

// Begins those sessions at the same time. The first failure.
std::optional<WorkFailure> BeginAll(const AppBranches& branches);

// Prepares those that are at work, at the same time. The first failure, also an earlier one's.
std::optional<WorkFailure> PrepareAll(const AppBranches& branches);

// Gives up the work of those that are at work. False: there was none.
bool AbandonAll(const AppBranches& branches);

// Ends them as the outcome says. Nothing is done for kUnknown and kExpired.
struct FinishEnd {
  std::vector<std::string> committed;  // The gids that we committed, to be reported.
  Status failed;                       // The first of those that are left to the agent, or OK.
};
FinishEnd FinishAll(const AppBranches& branches, Outcome outcome);

void ToProto(const AppSession& session, Finisher finisher, v1::AppHeld* out);

struct BranchToEnlist {
  std::shared_ptr<AgentImpl> agent;  // Shared with the Agent.
  std::string resource;
  AppSession session;
  EnlistOptions options;
};

WorkResult<std::shared_ptr<AppBranchImpl>> EnlistBranch(TransactionImpl& transaction,
                                                        const BranchToEnlist& wanted);

WorkStatus VoteOn(TransactionImpl& transaction, AppBranchImpl& branch, AgentImpl& agent);

}  // namespace assent::client::internal
