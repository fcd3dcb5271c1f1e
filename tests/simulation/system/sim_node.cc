#include "tests/simulation/system/sim_node.h"

#include <algorithm>
#include <utility>

#include "txlog/replicated/replicated_log.h"
#include "txlog/replicated/wire.h"

namespace assent::simulation {
namespace {

const std::string kDirectory = "/log";
const std::string kCluster = "bank";
const std::string kUuid = "3f0c2f4e-7a51-4d0b-9d7e-1c2b3a495867";
constexpr Micros kTick = 40 * kMilli;  // A tenth of the election timeout.
constexpr int kTakesBeforeFlush = 8;   // As the log's thread.

}  // namespace

// Slow work of one life: each task a little later.
class SimNode::Tasks final : public txlog::Executor {
 public:
  Tasks(SimNode& node, Life& life) : node_(node), life_(life) {}
  void Run(std::function<void()> task) override {
    tasks_.push_back(std::move(task));
    node_.Later(node_.world_.timeline.Between(50, node_.world_.slow_work_max), [this] {
      std::function<void()> next = std::move(tasks_.front());
      tasks_.pop_front();
      next();
      if (node_.disk_.crashed()) life_.died = Unavailable("its disk is gone");
    });
  }

 private:
  SimNode& node_;
  Life& life_;
  std::deque<std::function<void()>> tasks_;
};

SimNode::SimNode(World& world, uint64_t id, ToPeer to_peer)
    : world_(world),
      id_(id),
      to_peer_(std::move(to_peer)),
      disk_(world.timeline.Draw(1u << 30)),
      clock_(world.timeline) {}

SimNode::~SimNode() = default;

txlog::Member SimNode::MemberOf(uint64_t id) {
  return {.id = id, .peer_address = "n" + std::to_string(id), .address = std::to_string(id)};
}

void SimNode::Bootstrap(const std::vector<txlog::Member>& first, const std::string& first_record) {
  Status s = txlog::BootstrapGroup(disk_, kDirectory, {kCluster, kUuid, id_}, first_record, first);
  if (!s.ok()) world_.checker.Wrong("bootstrap: " + s.ToString());
}

void SimNode::BootstrapJoining() {
  Status s = txlog::BootstrapJoining(disk_, kDirectory, {kCluster, kUuid, id_});
  if (!s.ok()) world_.checker.Wrong("bootstrap: " + s.ToString());
}

// ---- Lives --------------------------------------------------------------------------------------

void SimNode::Start() {
  if (up() || lost_) return;
  world_.timeline.Trace([&] { return "node " + std::to_string(id_) + ": starts"; });
  world_.checker.OnStart(id_);
  life_ = std::make_unique<Life>();
  Life& life = *life_;
  life.number = ++lives_;
  life.spares = std::make_unique<Tasks>(*this, life);
  life.slow = std::make_unique<Tasks>(*this, life);
  life.driver = std::make_unique<coordinator::Driver>(
      world_.limits, clock_, world_.codec, [this](const Status& s) {
        world_.checker.Wrong("node " + std::to_string(id_) + " cannot go on: " + s.ToString());
      });
  life.driver->Attach(*this);
  txlog::ReplicatedLogOptions options;
  options.directory = kDirectory;
  options.cluster = kCluster;
  options.node_id = id_;
  options.segment_bytes = 4096;
  options.snapshot_after_bytes = world_.snapshot_after_bytes;
  options.limits = world_.log_limits;
  options.seed = world_.timeline.Draw(1u << 30) + 1;
  options.disk = &disk_;
  options.on_death = [&life](const Status& why) { life.died = why; };
  auto engine = txlog::ReplicatedEngine::Open(options, *this, *this, *life.spares, *life.slow,
                                              [this, number = life.number](auto input) {
                                                if (up() && life_->number == number)
                                                  ToLog(std::move(input));
                                              });
  if (!engine.ok()) {
    life_.reset();
    return Refused(engine.status());
  }
  life.engine = std::move(*engine);
  life.engine->Announce();
  const txlog::Index last = life.engine->raft().last_index();
  if (last < forced_) {
    // A damaged last record cannot be told from a torn one. Any other loss is a bug.
    if (!flipped_) {
      world_.checker.Wrong("node " + std::to_string(id_) + " had forced entry " +
                           std::to_string(forced_) + " and starts with " + std::to_string(last));
    }
    return Lose();
  }
  flipped_ = false;
  if (disk_.crashed() || life.died) return EndIfDied();
  Tick();
}

// An own function, since damage must be noticed, and everything else must not hinder a start.
void SimNode::Refused(const Status& why) {
  world_.timeline.Trace(
      [&] { return "node " + std::to_string(id_) + ": does not start: " + why.ToString(); });
  if (disk_.crashed()) {
    disk_.PowerLoss();
    return;
  }
  if (std::exchange(sync_fails_, false)) {
    disk_.ProcessDeath();
    return;
  }
  if (flipped_) {
    ++refused_starts_;
    return Lose();
  }
  if (why.code() == Code::kDataLoss || why.code() == Code::kFailedPrecondition) {
    world_.checker.Wrong("node " + std::to_string(id_) +
                         " refuses its own disk: " + why.ToString());
  }
}

void SimNode::Crash(bool power_loss) {
  if (!up()) return;
  world_.timeline.Trace([&] {
    return "node " + std::to_string(id_) + (power_loss ? ": loses its power" : ": is killed");
  });
  forced_ = life_->engine == nullptr ? 0 : life_->engine->raft().forced_index();
  dead_.push_back(std::move(life_));
  world_.timeline.After(0, [this] { dead_.clear(); });
  crash_between_effects_ = sync_fails_ = false;
  frozen_until_ = 0;
  power_loss ? disk_.PowerLoss() : disk_.ProcessDeath();
}

void SimNode::Lose() {
  if (up()) Crash(true);
  lost_ = true;
}

void SimNode::EndIfDied() {
  if (disk_.crashed()) return Crash(true);
  if (!life_->died) return;
  if (!sync_fails_) {
    world_.checker.Wrong("node " + std::to_string(id_) +
                         " ends itself on a sound disk: " + life_->died->ToString());
  }
  // After a failed fsync: the process ends, and sometimes the machine too.
  Crash(world_.timeline.Chance(300));
}

bool SimNode::FlipByte() {
  if (up() || lost_) return false;
  Result<std::vector<std::string>> names = disk_.List(kDirectory);
  if (!names.ok() || names->empty()) return false;
  const std::string path = kDirectory + "/" + (*names)[world_.timeline.Draw(names->size())];
  // Not in the zeroes that wait for records.
  const size_t used = disk_.Content(path).find_last_not_of('\0');
  if (used == std::string::npos) return false;
  const uint64_t offset = world_.timeline.Draw(used + 1);
  world_.timeline.Trace(
      [&] { return "a byte turns over: " + path + ", " + std::to_string(offset); });
  disk_.Flip(path, offset);
  flipped_ = true;
  return true;
}

void SimNode::Later(Micros delay, std::function<void()> what) {
  world_.timeline.After(delay, [this, number = life_->number, what = std::move(what)]() mutable {
    Due(number, std::move(what));
  });
}

void SimNode::Due(uint64_t life, std::function<void()> what) {
  if (!up() || life_->number != life) return;
  const Micros now = world_.timeline.now();
  if (now < frozen_until_) {
    return world_.timeline.After(
        frozen_until_ - now,
        [this, life, what = std::move(what)]() mutable { Due(life, std::move(what)); });
  }
  what();
  if (up()) EndIfDied();
}

void SimNode::Freeze(Micros time) {
  if (!up()) return;
  world_.timeline.Trace([&] { return "node " + std::to_string(id_) + ": stands still"; });
  frozen_until_ = std::max(frozen_until_, world_.timeline.now() + time);
}

void SimNode::Tick() {
  Later(kTick + slow_ / 4, [this] {
    ToLog(txlog::TickCame{});
    ToDriver([](coordinator::Driver&) {});  // Timers.
    Tick();
  });
}

void SimNode::StopFaults() {
  disk_.CrashAt(0);
  FailSync(0);
  crash_between_effects_ = false;
}

// ---- The log's thread ---------------------------------------------------------------------------

void SimNode::ToLog(txlog::EngineInput input) {
  life_->inputs.push_back(std::move(input));
  if (std::exchange(life_->log_due, true)) return;
  Later(world_.timeline.Between(10, 500) + slow_, [this] { PumpLog(); });
}

void SimNode::PumpLog() {
  Life& life = *life_;
  life.log_due = false;
  size_t count = life.inputs.size();
  if (count > 0 && world_.timeline.Chance(200)) count = 1 + world_.timeline.Draw(count);
  std::vector<txlog::EngineInput> inputs;
  while (count-- > 0) {
    inputs.push_back(std::move(life.inputs.front()));
    life.inputs.pop_front();
  }
  life.engine->Take(std::move(inputs));
  // What comes before it gets to writing goes along.
  const bool takes_more =
      life.takes++ < kTakesBeforeFlush && world_.timeline.Chance(world_.takes_more);
  if (!takes_more) {
    life.takes = 0;
    life.engine->Flush();
    if (life.inputs.empty()) return;
  }
  life.log_due = true;
  const Micros busy = takes_more ? world_.timeline.Draw(3 * kMilli) : 0;
  Later(world_.timeline.Between(10, 500) + slow_ + busy, [this] { PumpLog(); });
}

void SimNode::FromPeer(uint64_t from, std::string bytes) {
  if (up()) ToLog(txlog::MessageCame{from, std::move(bytes)});
}

void SimNode::Send(uint64_t to, std::string bytes) {
  Result<txlog::raft::Message> message = txlog::DecodeMessage(bytes);
  if (message.ok()) {
    if (const auto* append = std::get_if<txlog::raft::AppendEntries>(&message->body)) {
      world_.checker.OnAppend(message->term, *append);
    }
    const auto* vote = std::get_if<txlog::raft::VoteReply>(&message->body);
    if (vote != nullptr && vote->granted && !vote->pre_vote) world_.on_vote(id_);
  }
  to_peer_(id_, to, bytes);
}

void SimNode::OnSnapshot(txlog::Index index, txlog::Term term, std::string state) {
  world_.timeline.Trace([&] {
    return "node " + std::to_string(id_) + ": goes on from a snapshot of " + std::to_string(index);
  });
  if (life_->engine != nullptr && life_->engine->raft().role() != txlog::raft::Role::kLeader) {
    ++installed_;
  }
  world_.checker.OnSnapshot(id_, index, term, state);
  ToDriver([=](coordinator::Driver& driver) { driver.OnSnapshot(index, term, state); });
}

void SimNode::OnApplied(std::vector<txlog::Applied> entries) {
  for (const txlog::Applied& entry : entries) {
    world_.timeline.Trace([&] {
      return "node " + std::to_string(id_) + ": applies " + std::to_string(entry.index) +
             " of term " + std::to_string(entry.term) + " " +
             entry.record.substr(0, entry.record.find(':'));
    });
    world_.checker.OnApplied(id_, entry);
    if (entry.record.empty() || life_->engine == nullptr || !leads()) continue;
    const auto record = world_.codec.Decode(entry.record);
    if (!record.ok()) continue;
    const auto* decision = std::get_if<coordinator::Decision>(&*record);
    if (decision != nullptr) life_->decided.emplace(decision->gtrid, clock_.Now());
  }
  ToDriver([this, entries = std::move(entries)](coordinator::Driver& driver) {
    SawApplied(entries);
    driver.OnApplied(entries);
  });
}

void SimNode::OnLeadership(txlog::Term term, bool leader) {
  world_.timeline.Trace([&] {
    return "node " + std::to_string(id_) + (leader ? ": leads" : ": follows") + " in term " +
           std::to_string(term);
  });
  if (leader) {
    world_.checker.OnLeads(id_, term, life_->engine->raft().last_index());
    world_.on_leads(id_);
  }
  ToDriver([=, this](coordinator::Driver& driver) {
    SawLeadership(term, leader);
    driver.OnLeadership(term, leader);
  });
}

void SimNode::OnSnapshotWanted() {
  ToDriver([](coordinator::Driver& driver) { driver.OnSnapshotWanted(); });
}

void SimNode::OnGroup(txlog::Group group) {
  ToDriver([group = std::move(group)](coordinator::Driver& driver) { driver.OnGroup(group); });
}

// ---- The driver's thread ------------------------------------------------------------------------

std::optional<MonotonicTime> SimNode::DecidedAt(const Gtrid& gtrid) const {
  auto it = life_->decided.find(gtrid);
  if (it == life_->decided.end()) return std::nullopt;
  return it->second;
}

void SimNode::SawLeadership(txlog::Term term, bool leads) {
  const LeadView last = life_->views.back();
  if (last.term != term || last.leads != leads) life_->views.push_back({term, leads, false});
}

void SimNode::SawApplied(const std::vector<txlog::Applied>& entries) {
  LeadView last = life_->views.back();
  if (!last.leads || last.own_entry_applied) return;
  last.own_entry_applied = std::any_of(entries.begin(), entries.end(), [&](const auto& entry) {
    return entry.record.empty() && entry.term == last.term;
  });
  if (last.own_entry_applied) life_->views.push_back(last);
}

void SimNode::ToDriver(std::function<void(coordinator::Driver&)> what) {
  if (!up()) return;
  life_->events.push_back(std::move(what));
  if (std::exchange(life_->driver_due, true)) return;
  Later(world_.timeline.Between(10, 500) + slow_, [this] { PumpDriver(); });
}

void SimNode::PumpDriver() {
  Life& life = *life_;
  life.driver_due = false;
  size_t count = life.events.size();
  if (world_.timeline.Chance(200)) count = 1 + world_.timeline.Draw(count);
  life.views.erase(life.views.begin(), std::prev(life.views.end()));
  while (count-- > 0) {
    std::function<void(coordinator::Driver&)> event = std::move(life.events.front());
    life.events.pop_front();
    event(*life.driver);
  }
  life.driver->HandlePending();
  size_t effects = life.effects.size();
  const bool crash = crash_between_effects_ && effects > 0;
  if (crash) effects = world_.timeline.Draw(effects + 1);
  while (effects-- > 0) {
    std::function<void()> effect = std::move(life.effects.front());
    life.effects.pop_front();
    effect();
  }
  if (crash) return Crash(world_.timeline.Chance(700));
  if (life.events.empty()) return;
  life.driver_due = true;
  Later(world_.timeline.Between(10, 500) + slow_, [this] { PumpDriver(); });
}

void SimNode::Effect(std::function<void()> effect) { life_->effects.push_back(std::move(effect)); }

void SimNode::Propose(std::string record, txlog::Term term, std::function<void(txlog::Fate)> done) {
  auto answered = [this, number = life_->number, record, done = std::move(done)](txlog::Fate fate) {
    world_.checker.OnFate(record, fate);
    if (!up() || life_->number != number) return;
    ToDriver([done, fate](coordinator::Driver&) { done(fate); });
  };
  Effect([this, record = std::move(record), term, answered = std::move(answered)]() mutable {
    ToLog(txlog::ProposalAsked{std::move(record), term, std::move(answered)});
  });
}

void SimNode::ReadBarrier(std::function<void(Status)> done) {
  Effect([this, done = std::move(done)]() mutable { ToLog(txlog::BarrierAsked{std::move(done)}); });
}

void SimNode::Barrier() {
  if (!up()) return;
  ToLog(txlog::BarrierAsked{[this, when_asked = world_.checker.decided_index()](const Status& s) {
    if (s.ok()) world_.checker.OnBarrier(id_, when_asked);
  }});
}

void SimNode::SaveSnapshot(txlog::Index index, std::string state) {
  world_.timeline.Trace([&] {
    return "node " + std::to_string(id_) + ": gives its state of " + std::to_string(index);
  });
  world_.checker.OnStateGiven(id_, index, state);
  Effect([this, index, state = std::move(state)]() mutable {
    Later(world_.timeline.Draw(world_.state_takes_max + 1),
          [this, index, state = std::move(state)]() mutable {
            ToLog(txlog::SnapshotGiven{index, std::move(state)});
          });
  });
}

void SimNode::ChangeMembership(txlog::MembershipChange change, std::function<void(Status)> done) {
  Effect([this, change = std::move(change), done = std::move(done)]() mutable {
    ToLog(txlog::ChangeAsked{std::move(change), std::move(done)});
  });
}

void SimNode::TransferLeadership(uint64_t to, std::function<void(Status)> done) {
  Effect([this, to, done = std::move(done)]() mutable {
    ToLog(txlog::TransferAsked{to, [this, number = life_->number, done](Status s) {
                                 if (!up() || life_->number != number) return;
                                 ToDriver([done, s](coordinator::Driver&) { done(s); });
                               }});
  });
}

void SimNode::ListMembers(std::function<void(txlog::GroupProgress)> done) {
  Effect([this, done = std::move(done)]() mutable { ToLog(txlog::MembersAsked{std::move(done)}); });
}

}  // namespace assent::simulation
