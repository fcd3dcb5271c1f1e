// What the branch cores ask of their agent.
#include <utility>

#include "tests/simulation/system/sim_agent.h"

namespace assent::simulation {

void SimAgent::Deliver(const Gid& gid, const agent::BranchEvent& event) {
  auto it = life_->branches.find(gid);
  if (it == life_->branches.end()) return;
  const agent::Branch::Phase before = it->second.core.phase();
  const std::vector<agent::BranchAction> actions = it->second.core.Step(event);
  if (it->second.core.phase() != before) it->second.since = clock_.Now();
  for (const agent::BranchAction& action : actions) Perform(gid, it->second, action);
}

void SimAgent::Perform(const Gid& gid, Branch& branch, const agent::BranchAction& action) {
  std::visit([&](const auto& a) { Do(gid, branch, a); }, action);
}

void SimAgent::Do(const Gid& gid, Branch& branch, const agent::RunPrepare&) {
  const SimDatabase::Session session = branch.session.value_or(0);
  AtDatabase<agent::PrepareAnswered>(
      [this, session, gid] { return PrepareAtDatabase(session, gid); },
      [this, gid](std::optional<agent::PrepareAnswered> answer) {
        agent::PrepareAnswered lost{.session_lost = true};
        lost.refusal.cause = agent::Cause::kConnectionLost;
        Deliver(gid, answer.value_or(lost));
      });
}

agent::PrepareAnswered SimAgent::PrepareAtDatabase(SimDatabase::Session session, const Gid& gid) {
  const agent::PrepareAnswered answer = database_.Prepare(session, gid);
  if (answer.vote == agent::Vote::kYes) world_.on_prepared(place_);
  return answer;
}

void SimAgent::Do(const Gid& gid, Branch& branch, const agent::RollBackSession&) {
  const SimDatabase::Session session = branch.session.value_or(0);
  AtDatabase<bool>(
      [this, session] {
        database_.Close(session);
        return true;
      },
      [this, gid](std::optional<bool> answer) {
        Deliver(gid, agent::SessionRolledBack{.session_lost = !answer});
      });
}

void SimAgent::Do(const Gid&, Branch& branch, const agent::ReleaseSession&) {
  if (branch.session) database_.Close(*branch.session);
  branch.session.reset();
}

void SimAgent::Do(const Gid& gid, Branch&, const agent::SendVote& action) {
  if (action.vote == agent::Vote::kReadOnly) world_.checker.OnReadOnlyVote(gid);
  coordinator::AgentInput* out = Out();
  if (out == nullptr) return;
  if (action.vote == agent::Vote::kYes) world_.checker.OnYes(gid, life_->incarnation);
  out->votes.push_back({.gid = gid,
                        .vote = static_cast<coordinator::Vote>(action.vote),
                        .evidence = action.evidence,
                        .failure = {}});
}

coordinator::Ticket SimAgent::TicketOf(const Gid& gid, const agent::AnswerVote& vote) const {
  return {.gid = gid,
          .agent_incarnation = life_->incarnation,
          .evidence = vote.evidence,
          .read_only = vote.vote == agent::Vote::kReadOnly};
}

void SimAgent::Do(const Gid& gid, Branch& branch, const agent::AnswerVote& action) {
  std::optional<coordinator::Ticket> ticket;
  if (action.vote != agent::Vote::kNo) ticket = TicketOf(gid, action);
  if (action.vote == agent::Vote::kReadOnly) world_.checker.OnReadOnlyVote(gid);
  if (action.vote == agent::Vote::kYes) world_.checker.OnYes(gid, life_->incarnation);
  for (auto& done : std::exchange(branch.votes, {})) done(ticket);
  if (auto opened = std::exchange(branch.opened, nullptr)) {
    opened(ticket ? OpenReply{.gid = gid, .ticket = ticket} : OpenReply{});
  }
}

void SimAgent::Do(const Gid& gid, Branch& branch, const agent::SendLost&) {
  // Most likely its application has carried the decision out.
  if (branch.core.app_finishes() && !life_->heard_pending.contains(gid)) {
    world_.checker.Wrong("5: an application's own branch is reported lost, unasked: " + Short(gid));
  }
  if (coordinator::AgentInput* out = Out()) out->lost.push_back({.gid = gid, .failure = {}});
}

void SimAgent::Do(const Gid& gid, Branch&, const agent::WriteWill&) {
  journal_[gid] = agent::JournalWord::kWill;
}
void SimAgent::Do(const Gid& gid, Branch&, const agent::WriteDone&) {
  journal_[gid] = agent::JournalWord::kDone;
}
void SimAgent::Do(const Gid& gid, Branch&, const agent::EraseWill&) { journal_.erase(gid); }

void SimAgent::Do(const Gid& gid, Branch& branch, const agent::FinishOnSession& action) {
  FinishAtDatabase(gid, action.decision, action.evidence, action.word,
                   {.session = branch.session.value_or(0)}, 0);
}

void SimAgent::Do(const Gid& gid, Branch& branch, const agent::FinishInPool& action) {
  const Micros back_off = std::min<Micros>(action.attempt, 10) * 50 * kMilli;
  FinishAtDatabase(gid, action.decision, action.evidence, action.word,
                   {.kills_apps = branch.core.app_held()}, back_off);
}

void SimAgent::FinishAtDatabase(const Gid& gid, agent::Decision decision,
                                const std::string& evidence, agent::JournalWord word,
                                SimDatabase::Via via, Micros delay) {
  Later(delay, [this, gid, decision, evidence, word, via] {
    AtDatabase<agent::FinishAnswered>(
        [this, gid, decision, evidence, word, via] {
          return database_.Finish(gid, decision, evidence, word, via);
        },
        [this, gid, via](std::optional<agent::FinishAnswered> answer) {
          if (answer) return Deliver(gid, *answer);
          if (via.session) database_.Close(*via.session);
          Deliver(gid, agent::FinishAnswered{.on_session = via.session.has_value(),
                                             .session_lost = via.session.has_value()});
        });
  });
}

void SimAgent::Do(const Gid& gid, Branch&, const agent::SendFinished& action) {
  using coordinator::BranchViewState;
  BranchViewState state = BranchViewState::kCommitting;
  switch (action.report) {
    case agent::Report::kCommitting:
      break;
    case agent::Report::kCommitted:
      state = BranchViewState::kCommitted;
      break;
    case agent::Report::kRolledBack:
      state = BranchViewState::kRolledBack;
      break;
    case agent::Report::kHeuristicRollback:
      state = BranchViewState::kHeuristicRollback;
      break;
    case agent::Report::kHeuristicCommit:
      state = BranchViewState::kHeuristicCommit;
      break;
    case agent::Report::kHazard:
      state = BranchViewState::kHazard;
      break;
  }
  if (coordinator::AgentInput* out = Out()) out->finished.push_back({gid, state, action.detail});
}

void SimAgent::Do(const Gid& gid, Branch&, const agent::LookUp& action) {
  Later(action.attempt * 20 * kMilli, [this, gid] {
    using Found = std::optional<std::string>;
    AtDatabase<std::optional<Found>>(
        [this, gid]() -> std::optional<Found> {
          if (!database_.up()) return std::nullopt;
          return database_.Find(gid);
        },
        [this, gid](std::optional<std::optional<Found>> answer) {
          if (!answer || !*answer) return Deliver(gid, agent::LookFailed{});
          const Found& found = **answer;
          agent::LookedUp looked{.prepared = found.has_value()};
          if (found) {
            looked.evidence = *found;
          } else {
            looked.refusal.cause = agent::Cause::kNotPrepared;
          }
          Deliver(gid, looked);
        });
  });
}

void SimAgent::Do(const Gid& gid, Branch&, const agent::AwaitApplication&) {
  Later(500 * kMilli, [this, gid] { Deliver(gid, agent::GracePassed{}); });
}

}  // namespace assent::simulation
