#include "client/internal/app_branch_impl.h"

#include <algorithm>

#include "base/mutant.h"
#include "client/internal/results.h"
#include "client/internal/transaction_impl.h"

namespace assent::client::internal {
namespace {

using State = AppBranchImpl::State;

AppBranches Those(const AppBranches& branches, State state) {
  AppBranches those;
  for (const auto& branch : branches) {
    if (branch->state() == state) those.push_back(branch);
  }
  return those;
}

// Runs one step of each at the same time.
template <typename MakeStep>
std::vector<SessionEnd> RunEach(const AppBranches& branches, MakeStep make_step) {
  std::vector<SessionStep> steps;
  steps.reserve(branches.size());
  for (const auto& branch : branches) steps.push_back(make_step(*branch));
  return RunAtOnce(steps);
}

}  // namespace

WorkFailure AppBranchImpl::Failed(const char* verb, const Status& status) const {
  WorkFailure failure = Doomed(AbortCause::kBranchVotedNo,
                               Aborted(std::string(verb) + " of app-held branch " + gid() +
                                       " on its own session: " + status.message()));
  failure.error.resource = resource();
  return failure;
}

void AppBranchImpl::BeginEnded(const SessionEnd& end) {
  if (!end.status.ok()) failure_ = Failed("Begin", end.status);
}

void AppBranchImpl::PrepareEnded(const SessionEnd& end) {
  if (end.status.ok()) {
    state_ = State::kPrepared;
    return;
  }
  failure_ = Failed("PREPARE", end.status);
  const bool sent = end.failed + 1 == static_cast<size_t>(identity_.statements.prepare_size());
  // The last statement is the one that prepares. If it was sent, the branch may be prepared, and
  // the agent may see it and vote yes: then only the outcome may end it.
  state_ = sent ? State::kUnclear : State::kOver;
  // PostgreSQL's ROLLBACK never touches what is prepared, and frees the session from what is not.
  if (!sent || kind() == "postgresql" || MutantOn(Mutant::kAppEndsUnheard))
    RunRegardless(AbandonStep());
}

void AppBranchImpl::VotedYes() {
  state_ = State::kPrepared;
  failure_.reset();
}

std::optional<WorkFailure> FirstFailure(const AppBranches& branches) {
  for (const auto& branch : branches) {
    if (branch->failure()) return branch->failure();
  }
  return std::nullopt;
}

std::optional<WorkFailure> BeginAll(const AppBranches& branches) {
  std::vector<SessionEnd> ends =
      RunEach(branches, [](const AppBranchImpl& branch) { return branch.BeginStep(); });
  for (size_t i = 0; i < branches.size(); ++i) branches[i]->BeginEnded(ends[i]);
  return FirstFailure(branches);
}

std::optional<WorkFailure> PrepareAll(const AppBranches& branches) {
  if (auto failure = FirstFailure(branches)) return failure;
  const AppBranches working = Those(branches, State::kWorking);
  std::vector<SessionEnd> ends =
      RunEach(working, [](const AppBranchImpl& branch) { return branch.PrepareStep(); });
  for (size_t i = 0; i < working.size(); ++i) working[i]->PrepareEnded(ends[i]);
  if (MutantOn(Mutant::kAppIgnoresFailedPrepare)) return std::nullopt;
  return FirstFailure(working);
}

bool AbandonAll(const AppBranches& branches) {
  const AppBranches working = Those(branches, State::kWorking);
  for (const auto& branch : working) {
    RunRegardless(branch->AbandonStep());
    branch->Over();
  }
  return !working.empty();
}

FinishEnd FinishAll(const AppBranches& branches, Outcome outcome) {
  FinishEnd finish;
  if (outcome != Outcome::kCommitted && outcome != Outcome::kAborted) return finish;
  AppBranches own;
  for (const auto& branch : branches) {
    const State state = branch->state();
    const bool prepared = state == State::kPrepared || state == State::kUnclear;
    // After a failed PREPARE the session is still ours to clean, whoever finishes.
    if (prepared && (branch->finisher() == Finisher::kApp || state == State::kUnclear)) {
      own.push_back(branch);
    } else if (prepared) {
      branch->Over();
    }
  }
  const bool commit = outcome == Outcome::kCommitted;
  std::vector<SessionEnd> ends = RunEach(own, [commit](const AppBranchImpl& branch) {
    return commit ? branch.CommitStep() : branch.RollbackStep();
  });
  for (size_t i = 0; i < own.size(); ++i) {
    own[i]->Over();
    if (!ends[i].status.ok()) {
      if (finish.failed.ok()) {
        finish.failed = Status(ends[i].status.code(), "the session of branch " + own[i]->gid() +
                                                          " could not end it, so the agent will: " +
                                                          ends[i].status.message());
      }
    } else if (commit) {
      finish.committed.push_back(own[i]->gid());
    }
  }
  return finish;
}

void ToProto(const AppSession& session, Finisher finisher, v1::AppHeld* out) {
  if (session.connection_id() != 0) out->set_connection_id(std::to_string(session.connection_id()));
  out->set_finisher(finisher == Finisher::kApp ? v1::FINISHER_APP : v1::FINISHER_AGENT);
  out->set_age_ms(static_cast<uint32_t>(std::clamp<int64_t>(session.age().count(), 0, UINT32_MAX)));
}

WorkResult<std::shared_ptr<AppBranchImpl>> EnlistBranch(TransactionImpl& transaction,
                                                        const BranchToEnlist& wanted) {
  if (Status status = transaction.TakesWork(); !status.ok()) {
    return WorkError{
        .status = status, .resource = wanted.resource, .doomed = status.code() == Code::kAborted};
  }
  const Finisher finisher =
      wanted.options.finisher.value_or(transaction.joined() ? Finisher::kAgent : Finisher::kApp);
  v1::EnlistRequest request;
  request.set_gtrid(transaction.gtrid());
  request.set_resource(wanted.resource);
  request.set_open_id(transaction.NextOpenId());
  ToProto(wanted.session, finisher, request.mutable_app_held());
  request.set_role(wanted.options.role);
  request.set_again(wanted.options.again);
  const std::string doing =
      "Enlist of resource '" + wanted.resource + "' for " + transaction.gtrid();
  v1::EnlistReply reply;
  auto failure = wanted.agent->Work<v1::EnlistRequest, v1::EnlistReply>(
      doing, &AgentImpl::Stub::Enlist, request, &reply, transaction.deadline());
  if (!failure) {
    auto branch = std::make_shared<AppBranchImpl>(
        AppBranchImpl::Identity{reply.gid(), wanted.resource, reply.kind(), reply.statements()},
        wanted.session, finisher);
    transaction.Hold(branch, wanted.options.again);
    failure = BeginAll({branch});
    if (!failure) return branch;
  }
  failure->error.resource = wanted.resource;
  if (failure->error.doomed) transaction.Doom(failure->as, failure->error);
  return failure->error;
}

WorkStatus VoteOn(TransactionImpl& transaction, AppBranchImpl& branch, AgentImpl& agent) {
  if (branch.state() != State::kPrepared && branch.state() != State::kUnclear) {
    return WorkError{.status = FailedPrecondition("branch " + branch.gid() +
                                                  " is not prepared: call Prepare before Vote"),
                     .resource = branch.resource()};
  }
  v1::VoteRequest request;
  request.set_gid(branch.gid());
  ToProto(branch.session(), branch.finisher(), request.mutable_app_held());
  const std::string doing = "Vote on branch " + branch.gid();
  v1::VoteReply reply;
  auto failed = agent.Call<v1::VoteRequest, v1::VoteReply>(doing, &AgentImpl::Stub::Vote, request,
                                                           &reply, transaction.deadline());
  // It only looks, so that no failure of the call does any harm.
  if (failed) return WorkError{.status = failed->last.status, .resource = branch.resource()};
  if (auto refusal = ReadRefusal(reply.verdict(), doing)) {
    refusal->error.resource = branch.resource();
    branch.VotedNo(*refusal);
    return refusal->error;
  }
  if (reply.verdict().has_ticket()) {
    branch.VotedYes();
    transaction.KeepTicket(reply.verdict().ticket());
  }
  return Done{};
}

}  // namespace assent::client::internal
