// A coordinator: the real driver over the real engine (core and files), on a simulated disk. Its
// two threads are two queues here; what one batch brings about (proposals, messages, replies)
// leaves one by one, and the machine may die between any two.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/server/driver.h"
#include "tests/simulation/system/network.h"
#include "tests/simulation/system/system_checker.h"
#include "tests/txlog/sim_disk.h"
#include "txlog/replicated/engine.h"

namespace assent::simulation {

// What applications do that makes a story harder. "Of" is of a thousand.
struct Habits {
  Micros think_max = 5 * kMilli;    // Between one step and the next.
  Micros pause_max = 300 * kMilli;  // Between one transaction and the next.
  unsigned asks_around = 0;         // Of calls of Commit: another node is asked too.
  unsigned asks_new_leader = 0;     // Of new leaders: asked at once about what is recent.
  unsigned late_prepares = 0;       // Of own PREPAREs: land when nobody waits for them any more.
  unsigned careless = 0;            // Of own PREPAREs: not awaited, and yet committed.
  unsigned ignores_failures = 0;    // Of branches whose work failed: commits all the same.
  unsigned meddles = 0;         // Of commits: reports what is not its own to end, and asks again.
  unsigned asks_any_agent = 0;  // Of commits that take long: whoever can see a branch is asked.
  unsigned shared_keys = 0;     // Of client keys: others use them at the same time.
};

// What all parts of one story share.
struct World {
  Timeline& timeline;
  Network& network;
  SystemChecker& checker;
  const SimCodec& codec;
  coordinator::Limits limits;
  uint64_t snapshot_after_bytes = 4096;
  txlog::raft::Options log_limits;
  coordinator::LinkId next_link = 1;
  // Of a thousand: answers of a database that never arrive, statements that fail.
  unsigned answers_lost = 0;
  unsigned statements_fail = 0;
  Habits habits;
  // What a node does beside its two threads takes so long at most; so does making its state.
  Micros slow_work_max = 5 * kMilli;
  Micros state_takes_max = 0;
  // Of a thousand: times that a log takes in what comes and does not write at once.
  unsigned takes_more = 0;
  std::function<void(uint64_t node)> on_leads = [](uint64_t) {};
  // An agent's statement, whose answer it has not heard.
  std::function<void(uint64_t agent)> on_prepared = [](uint64_t) {};
  // Its vote is on its way.
  std::function<void(uint64_t node)> on_vote = [](uint64_t) {};
  // The newest one, and who was it before and may not know; 0: none.
  uint64_t leader = 0;
  uint64_t deposed = 0;
};

class SimNode final : private txlog::PeerLinks,
                      private txlog::Listener,
                      private txlog::DecisionLog {
 public:
  using ToPeer = std::function<void(uint64_t from, uint64_t to, const std::string& bytes)>;

  SimNode(World& world, uint64_t id, ToPeer to_peer);
  ~SimNode() override;

  static txlog::Member MemberOf(uint64_t id);
  void Bootstrap(const std::vector<txlog::Member>& first, const std::string& first_record);
  void BootstrapJoining();

  uint64_t id() const { return id_; }
  bool up() const { return life_ != nullptr; }
  // Its data is gone or damaged: it never comes back.
  bool lost() const { return lost_; }
  // It is, or will be found to be when it starts.
  bool damaged() const { return lost_ || flipped_; }
  // Ends it for good, whatever state it is in.
  void Lose();
  void Start();
  // The process dies; with `power_loss` the machine does, and with it what was not forced.
  void Crash(bool power_loss);

  // ---- Faults ----
  void CrashWhileWriting(int n) { disk_.CrashAt(n); }
  void CrashBetweenEffects() { crash_between_effects_ = true; }
  void FailSync(int n) {
    disk_.FailSyncAt(n);
    sync_fails_ = n > 0;
  }
  void FillDisk(uint64_t room) { disk_.SetRoom(room); }
  void FreeDisk() { disk_.UnlimitedRoom(); }
  // What was to come and has not.
  void StopFaults();
  // While it is down: a byte of what was forced turns over.
  bool FlipByte();
  void SlowDown(Micros by) { slow_ = by; }
  // Stands still so long, as after SIGSTOP, and then goes on with what has gathered.
  void Freeze(Micros time);
  SimClock& clock() { return clock_; }
  size_t refused_starts() const { return refused_starts_; }
  size_t installed() const { return installed_; }

  // ---- What reaches it ----
  void FromPeer(uint64_t from, std::string bytes);
  // In order, on the driver's queue.
  void ToDriver(std::function<void(coordinator::Driver&)> what);
  void Barrier();
  // Runs when the batch is over, in order, unless the machine dies before.
  void Effect(std::function<void()> effect);
  // When it applied the decision, by its own clock; nothing if it did not decide it in this life.
  std::optional<MonotonicTime> DecidedAt(const Gtrid& gtrid) const;
  // For effects: what the driver may have known of its lead when it asked for them.
  const std::vector<LeadView>& views() const { return life_->views; }

  // ---- For whoever judges or steers ----
  bool leads() const { return up() && life_->engine->raft().role() == txlog::raft::Role::kLeader; }
  txlog::Term term() const { return up() ? life_->engine->raft().term() : 0; }
  const txlog::raft::Raft& raft() const { return life_->engine->raft(); }
  // Changes with each start, 0 when down: whoever meant an earlier life must not reach this one.
  uint64_t life() const { return up() ? life_->number : 0; }

 private:
  class Tasks;
  struct Life {
    uint64_t number = 0;
    std::deque<txlog::EngineInput> inputs;
    std::deque<std::function<void(coordinator::Driver&)>> events;
    std::deque<std::function<void()>> effects;
    std::map<Gtrid, MonotonicTime> decided;
    std::vector<LeadView> views{{}};  // Before the last batch, and what that one brought.
    int takes = 0;                    // Since its log was last written.
    bool log_due = false;
    bool driver_due = false;
    std::optional<Status> died;  // Why its log went on no further.
    std::unique_ptr<Tasks> spares;
    std::unique_ptr<Tasks> slow;
    std::unique_ptr<coordinator::Driver> driver;
    std::unique_ptr<txlog::ReplicatedEngine> engine;
  };

  // txlog::PeerLinks.
  void Send(uint64_t to, std::string bytes) override;
  void SetMembers(const std::vector<txlog::Member>& members) override { members_ = members; }
  // txlog::Listener: on to the driver's queue.
  void OnSnapshot(txlog::Index index, txlog::Term term, std::string state) override;
  void OnApplied(std::vector<txlog::Applied> entries) override;
  void OnLeadership(txlog::Term term, bool leader) override;
  void OnSnapshotWanted() override;
  void OnGroup(txlog::Group group) override;
  // txlog::DecisionLog: on to the engine's queue.
  void Propose(std::string record, txlog::Term term,
               std::function<void(txlog::Fate)> done) override;
  void ReadBarrier(std::function<void(Status)> done) override;
  void SaveSnapshot(txlog::Index index, std::string state) override;
  void ChangeMembership(txlog::MembershipChange change, std::function<void(Status)> done) override;
  void TransferLeadership(uint64_t to, std::function<void(Status)> done) override;
  void ListMembers(std::function<void(txlog::GroupProgress)> done) override;

  // `what` after a while, if this life goes on till then.
  void Later(Micros delay, std::function<void()> what);
  void Due(uint64_t life, std::function<void()> what);
  void SawLeadership(txlog::Term term, bool leads);
  void SawApplied(const std::vector<txlog::Applied>& entries);
  void ToLog(txlog::EngineInput input);
  void PumpLog();
  void PumpDriver();
  void Tick();
  void EndIfDied();
  void Refused(const Status& why);

  World& world_;
  const uint64_t id_;
  const ToPeer to_peer_;
  txlog::SimDisk disk_;
  SimClock clock_;
  std::unique_ptr<Life> life_;
  std::vector<std::unique_ptr<Life>> dead_;  // Until nothing of it is on the stack.
  std::vector<txlog::Member> members_;
  uint64_t lives_ = 0;
  Micros slow_ = 0;
  Micros frozen_until_ = 0;
  bool crash_between_effects_ = false;
  bool sync_fails_ = false;  // Sooner or later, or it has.
  bool lost_ = false;
  bool flipped_ = false;
  txlog::Index forced_ = 0;  // At the last crash: what must be there again.
  size_t refused_starts_ = 0;
  size_t installed_ = 0;
};

}  // namespace assent::simulation
