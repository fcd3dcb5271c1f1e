// Agent links: who comes and goes, and what they say.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/failpoint.h"
#include "base/log.h"
#include "coordinator/server/driver.h"

namespace assent::coordinator {
namespace {

// BranchCause UNKNOWN_BRANCH of assent.v1: the agent restarted, and the session died with it.
constexpr uint32_t kCauseUnknownBranch = 17;

RegisterAnswer RefuseRegister(uint64_t request, Refusal refusal) {
  RegisterAnswer answer;
  answer.request = request;
  answer.refusal = std::move(refusal);
  return answer;
}

}  // namespace

void Driver::On(LinkOpened& event) {
  if (!table_.group()) {
    event.reply(Refusal{Unavailable("this coordinator has not read its log yet: dial again"),
                        Reason::kNotLeader,
                        200,
                        {}});
    return;
  }
  if (auto refusal = agents_.Open(event, *table_.group(), now_)) {
    LogWarning("agent_refused", {{"agent", event.hello.agent_id},
                                 {"peer", event.hello.peer},
                                 {"reason", refusal->status.message()}});
    event.reply(*std::move(refusal));
    return;
  }
  std::string resources;
  for (const ServedResource& served : event.hello.resources) {
    resources += (resources.empty() ? "" : ",") + served.name;
  }
  LogInfo("agent_connected", {{"agent", event.hello.agent_id},
                              {"link", event.link},
                              {"peer", event.hello.peer},
                              {"resources", resources}});
  event.reply(AgentWelcome{
      .group = *table_.group(), .leadership = {term_, Ready()}, .members = group_.members});
  if (AgentRegistry::Link* link = agents_.Find(event.link)) ResumeWith(*link);
}

// Says again what the agent may have missed, and notices what its restart has lost.
void Driver::ResumeWith(AgentRegistry::Link& link) {
  const AgentHello& hello = link.hello;
  std::erase_if(unsaid_aborts_, [&](const UnsaidAbort& unsaid) {
    const bool ours = unsaid.app_held ? link.Serves(unsaid.gid.bqual.resource)
                                      : unsaid.agent_id == hello.agent_id;
    if (!ours) return false;
    link.gathered.finishes.push_back(
        {.gid = unsaid.gid, .commit = false, .app_held = NewsOf(unsaid.app_held)});
    return true;
  });
  std::vector<Gid> lost;
  for (auto& [gtrid, live] : live_) {
    for (const TwoPhase::Branch& branch : live.core.branches()) {
      const Holder& holder = live.holders[branch.gid.bqual.branch];
      const bool preparing = branch.phase == TwoPhase::BranchPhase::kPreparing;
      if (branch.app_held) {
        // Another agent may have been asked, and be there to answer.
        const AgentRegistry::Link* asked = agents_.FindAgent(holder.agent_id);
        const bool open = asked == nullptr || asked->id == link.id;
        if (preparing && open && link.Serves(branch.gid.bqual.resource)) TellPrepare(live, branch);
      } else if (holder.agent_id != hello.agent_id) {
        continue;
      } else if (holder.incarnation != hello.incarnation) {
        lost.push_back(branch.gid);
      } else if (preparing) {
        TellPrepare(live, branch);
      }
    }
  }
  for (const Gid& gid : lost) {
    Deliver(gid.gtrid, HolderRestarted{gid,
                                       {.cause = kCauseUnknownBranch,
                                        .database_code = "",
                                        .message = "agent " + hello.agent_id + " restarted"}});
  }
  if (!Ready()) return;
  std::vector<Gtrid> unfinished;
  for (const auto& [gtrid, finishing] : finishing_) {
    if (!finishing.core.Pending().empty()) unfinished.push_back(gtrid);
  }
  for (const Gtrid& gtrid : unfinished) {
    for (const ServedResource& served : hello.resources) {
      Deliver(gtrid, PhaseTwoEvent{TellAgain{served.name}});
    }
  }
}

void Driver::On(LinkClosed& event) {
  if (std::optional<AgentHello> hello = agents_.Close(event.link)) {
    LogWarning("agent_disconnected", {{"agent", hello->agent_id}, {"peer", hello->peer}});
    AskOthers(hello->agent_id);
  }
}

// What this agent was asked about app-held branches, any other agent of the resource can answer.
void Driver::AskOthers(const std::string& agent_id) {
  for (auto& [gtrid, live] : live_) {
    for (const TwoPhase::Branch& branch : live.core.branches()) {
      if (!branch.app_held || branch.phase != TwoPhase::BranchPhase::kPreparing) continue;
      if (live.holders[branch.gid.bqual.branch].agent_id == agent_id) TellPrepare(live, branch);
    }
  }
}

void Driver::On(LinkInput& event) {
  AgentRegistry::Link* link = agents_.Find(event.link);
  if (link == nullptr) return;  // Replaced by a newer link, or refused.
  for (const RegisterAsked& asked : event.input.registers) OnRegister(*link, asked);
  for (const VoteCast& vote : event.input.votes) OnVote(*link, vote);
  for (const LostReported& lost : event.input.lost) OnLost(lost);
  for (const FinishReported& report : event.input.finished) OnFinished(*link, report);
  for (const Gid& gid : event.input.inquiries) OnInquiry(*link, gid);
}

void Driver::OnRegister(AgentRegistry::Link& link, const RegisterAsked& asked) {
  if (!link.Serves(asked.resource)) {
    link.gathered.registered.push_back(
        RefuseRegister(asked.request, {InvalidArgument("resource '" + asked.resource +
                                                       "' is not among those of "
                                                       "agent " +
                                                       link.hello.agent_id),
                                       Reason::kUnknownResource,
                                       0,
                                       {}}));
    return;
  }
  if (live_.contains(asked.gtrid)) {
    Deliver(asked.gtrid,
            Register{{link.hello.incarnation, asked.request},
                     {asked.resource, AppHeldOf(asked.app_held), link.hello.incarnation},
                     asked.again},
            link.id);
    return;
  }
  const ClientAnswer answer = AnswerClient(asked.gtrid, View(), Live::kNone, table_);
  Refusal refusal;
  switch (answer) {
    case ClientAnswer::kRetry:
    case ClientAnswer::kForeign:
    case ClientAnswer::kNeverIssued:
      refusal = RefusalFor(answer, asked.gtrid);
      break;
    case ClientAnswer::kCommitted:
    case ClientAnswer::kAborted:
    case ClientAnswer::kPending:
    case ClientAnswer::kUnknown:
    case ClientAnswer::kExpired: {
      std::string what =
          answer == ClientAnswer::kCommitted
              ? "is committed"
              : "is over (" + std::string(AbortCauseName(aborts_.Of(asked.gtrid).cause)) + ")";
      refusal = {FailedPrecondition("transaction " + ToString(asked.gtrid) + " " + what +
                                    ": begin a new one"),
                 Reason::kNotActive,
                 0,
                 {}};
      break;
    }
  }
  link.gathered.registered.push_back(RefuseRegister(asked.request, std::move(refusal)));
}

void Driver::OnVote(AgentRegistry::Link& link, const VoteCast& vote) {
  ASSENT_FAILPOINT("coord.vote.received");
  if (live_.contains(vote.gid.gtrid)) {
    Deliver(vote.gid.gtrid,
            VoteReceived{vote.gid, link.hello.incarnation, vote.vote, vote.evidence, vote.failure});
    return;
  }
  // Too late, or of an older epoch. A vote never makes a transaction; who voted yes holds locks and
  // shall hear at once what the records say.
  if (vote.vote != Vote::kYes) return;
  const AgentAnswer answer = AnswerAgent(vote.gid, View(), LiveOf(vote.gid), table_);
  if (answer == AgentAnswer::kAbort) {
    link.gathered.finishes.push_back({.gid = vote.gid, .commit = false});
  } else if (answer == AgentAnswer::kCommit) {
    // After END the record's evidence is gone, and the agent may have been told to forget the
    // branch since it voted: without any it would find nothing, and call that a hazard.
    std::string evidence = table_.EvidenceOf(vote.gid);
    if (evidence.empty()) evidence = vote.evidence;
    link.gathered.finishes.push_back(
        {.gid = vote.gid, .commit = true, .evidence = std::move(evidence)});
  }
}

void Driver::OnLost(const LostReported& lost) {
  Deliver(lost.gid.gtrid, BranchLost{lost.gid, lost.failure});
}

void Driver::OnFinished(AgentRegistry::Link& link, const FinishReported& report) {
  const Gid& gid = report.gid;
  auto it = finishing_.find(gid.gtrid);
  if (it == finishing_.end()) {
    // The agent may repeat itself because the forget got lost.
    if (report.state == BranchViewState::kHeuristicCommit ||
        report.state == BranchViewState::kHeuristicRollback ||
        report.state == BranchViewState::kHazard) {
      if (!RecordStray({gid, static_cast<BranchEnd>(report.state), report.detail})) {
        link.gathered.forget.push_back(gid);
      }
      return;
    }
    const DecisionTable::Word word = table_.Look(gid.gtrid);
    const bool committed = report.state == BranchViewState::kCommitted;
    if (!Ready()) return;
    if (word == DecisionTable::Word::kForgotten && committed &&
        gid.gtrid.incarnation != table_.group()->incarnation &&
        table_.FindStrays(gid.gtrid) != nullptr) {
      // Its decision came after the backup, and another branch is still prepared: the operator sees
      // beside that one that there was a decision.
      if (!RecordStray(
              {gid, BranchEnd::kHeuristicCommit,
               "its agent committed it for the group before the restore, whose backup does "
               "not have the decision: commit the others too"})) {
        link.gathered.forget.push_back(gid);
      }
      return;
    }
    if (word == DecisionTable::Word::kEnded ||
        (word == DecisionTable::Word::kForgotten && committed)) {
      link.gathered.forget.push_back(gid);
      return;
    }
    return;
  }
  switch (report.state) {
    case BranchViewState::kCommitting:
      Deliver(gid.gtrid, PhaseTwoEvent{BranchWaits{gid, report.detail}});
      return;
    case BranchViewState::kOpen:
    case BranchViewState::kPreparing:
    case BranchViewState::kPrepared:
    case BranchViewState::kReadOnly:
    case BranchViewState::kFailed:
      return;  // Says nothing about phase two.
    case BranchViewState::kCommitted:
    case BranchViewState::kHeuristicCommit:  // Agrees with the decision.
    case BranchViewState::kRolledBack:
    case BranchViewState::kHeuristicRollback:
    case BranchViewState::kHazard:
      break;
  }
  ASSENT_FAILPOINT("coord.done.before");
  NoteAgent(it->second, gid, link.hello.agent_id);
  BranchEnd end = BranchEnd::kCommitted;
  if (report.state == BranchViewState::kHazard) end = BranchEnd::kHazard;
  if (report.state == BranchViewState::kRolledBack ||
      report.state == BranchViewState::kHeuristicRollback) {
    // The decision lists this gid for commit; a rollback of it is never silent.
    end = BranchEnd::kHeuristicRollback;
  }
  Deliver(gid.gtrid, PhaseTwoEvent{BranchEnded{gid, end, report.detail}});
  ASSENT_FAILPOINT("coord.done.after");
}

void Driver::NoteAgent(Finishing& finishing, const Gid& gid, const std::string& agent_id) {
  const uint32_t branch = gid.bqual.branch;
  if (branch >= kBranchesMax) return;
  if (finishing.agents.size() <= branch) finishing.agents.resize(branch + 1);
  finishing.agents[branch] = agent_id;
}

bool Driver::RecordStray(Heuristic record) {
  if (!Ready()) return true;  // The agent says it again at the next hello.
  const std::vector<Heuristic>* known = table_.FindStrays(record.gid.gtrid);
  if (known != nullptr && std::any_of(known->begin(), known->end(), [&](const Heuristic& one) {
        return one.gid == record.gid;
      })) {
    return false;
  }
  Propose(record, term_, HeuristicProposal{record});
  return true;
}

void Driver::OnInquiry(AgentRegistry::Link& link, const Gid& gid) {
  const AgentAnswer answer = AnswerAgent(gid, View(), LiveOf(gid), table_);
  InquiryReply reply{.gid = gid, .answer = answer};
  if (answer == AgentAnswer::kCommit) reply.evidence = table_.EvidenceOf(gid);
  if (answer == AgentAnswer::kHazard) {
    LogWarning("hazard", {{"gtrid", ToString(gid.gtrid)},
                          {"branch", ToString(gid.bqual)},
                          {"agent", link.hello.agent_id},
                          {"remedy", "nobody can tell its outcome any more: settle it by hand"}});
    RecordStray({gid, BranchEnd::kHazard,
                 "listed as prepared at agent " + link.hello.agent_id +
                     ", and nobody can tell its outcome any more"});
  }
  link.gathered.answers.push_back(std::move(reply));
}

}  // namespace assent::coordinator
