// What Get, List and an operator's status show.
#include <algorithm>
#include <string>
#include <utility>

#include "coordinator/server/driver.h"

namespace assent::coordinator {
namespace {

ViewState StateOf(TwoPhase::Phase phase) {
  switch (phase) {
    case TwoPhase::Phase::kActive:
      return ViewState::kActive;
    case TwoPhase::Phase::kPreparing:
      return ViewState::kPreparing;
    case TwoPhase::Phase::kProposed:
      return ViewState::kProposed;
    case TwoPhase::Phase::kCommitted:
      return ViewState::kCommitted;
    case TwoPhase::Phase::kAborted:
      return ViewState::kAborted;
  }
  return ViewState::kActive;
}

BranchViewState StateOf(TwoPhase::BranchPhase phase) {
  switch (phase) {
    case TwoPhase::BranchPhase::kOpen:
      return BranchViewState::kOpen;
    case TwoPhase::BranchPhase::kPreparing:
      return BranchViewState::kPreparing;
    case TwoPhase::BranchPhase::kYes:
      return BranchViewState::kPrepared;
    case TwoPhase::BranchPhase::kReadOnly:
      return BranchViewState::kReadOnly;
    case TwoPhase::BranchPhase::kFailed:
      return BranchViewState::kFailed;
  }
  return BranchViewState::kOpen;
}

BranchViewState StateOf(const PhaseTwo::Branch& branch) {
  switch (branch.phase) {
    case PhaseTwo::BranchPhase::kPending:
      return BranchViewState::kCommitting;
    case PhaseTwo::BranchPhase::kDone:
      return BranchViewState::kCommitted;
    case PhaseTwo::BranchPhase::kHeuristicUnlogged:
    case PhaseTwo::BranchPhase::kHeuristic:
      return static_cast<BranchViewState>(branch.end);
  }
  return BranchViewState::kCommitting;
}

ViewState StateOf(const PhaseTwo& core) {
  return core.HasHeuristic() ? ViewState::kHeuristic : ViewState::kCommitted;
}

bool Wanted(const ListCall& call, ViewState state) {
  return call.states.empty() ||
         std::find(call.states.begin(), call.states.end(), state) != call.states.end();
}

}  // namespace

std::string Driver::KindOf(const std::string& resource) const {
  const ServedResource* known = agents_.Known(resource);
  return known == nullptr ? "" : known->kind;
}

std::string Driver::DetailOf(const LiveTransaction& live, const TwoPhase::Branch& branch) const {
  if (!branch.failure.message.empty() || !branch.app_held) return branch.failure.message;
  const AppHeld& app_held = *branch.app_held;
  std::string detail = "held by the application";
  if (!app_held.connection_id.empty()) detail += ", session " + app_held.connection_id;
  if (app_held.finisher == Finisher::kApp) detail += ", which commits it by itself";
  const std::string& resource = branch.gid.bqual.resource;
  if (branch.phase == TwoPhase::BranchPhase::kPreparing) {
    detail += agents_.AgentsOf(resource) == 0
                  ? "; no agent of resource " + resource + " is connected to look it up"
                  : "; agent " + live.holders[branch.gid.bqual.branch].agent_id +
                        " is asked whether it is prepared";
  }
  return detail;
}

TransactionView Driver::ViewOf(const LiveTransaction& live) const {
  TransactionView view{.gtrid = live.core.gtrid(),
                       .state = StateOf(live.core.phase()),
                       .outcome = Outcome::kUnknown,
                       .label = live.label,
                       .client_key = live.core.client_key(),
                       .age = now_ - live.begun};
  if (live.core.phase() == TwoPhase::Phase::kActive) {
    view.remaining = std::max(live.deadline - now_, Duration::zero());
  }
  for (const TwoPhase::Branch& branch : live.core.branches()) {
    view.branches.push_back({.gid = branch.gid,
                             .state = StateOf(branch.phase),
                             .agent = live.holders[branch.gid.bqual.branch].agent_id,
                             .detail = DetailOf(live, branch),
                             .evidence = branch.evidence,
                             .kind = KindOf(branch.gid.bqual.resource)});
  }
  return view;
}

TransactionView Driver::ViewOf(const Finishing& finishing) const {
  const Decision& decision = finishing.core.decision();
  TransactionView view{.gtrid = decision.gtrid,
                       .state = StateOf(finishing.core),
                       .outcome = Outcome::kCommitted,
                       .label = finishing.label,
                       .client_key = decision.client_key,
                       .age = now_ - finishing.since};
  for (const PhaseTwo::Branch& branch : finishing.core.branches()) {
    const uint32_t number = branch.decided.bqual.branch;
    const bool pending = branch.phase == PhaseTwo::BranchPhase::kPending;
    view.branches.push_back(
        {.gid = {decision.gtrid, branch.decided.bqual},
         .state = StateOf(branch),
         .agent = number < finishing.agents.size() ? finishing.agents[number] : std::string(),
         .detail = pending ? WaitsFor(finishing, branch) : branch.detail,
         .evidence = branch.decided.evidence,
         .kind = KindOf(branch.decided.bqual.resource)});
  }
  return view;
}

TransactionView Driver::ViewOfStrays(const Gtrid& gtrid,
                                     const std::vector<Heuristic>& strays) const {
  TransactionView view{.gtrid = gtrid, .state = ViewState::kHeuristic};
  switch (AnswerClient(gtrid, View(), Live::kNone, table_)) {
    case ClientAnswer::kCommitted:
      view.outcome = Outcome::kCommitted;
      break;
    case ClientAnswer::kAborted:
      view.outcome = Outcome::kAborted;
      view.abort = aborts_.Of(gtrid);
      break;
    case ClientAnswer::kExpired:
      view.outcome = Outcome::kExpired;
      break;
    case ClientAnswer::kPending:
    case ClientAnswer::kUnknown:
    case ClientAnswer::kRetry:
    case ClientAnswer::kForeign:
    case ClientAnswer::kNeverIssued:
      view.outcome = Outcome::kUnknown;
      break;
  }
  for (const Heuristic& stray : strays) {
    view.branches.push_back({.gid = stray.gid,
                             .state = static_cast<BranchViewState>(stray.end),
                             .detail = stray.detail,
                             .kind = KindOf(stray.gid.bqual.resource)});
  }
  return view;
}

void Driver::On(GetCall& call) {
  if (auto it = live_.find(call.gtrid); it != live_.end()) {
    call.reply(ViewOf(it->second));
    return;
  }
  if (auto it = finishing_.find(call.gtrid); it != finishing_.end()) {
    call.reply(ViewOf(it->second));
    return;
  }
  const std::vector<Heuristic>* strays = table_.FindStrays(call.gtrid);
  if (Ready() && strays != nullptr) {
    call.reply(ViewOfStrays(call.gtrid, *strays));
    return;
  }
  TransactionView view{.gtrid = call.gtrid};
  ClientAnswer answer = AnswerClient(call.gtrid, View(), Live::kNone, table_);
  switch (answer) {
    case ClientAnswer::kCommitted:
      view.state = ViewState::kEnded;
      view.outcome = Outcome::kCommitted;
      break;
    case ClientAnswer::kAborted:
      view.state = ViewState::kAborted;
      view.outcome = Outcome::kAborted;
      view.abort = aborts_.Of(call.gtrid);
      break;
    case ClientAnswer::kExpired:
      view.state = ViewState::kExpired;
      view.outcome = Outcome::kExpired;
      break;
    case ClientAnswer::kPending:
    case ClientAnswer::kUnknown:
      view.outcome = Outcome::kUnknown;
      break;
    case ClientAnswer::kRetry:
    case ClientAnswer::kForeign:
    case ClientAnswer::kNeverIssued:
      call.reply(RefusalFor(answer, call.gtrid));
      return;
  }
  call.reply(std::move(view));
}

void Driver::On(ListCall& call) {
  if (!Ready()) {
    call.reply(RefusalFor(ClientAnswer::kRetry, {}));
    return;
  }
  // Oldest first is the order of gtrids. The pointers live as long as this call.
  struct Found {
    const LiveTransaction* live = nullptr;
    const Finishing* finishing = nullptr;
    const std::vector<Heuristic>* strays = nullptr;
  };
  std::map<Gtrid, Found> found;
  auto after = [&](const Gtrid& gtrid) { return !call.after || *call.after < gtrid; };
  for (const auto& [gtrid, live] : live_) {
    if (after(gtrid) && Wanted(call, StateOf(live.core.phase()))) found[gtrid].live = &live;
  }
  for (const auto& [gtrid, finishing] : finishing_) {
    if (after(gtrid) && Wanted(call, StateOf(finishing.core))) found[gtrid].finishing = &finishing;
  }
  for (const auto& [gtrid, strays] : table_.state().strays) {
    if (after(gtrid) && Wanted(call, ViewState::kHeuristic)) found[gtrid].strays = &strays;
  }
  ListAnswer answer;
  for (const auto& [gtrid, one] : found) {
    if (answer.transactions.size() >= call.limit) {
      answer.more = true;
      break;
    }
    answer.transactions.push_back(one.live != nullptr        ? ViewOf(*one.live)
                                  : one.finishing != nullptr ? ViewOf(*one.finishing)
                                                             : ViewOfStrays(gtrid, *one.strays));
  }
  call.reply(std::move(answer));
}

void Driver::On(StatusCall& call) {
  StatusAnswer answer{
      .term = term_, .leader = Ready(), .applied_index = applied_index_, .live = live_.size()};
  if (table_.group()) {
    answer.cluster = table_.group()->cluster;
    answer.cluster_uuid = table_.group()->cluster_uuid;
    answer.group = table_.group()->group;
    answer.incarnation = table_.group()->incarnation;
  }
  for (const auto& [id, link] : agents_.links()) {
    AgentStatusView agent{.agent_id = link.hello.agent_id,
                          .peer = link.hello.peer,
                          .version = link.hello.version,
                          .connected = now_ - link.since};
    for (const ServedResource& served : link.hello.resources) {
      agent.resources.push_back(served.name);
    }
    answer.agents.push_back(std::move(agent));
  }
  std::map<std::string, ResourceStatusView> resources;
  for (const auto& [name, known] : agents_.known()) {
    resources[name] = {.name = name,
                       .kind = known.kind,
                       .identity = known.identity,
                       .server = known.server,
                       .agents = agents_.AgentsOf(name)};
  }
  for (const auto& [gtrid, finishing] : finishing_) {
    if (finishing.core.HasHeuristic()) {
      ++answer.heuristic;
    } else {
      ++answer.unfinished;
    }
    for (const PhaseTwo::Branch& branch : finishing.core.branches()) {
      if (branch.phase != PhaseTwo::BranchPhase::kPending) continue;
      ResourceStatusView& resource = resources[branch.decided.bqual.resource];
      resource.name = branch.decided.bqual.resource;
      ++resource.pending_branches;
    }
  }
  for (const auto& [gtrid, strays] : table_.state().strays) {
    if (!finishing_.contains(gtrid)) ++answer.heuristic;
  }
  for (auto& [name, view] : resources) answer.resources.push_back(std::move(view));
  call.reply(std::move(answer));
}

}  // namespace assent::coordinator
