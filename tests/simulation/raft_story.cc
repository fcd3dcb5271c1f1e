#include "tests/simulation/raft_story.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <set>

#include "tests/simulation/raft_text.h"

namespace assent::simulation {

using namespace txlog::raft;  // NOLINT
using txlog::Term;

namespace {
constexpr uint32_t kElectionTicks = 10;
constexpr uint64_t kFaultKinds = 7;
}  // namespace

RaftStory::Met& RaftStory::Met::operator+=(const Met& other) {
  decided += other.decided;
  durable += other.durable;
  in_doubt += other.in_doubt;
  reads += other.reads;
  crashes += other.crashes;
  terms += other.terms;
  installed += other.installed;
  changes += other.changes;
  disk_fulls += other.disk_fulls;
  transfers += other.transfers;
  return *this;
}

// Limits so small that all of them are met.
Options RaftStory::DrawOptions(uint64_t seed, Focus focus) {
  std::mt19937_64 random(seed);
  auto draw = [&](uint64_t from, uint64_t to) { return from + random() % (to - from + 1); };
  Options options;
  options.election_ticks = kElectionTicks;
  options.heartbeat_ticks = static_cast<uint32_t>(draw(1, 3));
  options.transfer_ticks = kElectionTicks;
  options.append_bytes_max = draw(40, 400);
  options.in_flight_bytes_max = draw(40, 1000);
  options.in_flight_messages_max = static_cast<uint32_t>(draw(1, 6));
  options.uncommitted_bytes_max = draw(200, 5000);
  options.applying_bytes_max = draw(40, 1000);
  options.unapplied_bytes_max = draw(500, 5000);
  options.cache_bytes_max = draw(40, 1000);
  options.snapshot_after_bytes = draw(300, 6000);
  options.snapshot_chunk_bytes = draw(20, 60);
  options.snapshot_chunks_in_flight_max = static_cast<uint32_t>(draw(1, 3));
  options.promote_lag_entries_max = draw(0, 20);
  if (focus == Focus::kSnapshots) {
    options.snapshot_after_bytes = draw(100, 400);
    options.cache_bytes_max = draw(0, 100);
  }
  return options;
}

RaftStory::RaftStory(uint64_t seed, Focus focus, bool trace)
    : trace_(trace),
      random_(seed ^ 0x5DEECE66Dull),
      cluster_(DrawOptions(seed, focus),
               [this](NodeId id, const Action& action) { OnAction(id, action); }) {
  static constexpr uint64_t kSizes[] = {3, 3, 3, 5, 5, 4, 2, 1};
  uint64_t size = kSizes[Draw(std::size(kSizes))];
  faults_ = random_();
  loss_percent_ = Percent(50, 5, 20);
  members_percent_ = Percent(50, 5, 40);
  fault_percent_ = Percent(90, 10, 70);
  depose_percent_ = Percent(40, 5, 40);
  crash_percent_ = Percent(40, 1, 6);
  steps_max_ = 5 + Draw(60);
  switch (focus) {
    case Focus::kGeneral:
      break;
    case Focus::kElections:
      size = Chance(60) ? 3 : 5;
      faults_ = 1 << 1 | 1 << 6;
      loss_percent_ = Percent(30, 1, 10);
      members_percent_ = 0;
      fault_percent_ = Percent(100, 20, 60);
      depose_percent_ = Percent(80, 20, 60);
      crash_percent_ = Percent(80, 2, 10);
      break;
    case Focus::kMembers:
      size = 4;
      faults_ = 1 << 1 | 1 << 6;
      loss_percent_ = 0;
      members_percent_ = Percent(100, 50, 100);
      fault_percent_ = Percent(50, 5, 30);
      depose_percent_ = Percent(100, 20, 60);
      crash_percent_ = 0;
      break;
    case Focus::kFirstChanges:
      // Of four members the first two removals leave majorities that need not meet.
      size = 4;
      rounds_ = 80;
      add_percent_ = 0;
      faults_ = 1 << 2;
      loss_percent_ = Percent(80, 5, 40);
      members_percent_ = Percent(100, 50, 100);
      fault_percent_ = Percent(80, 10, 50);
      depose_percent_ = Percent(100, 20, 60);
      crash_percent_ = 0;
      break;
    case Focus::kSnapshots:
      size = 3;
      faults_ = 1 << 0 | 1 << 2 | 1 << 4;
      loss_percent_ = Percent(50, 1, 10);
      fault_percent_ = Percent(100, 20, 50);
      depose_percent_ = Percent(60, 5, 20);
      steps_max_ = 30 + Draw(60);
  }
  Config first;
  while (next_node_ <= size) first.members.push_back({.id = next_node_++});
  for (const Member& member : first.members) Restart(cluster_.Add(member.id, {0, 0, first}));
}

RaftStory::Met RaftStory::met() const {
  Met met = met_;
  auto& checker = const_cast<RaftStory*>(this)->cluster_.checker();
  met.decided = checker.decided();
  met.durable = checker.durable();
  met.in_doubt = checker.in_doubt();
  met.reads = checker.reads_ready();
  for (const auto& [id, node] : cluster_.nodes()) met.installed += node->installed_snapshots();
  return met;
}

void RaftStory::Trace(const std::string& line) const {
  if (trace_) std::fprintf(stderr, "%s\n", line.c_str());
}

void RaftStory::OnAction(NodeId id, const Action& action) {
  if (trace_) Trace(std::to_string(id) + ": " + Text(action));
  if (const auto* changed = std::get_if<LeadershipChanged>(&action)) {
    if (changed->leader == id) ++met_.terms;
  } else if (const auto* answered = std::get_if<MembershipAnswered>(&action)) {
    if (open_.erase(answered->id) == 0) cluster_.checker().Wrong("a change was answered twice");
    if (answered->answer == MembershipAnswer::kDone) ++met_.changes;
  } else if (const auto* ended = std::get_if<TransferEnded>(&action)) {
    if (open_.erase(ended->id) == 0) cluster_.checker().Wrong("a transfer was answered twice");
    if (ended->moved) ++met_.transfers;
    if (ended->id == last_transfer_) last_transfer_ended_ = true;
  }
}

RaftNode& RaftStory::AnyNode() {
  auto it = cluster_.nodes().begin();
  std::advance(it, Draw(cluster_.nodes().size()));
  return *it->second;
}

std::string RaftStory::Run() {
  for (int round = 0; round < rounds_ && Fine(); ++round) Round();
  if (Fine()) Heal();
  if (Fine()) CheckProgress();
  if (Fine()) cluster_.checker().CheckFates();
  if (Fine()) CheckUndisturbed();
  if (Fine()) CheckTransferEnds();
  return cluster_.checker().wrong();
}

unsigned RaftStory::Percent(unsigned chance, unsigned from, unsigned to) {
  return Chance(chance) ? from + static_cast<unsigned>(Draw(to - from + 1)) : 0;
}

// ---- Faults and work --------------------------------------------------------------------------

void RaftStory::Round() {
  for (const auto& [id, node] : cluster_.nodes()) {
    if (Chance(90)) node->Step(Tick{});  // Clocks differ.
  }
  const uint64_t steps = Draw(steps_max_);
  for (uint64_t i = 0; i < steps && Fine(); ++i) Happen();
  if (Chance(fault_percent_)) Fault();
  for (const auto& [id, node] : cluster_.nodes()) {
    if (!node->up() || !Fine()) continue;
    // The moments that matter: votes under way, and a leader that is new.
    if (node->raft().role() == Role::kCandidate && Chance(fault_percent_ / 4)) {
      RaftNode& voter = AnyNode();
      if (voter.up()) Crash(voter);
      Restart(voter);
    }
    if (node->leads() && Chance(members_percent_)) ChangeMembers(*node);
    if (node->leads() && Chance(depose_percent_)) Depose(*node);
  }
  for (int i = 0; i < 2; ++i) {
    RaftNode* leader = Chance(80) ? cluster_.Leader() : &AnyNode();
    if (leader == nullptr || !leader->up()) continue;
    switch (Draw(3)) {
      case 0:
        cluster_.checker().OnBarrier(next_id_);
        leader->Step(ReadBarrier{next_id_++});
        break;
      default:
        Propose(*leader);
    }
  }
}

// One thing that was under way gets on.
void RaftStory::Happen() {
  const size_t under_way = cluster_.messages().size();
  if (under_way > 0 && Chance(60)) {
    // Mostly in order, sometimes not.
    const size_t i = Chance(70) ? 0 : Draw(under_way);
    if (Chance(loss_percent_)) {
      cluster_.Drop(i);
    } else {
      if (Chance(loss_percent_ / 2)) cluster_.Duplicate(i);
      cluster_.Deliver(i);
    }
    return;
  }
  RaftNode& node = AnyNode();
  if (!node.up()) return;
  if (Chance(40)) {
    node.AnswerOne();
  } else if (node.ForceOne() && Chance(crash_percent_)) {
    // What it promised is on the disk, or is not: now it must show.
    Crash(node);
    Restart(node);
  }
}

// Each story has its own selection of faults: where all are mixed, few things get far enough to go
// wrong.
void RaftStory::Fault() {
  RaftNode& node = AnyNode();
  if (Chance(40)) return Mend();
  const uint64_t kind = Draw(kFaultKinds);
  if ((faults_ >> kind & 1) == 0) return;
  switch (kind) {
    case 0:
      if (node.up()) Crash(node);
      break;
    case 1:
      // Back at once, in the middle of what the others are at.
      if (node.up()) {
        Crash(node);
        Restart(node);
      }
      break;
    case 2:
      CutLinks();
      break;
    case 3:
      if (!node.full()) ++met_.disk_fulls;
      node.FillDisk(Chance(30));
      break;
    case 4:
      node.SaveSnapshot(Chance(80));
      break;
    case 5:
      if (RaftNode* leader = cluster_.Leader(); leader != nullptr) {
        open_[next_id_] = leader->id();
        leader->Step(TransferLeadership{next_id_++, node.id()});
      }
      break;
    default:
      // A long silence around one node, or all: elections, many at once.
      for (const auto& [id, waiting] : cluster_.nodes()) {
        if (id != node.id() && Chance(50)) continue;
        for (uint32_t i = 0; i < 2 * kElectionTicks; ++i) waiting->Step(Tick{});
      }
  }
}

void RaftStory::Mend() {
  if (Chance(60)) cluster_.HealAll();
  for (const auto& [id, node] : cluster_.nodes()) {
    if (!node->up() && Chance(70)) Restart(*node);
    if (node->full() && Chance(50)) node->FreeDisk();
  }
}

// The leader is gone before its work is done, and most of the others try to succeed it.
void RaftStory::Depose(RaftNode& leader) {
  if (Chance(50)) cluster_.DropFrom(leader.id());
  if (Chance(70)) {
    Crash(leader);
    Restart(leader);
  }
  for (const auto& [id, node] : cluster_.nodes()) {
    if (id == leader.id() || Chance(20)) continue;
    const uint64_t ticks = kElectionTicks + Draw(kElectionTicks + 1);
    for (uint64_t i = 0; i < ticks; ++i) node->Step(Tick{});
  }
}

void RaftStory::CutLinks() {
  if (Chance(50)) return cluster_.BlockAll(AnyNode().id());
  // Two sides, or a few single directions.
  std::set<NodeId> side;
  for (const auto& [id, node] : cluster_.nodes()) {
    if (Chance(50)) side.insert(id);
  }
  const bool one_way = Chance(50);
  for (const auto& [a, node_a] : cluster_.nodes()) {
    for (const auto& [b, node_b] : cluster_.nodes()) {
      if (a == b || side.contains(a) == side.contains(b)) continue;
      if (!one_way || Chance(30)) cluster_.Block({a, b});
    }
  }
}

void RaftStory::Propose(RaftNode& node) {
  txlog::raft::Propose event{.term = node.raft().term()};
  if (Chance(5)) event.term -= 1;
  const uint64_t count = 1 + Draw(5);
  for (uint64_t i = 0; i < count; ++i) {
    cluster_.checker().OnProposed(next_id_);
    event.proposals.push_back({next_id_, RecordOf(next_id_, Draw(60))});
    ++next_id_;
  }
  node.Step(std::move(event));
}

void RaftStory::ChangeMembers(RaftNode& leader) {
  const Config& config = leader.raft().config();
  ChangeMembership event{.id = next_id_++};
  const Member& some = config.members[Draw(config.members.size())];
  if (config.members.size() < 3 || (config.members.size() < 6 && Chance(add_percent_))) {
    event.change = MembershipChange::kAddLearner;
    event.member = next_node_;
    // Now and then one that was removed and still runs.
    if (Chance(30) && config.Find(AnyNode().id()) == nullptr) event.member = AnyNode().id();
    if (!cluster_.Has(event.member)) {
      ++next_node_;
      Restart(cluster_.Add(event.member, {}));
    }
  } else if (!some.voter && Chance(80)) {
    event.change = MembershipChange::kPromote;
    event.member = some.id;
  } else {
    event.change = MembershipChange::kRemove;
    event.member = some.id;
  }
  open_[event.id] = leader.id();
  leader.Step(std::move(event));
}

void RaftStory::Crash(RaftNode& node) {
  ++met_.crashes;
  Trace("crash " + std::to_string(node.id()));
  node.Crash(Draw(node.unforced() + 1));
  std::erase_if(open_, [&](const auto& open) { return open.second == node.id(); });
}

void RaftStory::Restart(RaftNode& node) {
  Trace("start " + std::to_string(node.id()));
  node.Start(random_());
}

// ---- The end ----------------------------------------------------------------------------------

void RaftStory::Heal() {
  Trace("heal");
  cluster_.HealAll();
  for (const auto& [id, node] : cluster_.nodes()) {
    if (!node->up()) Restart(*node);
    if (node->full()) node->FreeDisk();
  }
}

bool RaftStory::CaughtUp() {
  RaftNode* leader = cluster_.Leader();
  if (leader == nullptr || leader->owner_index() != leader->raft().last_index()) return false;
  if (!open_.empty()) return false;
  for (const Member& member : leader->raft().config().members) {
    RaftNode& node = cluster_.node(member.id);
    if (node.owner_index() != leader->owner_index()) return false;
    if (node.raft().leader() != leader->id()) return false;
  }
  return true;
}

bool RaftStory::Calm(int rounds) {
  for (int i = 0; i < rounds && Fine(); ++i) {
    if (!cluster_.Settle()) cluster_.checker().Wrong("the messages never end");
    if (CaughtUp()) return true;
    for (const auto& [id, node] : cluster_.nodes()) node->Step(Tick{});
  }
  return false;
}

void RaftStory::CheckProgress() {
  constexpr int kHealingRounds = 40 * kElectionTicks;
  if (!Calm(kHealingRounds)) {
    std::string state;
    for (const auto& [id, node] : cluster_.nodes()) {
      state += "\n  node " + std::to_string(id) + " term " + std::to_string(node->raft().term()) +
               " leader " + std::to_string(node->raft().leader()) + " last " +
               std::to_string(node->raft().last_index()) + " commit " +
               std::to_string(node->raft().commit_index()) + " owner " +
               std::to_string(node->owner_index()) + " " + Text(node->raft().config());
    }
    return cluster_.checker().Wrong("progress: not caught up after healing" + state);
  }
  RaftNode* leader = cluster_.Leader();
  const size_t durable = cluster_.checker().durable();
  const size_t reads = cluster_.checker().reads_ready();
  const uint64_t id = next_id_++;
  cluster_.checker().OnProposed(id);
  leader->Step(txlog::raft::Propose{leader->raft().term(), {{id, RecordOf(id, 5)}}});
  cluster_.checker().OnBarrier(next_id_);
  leader->Step(ReadBarrier{next_id_++});
  if (!Calm(kElectionTicks) || cluster_.checker().durable() == durable ||
      cluster_.checker().reads_ready() == reads) {
    cluster_.checker().Wrong("progress: a healthy leader does not commit or answer a read");
  }
}

// A member that does not hear the leader, but is heard by everyone, must not depose it.
void RaftStory::CheckUndisturbed() {
  RaftNode* leader = cluster_.Leader();
  if (leader == nullptr) return cluster_.checker().Wrong("no leader after healing");
  const Config config = leader->raft().config();
  for (const Member& member : config.members) {
    if (!member.voter || member.id == leader->id()) continue;
    const Term term = leader->raft().term();
    cluster_.Block({leader->id(), member.id});
    for (uint32_t i = 0; i < 5 * kElectionTicks && Fine(); ++i) {
      for (const auto& [id, node] : cluster_.nodes()) node->Step(Tick{});
      cluster_.Settle();
    }
    cluster_.HealAll();
    // With two voters the deaf one is half of the group, and is needed.
    if (config.voters() > 2 && (!leader->leads() || leader->raft().term() != term)) {
      return cluster_.checker().Wrong("disturbed: member " + std::to_string(member.id) +
                                      ", deaf to the leader, deposed it");
    }
    break;
  }
  if (!Calm(20 * kElectionTicks))
    cluster_.checker().Wrong("progress: after the deaf one was healed");
}

// A transfer to one that cannot answer is given up, and proposals are taken again.
void RaftStory::CheckTransferEnds() {
  RaftNode* leader = cluster_.Leader();
  if (leader == nullptr) return cluster_.checker().Wrong("no leader");
  const Config config = leader->raft().config();
  if (config.voters() < 3) return;
  for (const Member& member : config.members) {
    if (!member.voter || member.id == leader->id()) continue;
    cluster_.BlockAll(member.id);
    last_transfer_ = next_id_++;
    last_transfer_ended_ = false;
    open_[last_transfer_] = leader->id();
    leader->Step(TransferLeadership{last_transfer_, member.id});
    for (uint32_t i = 0; i < 2 * kElectionTicks && Fine(); ++i) {
      for (const auto& [id, node] : cluster_.nodes()) node->Step(Tick{});
      cluster_.Settle();
    }
    const size_t durable = cluster_.checker().durable();
    const uint64_t id = next_id_++;
    cluster_.checker().OnProposed(id);
    leader->Step(txlog::raft::Propose{leader->raft().term(), {{id, RecordOf(id, 5)}}});
    cluster_.Settle();
    if (!last_transfer_ended_ || cluster_.checker().durable() == durable) {
      cluster_.checker().Wrong("progress: a transfer to a dead member never ends");
    }
    return;
  }
}

}  // namespace assent::simulation
