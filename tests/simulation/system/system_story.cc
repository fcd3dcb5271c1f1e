#include "tests/simulation/system/system_story.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace assent::simulation {
namespace {

using std::chrono::milliseconds;

coordinator::Limits DrawLimits(Timeline& timeline) {
  coordinator::Limits limits;
  limits.draw = [&timeline] { return timeline.Draw(1 << 20); };
  limits.transaction_timeout = milliseconds(5'000);
  limits.prepare_timeout = milliseconds(1'500);
  limits.apply_wait = milliseconds(1'000);
  limits.finish_grace = milliseconds(500);
  limits.resend = milliseconds(300);
  limits.resend_max = milliseconds(2'000);
  limits.tick = milliseconds(500);
  limits.end_delay = milliseconds(timeline.Chance(500) ? 50 : 1'500);
  // Nothing expires; or what has been over for a while does; or sooner than is allowed, so that
  // what is decided late is forgotten before.
  limits.table.outcome_retention_ticks = timeline.Chance(300) ? 14 : 10'000;
  if (timeline.Chance(150)) limits.table.outcome_retention_ticks = 1 + timeline.Draw(5);
  limits.table.key_retention_ticks = timeline.Chance(300) ? 10 : 10'000;
  return limits;
}

}  // namespace

SystemStory::SystemStory(uint64_t seed, Tracing tracing, const coordinator::Codec* codec)
    : timeline_(seed * 0x9E3779B97F4A7C15ull + 1, tracing != Tracing::kNone,
                tracing == Tracing::kPrint),
      codec_(codec),
      limits_(DrawLimits(timeline_)),
      checker_(codec_, limits_.table),
      world_{timeline_, network_, checker_, codec_, limits_},
      operator_(world_, nodes_) {
  SetLogLevel(LogLevel::kError);
  Draw();
  Build();
}

// Each story has its own selection of faults: where all are mixed, little lives long enough to go
// wrong.
void SystemStory::Draw() {
  const Fault all[] = {&SystemStory::CrashNode,      &SystemStory::CrashWhileWriting,
                       &SystemStory::FailSync,       &SystemStory::FillDisk,
                       &SystemStory::FlipByte,       &SystemStory::SlowDown,
                       &SystemStory::JumpClock,      &SystemStory::CutNetwork,
                       &SystemStory::CutLink,        &SystemStory::CrashAgent,
                       &SystemStory::CrashDatabase,  &SystemStory::CrashBetweenEffects,
                       &SystemStory::Freeze,         &SystemStory::CutNodesApart,
                       &SystemStory::PassLeadAround, &SystemStory::FreezeAgent,
                       &SystemStory::CutLeaderOff,   &SystemStory::CrashAllNodes,
                       &SystemStory::StallDatabase};
  for (Fault fault : all) {
    if (Chance(300)) faults_.push_back(fault);
  }
  if (faults_.empty()) faults_.push_back(&SystemStory::CutNetwork);
  between_faults_ = timeline_.Between(100 * kMilli, 1200 * kMilli);
  if (Chance(500)) network_.loss_permille = static_cast<unsigned>(timeline_.Draw(100));
  if (Chance(500)) network_.double_permille = static_cast<unsigned>(timeline_.Draw(150));
  if (Chance(600)) network_.late_permille = static_cast<unsigned>(timeline_.Draw(150));
  const bool jitters = Chance(200);
  if (jitters) network_.late_permille = static_cast<unsigned>(timeline_.Between(200, 700));
  towns_ = Chance(250);
  if (Chance(500)) world_.answers_lost = static_cast<unsigned>(timeline_.Draw(60));
  if (Chance(500)) world_.statements_fail = static_cast<unsigned>(timeline_.Draw(60));
  Habits& habits = world_.habits;
  if (Chance(300)) habits.think_max = timeline_.Between(20 * kMilli, 500 * kMilli);
  if (Chance(500)) habits.asks_around = static_cast<unsigned>(timeline_.Draw(800));
  if (Chance(500)) habits.asks_new_leader = 600;
  if (Chance(400)) habits.late_prepares = static_cast<unsigned>(timeline_.Draw(500));
  if (Chance(300)) habits.careless = static_cast<unsigned>(timeline_.Draw(200));
  if (Chance(300)) habits.ignores_failures = static_cast<unsigned>(timeline_.Draw(1'000));
  if (Chance(300)) habits.meddles = static_cast<unsigned>(timeline_.Draw(600));
  if (Chance(300)) habits.asks_any_agent = static_cast<unsigned>(timeline_.Draw(1'000));
  if (Chance(400)) habits.shared_keys = 700;
  if (Chance(500)) codec_.padding_max = 900;
  if (Chance(500)) world_.slow_work_max = timeline_.Between(5 * kMilli, 2 * kSecond);
  if (Chance(500)) world_.state_takes_max = timeline_.Draw(kSecond);
  if (Chance(400)) world_.takes_more = static_cast<unsigned>(timeline_.Draw(700));
  // Where news of a vote take long, it matters most that it is not forgotten.
  if (Chance(towns_ || jitters ? 600 : 150)) {
    voters_die_ = static_cast<unsigned>(timeline_.Between(200, 1'000));
  }
  if (Chance(300)) preparers_fail_ = static_cast<unsigned>(timeline_.Draw(250));
  world_.snapshot_after_bytes = Chance(700) ? 500 + timeline_.Draw(5'000) : 1 << 20;
  if (Chance(350)) world_.snapshot_after_bytes = 100 + timeline_.Draw(400);
  if (Chance(700)) DrawLogLimits();
}

// So small that they are met: followers that are behind need what is on the disk, or a snapshot in
// many pieces.
void SystemStory::DrawLogLimits() {
  txlog::raft::Options& limits = world_.log_limits;
  limits.cache_bytes_max = timeline_.Draw(600);
  limits.append_bytes_max = timeline_.Between(100, 2'000);
  limits.in_flight_bytes_max = timeline_.Between(100, 4'000);
  limits.in_flight_messages_max = static_cast<uint32_t>(timeline_.Between(1, 6));
  limits.applying_bytes_max = timeline_.Between(100, 4'000);
  limits.snapshot_chunk_bytes = timeline_.Between(200, 2'000);
  limits.snapshot_chunks_in_flight_max = static_cast<uint32_t>(timeline_.Between(1, 3));
}

void SystemStory::Build() {
  const uint64_t sizes[] = {1, 3, 3, 3, 3, 5};
  const uint64_t count = sizes[timeline_.Draw(6)];
  auto to_peer = [this](uint64_t from, uint64_t to, const std::string& bytes) {
    network_.Send(from, to, [this, from, to, bytes] {
      auto it = nodes_.find(to);
      if (it != nodes_.end()) it->second->FromPeer(from, bytes);
    });
  };
  std::vector<txlog::Member> first;
  for (uint64_t id = 1; id <= count; ++id) first.push_back(SimNode::MemberOf(id));
  const coordinator::GroupStart group{
      .cluster = "bank", .cluster_uuid = "uuid", .group = 0, .incarnation = 0};
  const std::string first_record = codec_.Encode(group);
  for (uint64_t id = 1; id <= count; ++id) {
    nodes_[id] = std::make_unique<SimNode>(world_, id, to_peer);
    nodes_[id]->Bootstrap(first, first_record);
    nodes_[id]->Start();
  }
  const size_t databases = 1 + timeline_.Draw(3);
  for (size_t i = 0; i < databases; ++i) {
    databases_.push_back(
        std::make_unique<SimDatabase>("db" + std::to_string(i), Chance(350), timeline_, checker_));
    // Where there are two, each stands in for the other.
    for (size_t n = Chance(400) ? 2 : 1; n > 0; --n) {
      agents_.push_back(std::make_unique<SimAgent>(world_, kFirstAgent + agents_.size(),
                                                   *databases_.back(), nodes_));
      agents_.back()->Start();
    }
  }
  const bool busy = Chance(250);
  if (busy) world_.habits.pause_max = timeline_.Between(2 * kMilli, 50 * kMilli);
  const size_t clients = 1 + timeline_.Draw(4) + (busy ? 4 : 0);
  for (size_t i = 0; i < clients; ++i) {
    clients_.push_back(std::make_unique<SimClient>(world_, kFirstClient + i, nodes_, agents_));
  }
  world_.on_leads = [this](uint64_t node) {
    if (node != world_.leader) world_.deposed = std::exchange(world_.leader, node);
    for (auto& client : clients_) {
      if (Chance(world_.habits.asks_new_leader)) client->AskNewLeader(node);
    }
  };
  world_.on_vote = [this](uint64_t node) {
    if (faulty_ && Chance(voters_die_)) CrashVoter(node);
  };
  world_.on_prepared = [this](Place agent) {
    if (faulty_ && Chance(preparers_fail_)) FailPreparer(*agents_.at(agent - kFirstAgent));
  };
  for (uint64_t id = 1; towns_ && id <= count; ++id) {
    if (Chance(700)) network_.PutFarAway(id, timeline_.Between(5 * kMilli, 50 * kMilli));
  }
  const bool restless = count > 1 && Chance(350);
  operator_.Run(count + 1, restless, [this, to_peer](uint64_t id) {
    nodes_[id] = std::make_unique<SimNode>(world_, id, to_peer);
    nodes_[id]->BootstrapJoining();
    nodes_[id]->Start();
  });
}

// ---- The story ----------------------------------------------------------------------------------

std::string SystemStory::Run() {
  RunFor(2 * kSecond);
  for (auto& client : clients_) client->Run();
  WatchLoop();
  FaultLoop();
  if (Chance(500)) BarrierLoop();
  RunFor(timeline_.Between(6 * kSecond, 20 * kSecond));
  faulty_ = false;
  for (auto& client : clients_) client->Stop();
  Mend();
  if (Until([this] { return WhyNotCalm(); }, 60 * kSecond, "calm")) {
    RunFor(3 * kSecond);
    for (auto& client : clients_) client->RunCalm();
    Until([this] { return WhyNotOver(); }, 60 * kSecond, "AC5");
    for (auto& client : clients_) client->AskAgainAboutAll();
    RunFor(kSecond);
  }
  return checker_.wrong();
}

void SystemStory::RunFor(Micros time) {
  const Micros end = timeline_.now() + time;
  while (Fine() && timeline_.RunOne(end)) continue;
}

bool SystemStory::Until(const std::function<std::string()>& why_not, Micros patience,
                        const char* what) {
  const Micros end = timeline_.now() + patience;
  while (Fine()) {
    const std::string reason = why_not();
    if (reason.empty()) return true;
    if (timeline_.now() >= end) {
      checker_.Wrong(std::string(what) + " is not reached: " + reason);
      return false;
    }
    RunFor(200 * kMilli);
  }
  return false;
}

void SystemStory::Mend() {
  timeline_.Trace([] { return "all is mended"; });
  network_.Mend();
  network_.loss_permille = network_.double_permille = network_.late_permille = 0;
  network_.PutTogether();
  world_.answers_lost = world_.statements_fail = world_.takes_more = 0;
  world_.habits = {};
  world_.slow_work_max = 5 * kMilli;
  world_.state_takes_max = 0;
  operator_.CalmDown();
  long_dead_.clear();
  for (auto& [id, node] : nodes_) {
    node->FreeDisk();
    node->SlowDown(0);
    node->StopFaults();
  }
  for (auto& database : databases_) database->Start();
  for (auto& agent : agents_) agent->Start();
}

std::string SystemStory::WhyNotCalm() {
  if (operator_.Leader() == nullptr) return "no node leads";
  if (!operator_.content()) return "members are not as they should be";
  for (auto& client : clients_) {
    if (!client->idle()) return "an application still waits for an answer";
  }
  for (const auto& member : operator_.config()->members) {
    if (!nodes_.at(member.id)->up()) return "node " + std::to_string(member.id) + " is down";
  }
  return "";
}

std::string SystemStory::WhyNotOver() {
  for (auto& client : clients_) {
    if (!client->idle()) return "an application still waits for an answer";
  }
  for (auto& database : databases_) {
    for (const auto& [gid, evidence] : database->prepared()) {
      if (!checker_.IsHazard(gid)) return database->name() + " still holds " + Short(gid);
    }
  }
  const txlog::raft::Config* config = operator_.config();
  if (config == nullptr) return "no node leads";
  for (const auto& member : config->members) {
    if (checker_.applied(member.id) != checker_.decided_index()) {
      return "node " + std::to_string(member.id) + " has applied " +
             std::to_string(checker_.applied(member.id)) + " of " +
             std::to_string(checker_.decided_index());
    }
  }
  return checker_.WhyUnfinished();
}

SystemStory::Met& SystemStory::Met::operator+=(const Met& other) {
  steps += other.steps;
  committed += other.committed;
  told += other.told;
  terms += other.terms;
  node_crashes += other.node_crashes;
  agent_crashes += other.agent_crashes;
  database_crashes += other.database_crashes;
  disk_faults += other.disk_faults;
  refused_starts += other.refused_starts;
  installed += other.installed;
  changes += other.changes;
  cuts += other.cuts;
  return *this;
}

SystemStory::Met SystemStory::met() const {
  Met met = met_;
  met.steps = timeline_.steps();
  met.committed = checker_.committed();
  met.terms = checker_.terms();
  met.changes = operator_.changes();
  for (const auto& client : clients_) met.told += client->told();
  for (const auto& [id, node] : nodes_) {
    met.installed += node->installed();
    met.refused_starts += node->refused_starts();
  }
  return met;
}

}  // namespace assent::simulation
