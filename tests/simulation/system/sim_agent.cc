#include "tests/simulation/system/sim_agent.h"

#include <utility>

#include "base/mutant.h"
#include "participant-agent/core/recovery_scan.h"

namespace assent::simulation {

using agent::Knowledge;
using coordinator::AgentAnswer;

SimAgent::SimAgent(World& world, Place place, SimDatabase& database,
                   std::map<uint64_t, std::unique_ptr<SimNode>>& nodes)
    : world_(world), place_(place), database_(database), nodes_(nodes), clock_(world.timeline) {}

// ---- Lives --------------------------------------------------------------------------------------

void SimAgent::Start() {
  if (up()) return;
  ++lives_;
  life_ = std::make_unique<Life>(place_ * 1'000 + lives_);
  life_->number = lives_;
  forced_ = journal_;
  world_.timeline.Trace([&] { return "agent " + resource() + ": starts"; });
  for (const auto& [id, node] : nodes_) Dial(id);
  // Nodes that join later are found by and by.
  ScanLoop();
}

void SimAgent::Crash(bool machine) {
  if (!up()) return;
  world_.timeline.Trace([&] { return "agent " + resource() + ": dies"; });
  // The database notices a moment later, and may do till then what it was sent.
  for (auto& [id, branch] : life_->branches) {
    if (!branch.session) continue;
    world_.timeline.After(world_.timeline.Between(0, 5 * kMilli),
                          [this, session = *branch.session] { database_.Close(session); });
  }
  for (auto& [id, peer] : life_->peers) {
    if (peer.link != nullptr) peer.link->Break();
  }
  dead_.push_back(std::move(life_));
  world_.timeline.After(0, [this] { dead_.clear(); });
  if (machine) journal_ = forced_;
}

void SimAgent::Later(Micros delay, std::function<void()> what) {
  world_.timeline.After(delay, [this, number = life_->number, what = std::move(what)] {
    if (Lives(number)) WhenAwake(what);
  });
}

void SimAgent::Freeze(Micros time) {
  if (!up()) return;
  world_.timeline.Trace([&] { return "agent " + resource() + ": stands still"; });
  life_->frozen_until = std::max(life_->frozen_until, world_.timeline.now() + time);
}

void SimAgent::WhenAwake(std::function<void()> what) {
  if (!up()) return;
  if (!frozen() && life_->gathered.empty()) return what();
  life_->gathered.push_back(std::move(what));
  if (life_->gathered.size() == 1) GoOn();
}

void SimAgent::GoOn() {
  const Micros now = world_.timeline.now();
  const Micros then = std::max(life_->frozen_until, now);
  world_.timeline.After(then - now, [this, number = life_->number] {
    if (!Lives(number)) return;
    if (frozen()) return GoOn();
    std::deque<std::function<void()>> gathered = std::exchange(life_->gathered, {});
    for (auto& what : gathered) {
      if (Lives(number)) what();
    }
  });
}

agent::JournalWord SimAgent::WordOn(const Gid& gid) const {
  auto it = journal_.find(gid);
  return it == journal_.end() ? agent::JournalWord::kNothing : it->second;
}

// ---- Links --------------------------------------------------------------------------------------

void SimAgent::Dial(uint64_t id) {
  SimNode& node = *nodes_.at(id);
  if (node.lost()) return;
  Peer& peer = life_->peers[id];
  if (!node.up() || world_.network.Cut(place_, id)) {
    Later(world_.timeline.Between(50 * kMilli, 300 * kMilli), [this, id] { Dial(id); });
    return;
  }
  static const std::string kIdentity = "db-";
  peer.link = std::make_shared<AgentLink>(world_, world_.next_link++, *this, node);
  coordinator::AgentHello hello{.agent_id = "agent-" + resource() + "-" + std::to_string(place_),
                                .incarnation = life_->incarnation};
  hello.resources.push_back({.name = resource(),
                             .kind = database_.ties() ? "mysql" : "postgresql",
                             .identity = kIdentity + resource(),
                             .server = "simulated"});
  peer.link->Open(std::move(hello));
}

SimAgent::Peer* SimAgent::PeerOf(const std::shared_ptr<AgentLink>& link) {
  for (auto& [id, peer] : life_->peers) {
    if (peer.link == link) return &peer;
  }
  return nullptr;
}

SimAgent::Peer* SimAgent::Leader() {
  Peer* best = nullptr;
  for (auto& [id, peer] : life_->peers) {
    if (peer.accepted && peer.leader && (best == nullptr || peer.term > best->term)) best = &peer;
  }
  return best;
}

// What is to be said to the leader; nothing: there is none now.
coordinator::AgentInput* SimAgent::Out() {
  Peer* leader = Leader();
  if (leader == nullptr) return nullptr;
  Flush(*leader);
  return &leader->out;
}

// Soon: what gathers till then goes as one.
void SimAgent::Flush(Peer& peer) {
  if (std::exchange(peer.due, true)) return;
  Later(world_.timeline.Between(10, 300), [this, link = peer.link] {
    Peer* same = PeerOf(link);
    if (same == nullptr) return;
    same->due = false;
    link->Say(std::exchange(same->out, {}));
  });
}

void SimAgent::OnWelcome(const std::shared_ptr<AgentLink>& link,
                         const coordinator::AgentWelcome& welcome) {
  Peer* peer = PeerOf(link);
  if (peer == nullptr) return;
  peer->accepted = true;
  peer->leader = false;
  peer->out = {};
  peer->due = false;
  SetLeadership(*peer, welcome.leadership);
}

void SimAgent::OnLinkDown(const std::shared_ptr<AgentLink>& link) {
  Peer* peer = PeerOf(link);
  if (peer == nullptr) return;
  const uint64_t node = link->node();
  *peer = Peer{};
  Later(world_.timeline.Between(10 * kMilli, 200 * kMilli), [this, node] { Dial(node); });
}

void SimAgent::CutOneLink() {
  if (!up() || life_->peers.empty()) return;
  auto it = life_->peers.begin();
  std::advance(it, world_.timeline.Draw(life_->peers.size()));
  if (it->second.link != nullptr) it->second.link->Break();
}

void SimAgent::SetLeadership(Peer& peer, const coordinator::LeadershipNews& news) {
  const bool came = news.leader && (!peer.leader || peer.term != news.term);
  peer.leader = news.leader;
  peer.term = news.term;
  if (peer.leader) {
    life_->term = std::max(life_->term, peer.term);
    life_->opened.EpochBegan(life_->term);
  }
  if (came && Leader() == &peer) LeaderCame(peer);
}

void SimAgent::LeaderCame(Peer& peer) {
  std::vector<Gid> all;
  for (const auto& [gid, branch] : life_->branches) all.push_back(gid);
  for (const Gid& gid : all) {
    if (gid.gtrid.epoch < peer.term) Deliver(gid, agent::LaterEpochAnnounced{});
    Deliver(gid, agent::LeaderCame{});
    const agent::Branch& core = life_->branches.at(gid).core;
    if (core.phase() == agent::Branch::Phase::kOpen && !core.app_held()) {
      peer.out.inquiries.push_back(gid);
    }
  }
  for (const auto& [gid, word] : journal_) {
    auto it = life_->branches.find(gid);
    if (word != agent::JournalWord::kDone) continue;
    if (it != life_->branches.end() && !it->second.core.over()) continue;
    peer.out.finished.push_back({gid, coordinator::BranchViewState::kCommitted, ""});
  }
  for (const auto& [request, call] : life_->registering) SendRegister(request, call);
  Flush(peer);
  Scan(/*ask_all=*/true);
}

void SimAgent::TraceSaid(const coordinator::AgentOutput& said) {
  auto trace = [this](const std::string& what, const Gid& gid) {
    world_.timeline.Trace(
        [&] { return "agent " + std::to_string(place_) + ": hears " + what + " " + Short(gid); });
  };
  for (const coordinator::PrepareOrder& order : said.prepares) trace("prepare", order.gid);
  for (const coordinator::FinishOrder& order : said.finishes) {
    trace(order.commit ? "commit" : "abort", order.gid);
  }
  for (const coordinator::InquiryReply& reply : said.answers) {
    trace("answer " + std::to_string(static_cast<int>(reply.answer)), reply.gid);
  }
  for (const Gid& gid : said.forget) trace("forget", gid);
}

void SimAgent::OnSaid(const std::shared_ptr<AgentLink>& link,
                      const coordinator::AgentOutput& said) {
  Peer* peer = PeerOf(link);
  if (peer == nullptr || !peer->accepted) return;
  if (said.leadership) SetLeadership(*peer, *said.leadership);
  TraceSaid(said);
  for (const coordinator::RegisterAnswer& answer : said.registered) Registered(answer);
  for (const coordinator::PrepareOrder& order : said.prepares) Prepare(*peer, order);
  for (const coordinator::FinishOrder& order : said.finishes) {
    Finish(order.gid, order.commit, order.evidence, order.app_held);
  }
  for (const coordinator::InquiryReply& answer : said.answers) Answered(answer);
  for (const Gid& gid : said.forget) Forget(gid);
}

// ---- Its door -----------------------------------------------------------------------------------

void SimAgent::Open(OpenCall call) {
  if (frozen()) return WhenAwake([this, call] { Open(call); });
  if (!up() || !database_.up() || call.gtrid.epoch < life_->term) return call.done({});
  if (call.gid) {
    if (life_->branches.contains(*call.gid) || life_->scan.Lists(*call.gid)) return call.done({});
    if (life_->opened.Open(*call.gid, call.holder) != agent::OpenedGids::Verdict::kFresh &&
        !MutantOn(Mutant::kOpenedTwice)) {
      return call.done({});
    }
    const Gid gid = *call.gid;
    return Begin(gid, std::move(call));
  }
  if (Leader() == nullptr) return call.done({});
  const uint64_t request = life_->next_request++;
  SendRegister(request, call);
  life_->registering.emplace(request, std::move(call));
  Later(5 * kSecond, [this, request] {
    auto given_up = life_->registering.extract(request);
    if (!given_up.empty()) given_up.mapped().done({});
  });
}

void SimAgent::SendRegister(uint64_t request, const OpenCall& call) {
  if (coordinator::AgentInput* out = Out()) {
    out->registers.push_back({request, call.gtrid, resource(), call.app_held, call.again});
  }
}

void SimAgent::Registered(const coordinator::RegisterAnswer& answer) {
  auto known = life_->registering.extract(answer.request);
  if (known.empty()) return;  // A repeat, or given up.
  OpenCall call = std::move(known.mapped());
  if (!answer.gid || life_->branches.contains(*answer.gid) ||
      answer.gid->gtrid.epoch < life_->term) {
    return call.done({});
  }
  if (!call.app_held) world_.checker.OnHeld(*answer.gid, life_->incarnation);
  Begin(*answer.gid, std::move(call));
}

void SimAgent::Begin(const Gid& gid, OpenCall call) {
  Branch& branch = life_->branches[gid];
  branch.since = clock_.Now();
  if (call.app_held) {
    branch.core = agent::Branch::AppHeld(
        {.finishes = call.app_held->finisher == coordinator::Finisher::kApp});
    return call.done({.gid = gid});
  }
  branch.opened = std::move(call.done);
  branch.core.Step(agent::WorkBegan{.prepares = call.prepares});
  AtDatabase<std::optional<SimDatabase::Session>>(
      [this, writes = call.writes] { return database_.Begin(writes); },
      [this, gid, prepares = call.prepares](auto answer) {
        auto it = life_->branches.find(gid);
        if (it == life_->branches.end()) return;
        if (answer && *answer) {
          it->second.session = **answer;
          return Work(gid, prepares);
        }
        Deliver(gid, agent::WorkEnded{.failure = agent::Refusal{.cause = agent::Cause::kUnavailable,
                                                                .code = "",
                                                                .message = "away"},
                                      .session_lost = true});
      });
  Later(static_cast<Micros>(world_.limits.transaction_timeout.count()) * kMilli,
        [this, gid] { Deliver(gid, agent::DeadlinePassed{}); });
}

void SimAgent::Work(const Gid& gid, bool prepares) {
  const SimDatabase::Session session = *life_->branches.at(gid).session;
  AtDatabase<std::optional<agent::PrepareAnswered>>(
      [this, session, gid, prepares]() -> std::optional<agent::PrepareAnswered> {
        if (!prepares || !database_.Alive(session)) return std::nullopt;
        return PrepareAtDatabase(session, gid);
      },
      [this, session, gid, prepares](auto answer) {
        auto it = life_->branches.find(gid);
        if (it == life_->branches.end()) return;
        auto opened = it->second.opened;
        agent::WorkEnded ended;
        if (answer && *answer) {
          ended.prepared = **answer;
        } else if (!answer || !database_.Alive(session) || prepares) {
          ended.session_lost = true;
          ended.failure = agent::Refusal{.cause = agent::Cause::kConnectionLost};
          // A lost answer of PREPARE says nothing.
          if (prepares) {
            ended.prepared =
                agent::PrepareAnswered{.refusal = *ended.failure, .session_lost = true};
          }
        } else if (world_.timeline.Chance(world_.statements_fail)) {
          ended.failure = agent::Refusal{.cause = agent::Cause::kStatementFailed};
          world_.checker.OnFailed(gid);
        }
        const bool worked = !ended.failure;
        Deliver(gid, ended);
        it = life_->branches.find(gid);
        if (it == life_->branches.end() || !it->second.opened) return;
        // AnswerVote has not answered.
        it->second.opened = nullptr;
        const bool open = it->second.core.phase() == agent::Branch::Phase::kOpen;
        opened(worked && open ? OpenReply{.gid = gid} : OpenReply{});
      });
}

void SimAgent::Vote(const Gid& gid, std::function<void(std::optional<coordinator::Ticket>)> done) {
  if (frozen()) return WhenAwake([this, gid, done] { Vote(gid, done); });
  if (!up() || !database_.up()) return done({});
  auto [it, fresh] = life_->branches.try_emplace(gid);
  if (fresh) {
    it->second.core = agent::Branch::AppHeld({.finishes = false}, WordOn(gid));
    it->second.since = clock_.Now();
  }
  it->second.votes.push_back(std::move(done));
  Deliver(gid, agent::VoteAsked{});
}

// ---- What the coordinator says ------------------------------------------------------------------

void SimAgent::Prepare(Peer& peer, const coordinator::PrepareOrder& order) {
  auto it = life_->branches.find(order.gid);
  if (it == life_->branches.end() && order.app_held) {
    it = life_->branches.try_emplace(order.gid).first;
    it->second.core = agent::Branch::AppHeld(
        {.finishes = order.app_held->finisher == coordinator::Finisher::kApp}, WordOn(order.gid));
    it->second.since = clock_.Now();
  }
  if (it != life_->branches.end()) {
    if (order.app_held) {
      it->second.core.Hold({.finishes = order.app_held->finisher == coordinator::Finisher::kApp});
    }
    // Whoever asks again has not decided.
    if (it->second.core.phase() == agent::Branch::Phase::kPrepared) {
      life_->heard_pending.insert(order.gid);
    }
    return Deliver(order.gid, agent::PrepareAsked{});
  }
  peer.out.votes.push_back({.gid = order.gid, .vote = coordinator::Vote::kNo});
  Flush(peer);
}

void SimAgent::Finish(const Gid& gid, bool commit, const std::string& evidence,
                      const std::optional<coordinator::AppHeldNews>& app_held) {
  const bool finishes = app_held && app_held->finisher == coordinator::Finisher::kApp;
  auto [it, fresh] = life_->branches.try_emplace(gid);
  if (fresh) {
    it->second.core =
        app_held ? agent::Branch::AppHeld({.finishes = finishes}, WordOn(gid))
                 : agent::Branch::Adopted(evidence, WordOn(gid), life_->scan.EvidenceOf(gid));
    it->second.since = clock_.Now();
  } else if (app_held) {
    it->second.core.Hold({.finishes = finishes});
  }
  if (commit) {
    return Deliver(gid,
                   agent::CommitTold{.evidence = evidence, .listed = life_->scan.EvidenceOf(gid)});
  }
  Deliver(gid, agent::AbortTold{.evidence = evidence,
                                .listed = life_->scan.EvidenceOf(gid),
                                .grace = finishes && database_.ties()});
}

void SimAgent::Answered(const coordinator::InquiryReply& answer) {
  const Gid& gid = answer.gid;
  switch (answer.answer) {
    case AgentAnswer::kCommit:
    case AgentAnswer::kAbort: {
      const auto known = life_->branches.find(gid);
      const bool claimed = known != life_->branches.end() && !known->second.core.unclaimed();
      if (!claimed && !life_->scan.Lists(gid)) return;
      Finish(gid, answer.answer == AgentAnswer::kCommit, answer.evidence, std::nullopt);
      return;
    }
    case AgentAnswer::kHazard:
    case AgentAnswer::kForeign:
      life_->scan.Answered(gid, agent::LastAnswer::kLeaveAlone, clock_.Now());
      return;
    case AgentAnswer::kPending:
      life_->scan.Answered(gid, agent::LastAnswer::kPending, clock_.Now());
      life_->heard_pending.insert(gid);
      Deliver(gid, agent::StillUndecided{});
      return;
    case AgentAnswer::kLeftToApp:
      life_->scan.Answered(gid, agent::LastAnswer::kPending, clock_.Now());
      return;
    case AgentAnswer::kRetry:
      life_->scan.Answered(gid, agent::LastAnswer::kRetry, clock_.Now());
      return;
  }
}

void SimAgent::Forget(const Gid& gid) {
  auto it = life_->branches.find(gid);
  if (it != life_->branches.end() && !it->second.core.may_forget()) return;
  journal_.erase(gid);
  if (it == life_->branches.end()) return;
  life_->scan.Ended(gid, clock_.Now());
  life_->branches.erase(it);
}

// ---- Scans --------------------------------------------------------------------------------------

void SimAgent::ScanLoop() {
  Scan(/*ask_all=*/false);
  for (const auto& [id, node] : nodes_) {
    if (!life_->peers.contains(id)) Dial(id);
  }
  if (world_.timeline.Chance(300)) forced_ = journal_;
  Later(world_.timeline.Between(400 * kMilli, 600 * kMilli), [this] { ScanLoop(); });
}

void SimAgent::Scan(bool ask_all) {
  const MonotonicTime began = clock_.Now();
  using List = std::optional<std::vector<agent::ListedBranch>>;
  AtDatabase<List>([this] { return database_.List(); },
                   [this, began, ask_all](std::optional<List> listed) {
                     if (listed && *listed) return Listed(**listed, began, ask_all);
                     if (ask_all) Later(100 * kMilli, [this] { Scan(true); });
                   });
}

void SimAgent::Listed(const std::vector<agent::ListedBranch>& listed, MonotonicTime began,
                      bool ask_all) {
  using Phase = agent::Branch::Phase;
  auto know = [this](const Gid& gid) -> agent::Known {
    auto it = life_->branches.find(gid);
    if (it == life_->branches.end() || it->second.core.unclaimed()) return {};
    const MonotonicTime since = it->second.since;
    switch (it->second.core.phase()) {
      case Phase::kOpen:
      case Phase::kPreparing:
      case Phase::kRollingBack:
        return {Knowledge::kAtWork, since};
      case Phase::kPrepared:
        return {Knowledge::kPrepared, since};
      case Phase::kFinishing:
        return {Knowledge::kFinishing, since};
      case Phase::kFinished:
      case Phase::kGone:
        break;
    }
    return {Knowledge::kOver, since};
  };
  std::vector<agent::ListedBranch> waiting;
  for (const auto& [gid, branch] : life_->branches) {
    if (branch.core.phase() == Phase::kPrepared) waiting.push_back({gid, branch.core.evidence()});
  }
  agent::ScanVerdict verdict = life_->scan.Listed(listed, began, ask_all, know, waiting);
  for (const Gid& gid : verdict.relisted) {
    auto it = life_->branches.find(gid);
    const bool held = it != life_->branches.end() && it->second.core.app_held();
    const bool finishes = held && it->second.core.app_finishes();
    life_->branches.erase(gid);
    journal_.erase(gid);
    if (!held) continue;
    life_->branches[gid].core = agent::Branch::AppHeld({.finishes = finishes}, WordOn(gid));
    life_->branches[gid].since = clock_.Now();
    Deliver(gid, agent::DeadlinePassed{});
  }
  for (const Gid& gid : verdict.gone) {
    if (life_->branches.contains(gid)) {
      Deliver(gid, agent::Vanished{});
    } else if (coordinator::AgentInput* out = Out()) {
      out->lost.push_back({.gid = gid, .failure = {}});
    }
  }
  if (verdict.inquire.empty()) return;
  coordinator::AgentInput* out = Out();
  if (out == nullptr) return;
  for (const agent::ListedBranch& branch : verdict.inquire) out->inquiries.push_back(branch.gid);
}

}  // namespace assent::simulation
