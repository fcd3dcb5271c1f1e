#include "participant-agent/server/driver.h"

#include <algorithm>
#include <utility>

#include "base/failpoint.h"
#include "base/log.h"
#include "participant-agent/server/convert.h"

namespace assent::agent {
namespace {

std::vector<std::string> NamesOf(const std::vector<ResourceOptions>& resources) {
  std::vector<std::string> names;
  for (const ResourceOptions& resource : resources) names.push_back(resource.name);
  return names;
}

// How often the silence of links is looked at when nothing else happens.
constexpr auto kTick = std::chrono::milliseconds(500);
// Answers larger than this are not kept once their branch is over.
constexpr size_t kStoredReplyBytesMax = 4096;

}  // namespace

Driver::Driver(const Options& options, Journal& journal, ManagerFactory factory, EventInbox& inbox)
    : options_(options),
      journal_(journal),
      factory_(std::move(factory)),
      inbox_(inbox),
      metrics_(NamesOf(options.resources), options.sessions_max),
      coordinators_(options.coordinators, std::chrono::steady_clock::now()),
      repin_(options.repin),
      opened_(journal.agent_incarnation()) {}

Driver::~Driver() = default;

void Driver::SetLinks(Links& links) {
  links_ = &links;
  for (const std::string& target : options_.coordinators) Dial(target);
}

void Driver::Run() {
  if (journal_.pin().has_value() && !repin_) {
    StartResources();
  } else {
    SayHello();  // Without resources, to learn which cluster this is.
  }
  inbox_.Run(
      [this](std::vector<Event> events) {
        Round(std::move(events));
        MonotonicTime wake = std::chrono::steady_clock::now() + kTick;
        if (!timers_.empty()) wake = std::min(wake, timers_.begin()->at);
        if (hello_due_.has_value()) wake = std::min(wake, *hello_due_);
        return wake;
      },
      [this] { Shutdown(); });
}

void Driver::Round(std::vector<Event> events) {
  for (Event& event : events) {
    std::visit([this](auto& e) { On(e); }, event);
  }
  const MonotonicTime now = std::chrono::steady_clock::now();
  FireTimers(now);
  if (hello_due_.has_value() && now >= *hello_due_) SayHello();
  Redial(coordinators_.Tick(now));
  for (Peer& peer : peers_) peer.link->CheckSilence(now);
  FlushLooks();
  FlushLinks();
  PublishGauges();
}

void Driver::PublishGauges() {
  metrics_.linked_to_leader.Set(Leader() != nullptr ? 1 : 0);
  for (const Peer& peer : peers_) {
    if (!peer.left) metrics_.SetLinkUp(peer.link->target(), peer.accepted);
  }
  metrics_.SetJournal(journal_.counts());
  for (const ResourceOptions& options : options_.resources) {
    const std::optional<CallError> error = WhyNotServed(options.name);
    metrics_.Of(options.name).SetWhyNot(error.has_value() ? error->message : "");
  }
  for (auto& [name, resource] : resources_) {
    ResourceMetrics& metrics = metrics_.Of(name);
    metrics.open.Set(static_cast<int64_t>(resource.open));
    metrics.prepared.Set(static_cast<int64_t>(resource.prepared));
    metrics.listed.Set(static_cast<int64_t>(resource.scan.listed_count()));
    metrics.sessions_in_use.Set(static_cast<int64_t>(resource.sessions->in_use()));
    metrics.finishes_waiting.Set(static_cast<int64_t>(resource.finishers->waiting()));
  }
}

void Driver::FireTimers(MonotonicTime now) {
  while (!timers_.empty() && timers_.begin()->at <= now) {
    const Timer timer = timers_.extract(timers_.begin()).value();
    switch (timer.kind) {
      case TimerKind::kDeadline:
        if (Live* live = Find(timer.gid)) Deliver(timer.gid, *live, DeadlinePassed{});
        break;
      case TimerKind::kGrace:
        if (Live* live = Find(timer.gid)) Deliver(timer.gid, *live, GracePassed{});
        break;
      case TimerKind::kRegister:
        if (auto it = registering_.find(timer.request_id); it != registering_.end()) {
          RefuseOpening(std::string(it->second),
                        {.code = Code::kUnavailable,
                         .reason = v1::REASON_NOT_LEADER,
                         .message = "the coordinator did not register the branch in time; retry",
                         .retry_delay_ms = 200});
        }
        break;
    }
  }
}

void Driver::FlushLinks() {
  for (Peer& peer : peers_) {
    if (peer.out.ByteSizeLong() > 0) peer.link->Send(&peer.out);
  }
}

// All that the round wants to know goes into one question.
void Driver::FlushLooks() {
  for (auto& [name, resource] : resources_) {
    if (!resource.looks.empty()) resource.looker->Post(std::exchange(resource.looks, {}));
  }
}

void Driver::Shutdown() {
  const CallError stopping{.code = Code::kUnavailable,
                           .reason = v1::REASON_UNSPECIFIED,
                           .message = "the agent is stopping",
                           .retry_delay_ms = 500};
  // First all are told to end, then each is awaited; what they still post nobody reads.
  for (auto& [name, resource] : resources_) {
    if (resource.watcher) resource.watcher->Stop();
    if (resource.finishers) resource.finishers->Stop();
    if (resource.looker) resource.looker->Stop();
    if (resource.sessions) resource.sessions->Stop();
  }
  for (auto& [name, resource] : resources_) {
    resource.watcher.reset();
    resource.finishers.reset();
    resource.looker.reset();
    resource.sessions.reset();
  }
  // Only now: until here sessions may have read from the requests.
  for (auto& [key, opening] : openings_) {
    for (OpenCall& call : opening.waiting) call.done(&stopping);
    for (EnlistCall& call : opening.enlisting) call.done(&stopping);
  }
  for (auto& [gid, live] : live_) {
    for (ExecuteCall& call : live.waiting) call.done(&stopping);
    if (live.stream != nullptr) live.stream->Fail(stopping);
    AnswerVotes(live, stopping);
  }
  openings_.clear();
  live_.clear();
}

Driver::Live* Driver::Find(const Gid& gid) {
  auto it = live_.find(gid);
  return it == live_.end() ? nullptr : &it->second;
}

void Driver::Deliver(const Gid& gid, Live& live, const BranchEvent& event) {
  const Branch::Phase before = live.core.phase();
  const std::vector<BranchAction> actions = live.core.Step(event);
  Account(gid, live, before);
  for (const BranchAction& action : actions) {
    std::visit([&](const auto& a) { Perform(gid, live, a); }, action);
  }
}

// Counts branches by phase, for the limits, and remembers when the phase changed.
void Driver::Account(const Gid& gid, Live& live, Branch::Phase before) {
  const Branch::Phase after = live.core.phase();
  if (before == after) return;
  live.since = std::chrono::steady_clock::now();
  if (before == Branch::Phase::kOpen) {
    // Most branches end long before their deadline.
    timers_.erase({.at = live.deadline, .kind = TimerKind::kDeadline, .gid = gid});
  }
  if (size_t* count = CounterOf(*live.resource, before)) --*count;
  if (size_t* count = CounterOf(*live.resource, after)) ++*count;
  if (live.core.over()) {
    DropLargeAnswers(live);
    Retire(gid);
  }
}

size_t* Driver::CounterOf(Resource& resource, Branch::Phase phase) {
  switch (phase) {
    case Branch::Phase::kOpen:
    case Branch::Phase::kPreparing:
    case Branch::Phase::kRollingBack:
      return &resource.open;
    case Branch::Phase::kPrepared:
    case Branch::Phase::kFinishing:
      return &resource.prepared;
    case Branch::Phase::kFinished:
    case Branch::Phase::kGone:
      return nullptr;
  }
  return nullptr;
}

// Many branches are remembered when they are over; a result set of megabytes with each is too much.
// Whoever repeats such a call then hears that the transaction takes no more work.
void Driver::DropLargeAnswers(Live& live) {
  if (live.stored.ByteSizeLong() > kStoredReplyBytesMax) {
    live.stored.Clear();
    live.stored_dropped = true;
  }
  auto opening = openings_.find(live.open_key);
  if (opening != openings_.end() && opening->second.reply.has_value() &&
      opening->second.reply->ByteSizeLong() > kStoredReplyBytesMax) {
    openings_.erase(opening);
  }
}

// Memory of what is over is bounded; what must be forgotten explicitly stays until then.
void Driver::Retire(const Gid& gid) {
  retired_.push_back(gid);
  while (retired_.size() > kRememberedMax) {
    const Gid oldest = retired_.front();
    retired_.pop_front();
    Live* live = Find(oldest);
    if (live != nullptr && oldest != gid && live->core.over() && !live->core.needs_forget()) {
      Erase(oldest);
    }
  }
}

void Driver::Erase(const Gid& gid) {
  auto it = live_.find(gid);
  if (it == live_.end()) return;
  Resource& resource = *it->second.resource;
  resource.scan.Ended(gid, std::chrono::steady_clock::now());
  if (size_t* count = CounterOf(resource, it->second.core.phase())) --*count;
  openings_.erase(it->second.open_key);
  live_.erase(it);
}

void Driver::Perform(const Gid& gid, Live& live, const InterruptWork&) {
  live.resource->sessions->Interrupt(live.session, gid);
}

void Driver::Perform(const Gid& gid, Live& live, const RunPrepare&) {
  live.session->Post(SessionThread::PrepareTask{.gid = gid});
}

void Driver::Perform(const Gid& gid, Live& live, const RollBackSession&) {
  live.session->Post(SessionThread::RollBackTask{.gid = gid});
}

void Driver::Perform(const Gid&, Live& live, const ReleaseSession&) {
  // A lost connection is closed already, by the thread that saw it.
  live.resource->sessions->Release(std::exchange(live.session, nullptr));
}

void Driver::Perform(const Gid& gid, Live&, const SendVote& action) {
  if (action.vote == Vote::kNo) {
    LogInfo("vote_no", {{"gtrid", ToString(gid.gtrid)},
                        {"resource", gid.bqual.resource},
                        {"cause", CauseName(action.refusal.cause)},
                        {"code", action.refusal.code},
                        {"message", action.refusal.message}});
  }
  Peer* leader = Leader();
  if (leader == nullptr) return;  // Asked again by the next one.
  v1::BranchVote* vote = leader->out.add_votes();
  vote->set_gid(ToString(gid));
  vote->set_vote(ToProto(action.vote));
  vote->set_evidence(action.evidence);
  if (action.vote == Vote::kNo) {
    vote->set_cause(ToProto(action.refusal.cause));
    vote->set_database_code(action.refusal.code);
    vote->set_message(Words(action.refusal.message));
  }
}

void Driver::Perform(const Gid& gid, Live&, const SendLost& action) {
  LogInfo("branch_lost", {{"gtrid", ToString(gid.gtrid)},
                          {"resource", gid.bqual.resource},
                          {"cause", CauseName(action.refusal.cause)},
                          {"code", action.refusal.code},
                          {"message", action.refusal.message}});
  Peer* leader = Leader();
  if (leader == nullptr) return;  // The vote will be no.
  v1::BranchLost* lost = leader->out.add_lost();
  lost->set_gid(ToString(gid));
  lost->set_cause(ToProto(action.refusal.cause));
  lost->set_database_code(action.refusal.code);
  lost->set_message(Words(action.refusal.message));
}

void Driver::Perform(const Gid& gid, Live&, const WriteWill&) {
  ASSENT_FAILPOINT("agent.will.before");
  journal_.Will(gid);
  ASSENT_FAILPOINT("agent.will.after");
}

void Driver::Perform(const Gid& gid, Live&, const WriteDone&) { journal_.Done(gid); }

void Driver::Perform(const Gid& gid, Live&, const EraseWill&) { journal_.Forget(gid); }

void Driver::Perform(const Gid& gid, Live& live, const FinishOnSession& action) {
  live.session->Post(SessionThread::FinishTask{.gid = gid, .action = action});
}

void Driver::Perform(const Gid& gid, Live& live, const FinishInPool& action) {
  std::optional<adapters::AppHeldBranch> app;
  if (live.app.has_value() && action.evidence.empty()) app = AppHeldOf(gid, *live.app);
  live.resource->finishers->Post(gid, action, std::move(app));
}

void Driver::Perform(const Gid& gid, Live& live, const SendFinished& action) {
  if (live.core.heuristic()) {
    LogError("heuristic", {{"gtrid", ToString(gid.gtrid)},
                           {"gid", ToString(gid)},
                           {"state", v1::BranchState_Name(ToProto(action.report))},
                           {"detail", action.detail}});
  }
  Peer* leader = Leader();
  if (leader == nullptr) return;  // The decision is told again by the next one.
  v1::BranchFinished* finished = leader->out.add_finished();
  finished->set_gid(ToString(gid));
  finished->set_state(ToProto(action.report));
  finished->set_detail(Words(action.detail));
}

}  // namespace assent::agent
