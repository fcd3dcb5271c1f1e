// A node of the replicated log without its threads and sockets: the pure core (txlog/raft), the
// files (txlog/storage) and the owner, joined. Tests drive it step by step on a simulated disk and
// network; ReplicatedLog gives it a thread, a queue and a transport.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/status.h"
#include "txlog/decision_log.h"
#include "txlog/raft/raft.h"
#include "txlog/replicated/options.h"
#include "txlog/storage/executor.h"
#include "txlog/storage/log_store.h"

namespace assent::txlog {

// Where an engine's messages go. Called on the engine's thread; must not block.
class PeerLinks {
 public:
  virtual ~PeerLinks() = default;
  // May be lost; the core sends again what matters.
  virtual void Send(uint64_t to, std::string bytes) = 0;
  // Whom this node talks to from now on, itself included.
  virtual void SetMembers(const std::vector<Member>& members) = 0;
};

// ---- What an engine is given --------------------------------------------------------------------

struct ProposalAsked {
  std::string record;
  Term term = 0;
  std::function<void(Fate)> done;
};
struct BarrierAsked {
  std::function<void(Status)> done;
};
struct SnapshotGiven {
  Index index = 0;
  std::string state;
};
struct ChangeAsked {
  MembershipChange change;
  std::function<void(Status)> done;
};
struct TransferAsked {
  uint64_t to = 0;
  std::function<void(Status)> done;
};
struct MembersAsked {
  std::function<void(GroupProgress)> done;
};
struct MessageCame {
  uint64_t from = 0;
  std::string bytes;
};
// A tenth of an election timeout has passed.
struct TickCame {};
// Slow work is over; `then` runs on the engine's thread.
struct SlowWorkDone {
  std::function<void()> then;
};
using EngineInput = std::variant<ProposalAsked, BarrierAsked, SnapshotGiven, ChangeAsked,
                                 TransferAsked, MembersAsked, MessageCame, TickCame, SlowWorkDone>;

// ---- The engine ---------------------------------------------------------------------------------

// Not thread-safe: one thread owns it. Calls into the listener and the links come from that thread.
class ReplicatedEngine {
 public:
  // Reads and repairs the directory; errors as ReplicatedLog::Open. `spares` makes segments ahead
  // and `slow` reads and writes snapshots; both may be other threads, and must have run or dropped
  // their tasks before the engine dies. `post` is called on `slow` and must bring its argument to
  // Handle.
  static Result<std::unique_ptr<ReplicatedEngine>> Open(const ReplicatedLogOptions& options,
                                                        Listener& listener, PeerLinks& links,
                                                        Executor& spares, Executor& slow,
                                                        std::function<void(EngineInput)> post);
  ~ReplicatedEngine();

  // Tells the listener what Open found, and joins the group. Once, before anything else.
  void Announce();

  // Steps the core through all of it, and sends what need not wait for the disk. What is to be
  // written waits for Flush, so that more may come along.
  void Take(std::vector<EngineInput> inputs);
  // Writes and forces all that waits, one write and one fdatasync for as much as fits, and does
  // what follows from it.
  void Flush();
  // Both.
  void Handle(std::vector<EngineInput> inputs);

  // Whatever waits is answered (kInDoubt, UNAVAILABLE), and how far the log reaches is noted
  // durably, best effort.
  void Close();

  const NodeIdentity& identity() const { return recovered_.identity; }
  const raft::Raft& raft() const { return raft_; }

 private:
  using Write = std::variant<raft::SaveHardState, raft::WriteEntries, raft::InstallFromStaged>;
  // What must wait for the writes before it.
  using AfterWrites = std::variant<raft::ReadEntries, raft::Compact>;

  ReplicatedEngine(const ReplicatedLogOptions& options, Listener& listener, PeerLinks& links,
                   Executor& slow, std::function<void(EngineInput)> post);
  Status Recover(Executor& spares);

  // engine.cc: inputs, and the actions that need no disk.
  void On(ProposalAsked& input);
  void On(BarrierAsked& input);
  void On(SnapshotGiven& input);
  void On(ChangeAsked& input);
  void On(TransferAsked& input);
  void On(MembersAsked& input);
  void On(MessageCame& input);
  void On(TickCame& input);
  void On(SlowWorkDone& input);
  void ProposeGathered();
  void Step(raft::Event event);
  void Perform(raft::SaveHardState& action);
  void Perform(raft::WriteEntries& action);
  void Perform(raft::InstallFromStaged& action);
  void Perform(raft::Send& action);
  void Perform(raft::Apply& action);
  void Perform(raft::ProposalFates& action);
  void Perform(raft::LeadershipChanged& action);
  void Perform(raft::MembersChanged& action);
  void Perform(raft::ReadReady& action);
  void Perform(raft::ReadsRefused& action);
  void Perform(raft::MembershipAnswered& action);
  void Perform(raft::TransferEnded& action);
  void Perform(raft::ReadEntries& action);
  void Perform(raft::SnapshotWanted& action);
  void Perform(raft::Compact& action);
  void Perform(raft::ReadSnapshotChunk& action);
  void Perform(raft::StageSnapshotChunk& action);
  void Perform(raft::Halt& action);
  void SendNow(raft::Message& message);
  void TellGroup();
  void Die(const Status& status);

  // engine_disk.cc, with Flush: writes in their order, and what waits for them.
  void FlushWrites();
  Status DoWrites(uint64_t* forced, uint64_t* failed);
  Status DoHardState(const raft::HardState& state);
  Status DoEntries(std::vector<Entry> entries);
  Status WriteAndForce(const std::vector<Entry>& entries);
  Status DoInstall(const raft::InstallFromStaged& install);
  void WritesForced(uint64_t write);
  void OutOfRoom(uint64_t write, const std::string& reason);
  void After(const raft::ReadEntries& action);
  void After(const raft::Compact& action);
  void RunSlowly(std::function<std::function<void()>()> work);

  // engine_snapshots.cc
  void Answer(const raft::ReadSnapshotChunk& asked);
  void LoadSnapshot();
  void SnapshotLoaded(Index index, Status status, raft::Payload state);

  const ReplicatedLogOptions options_;
  Disk& disk_;
  Listener& listener_;
  PeerLinks& links_;
  Executor& slow_;
  const std::function<void(EngineInput)> post_;
  raft::Raft raft_;
  std::unique_ptr<LogStore> store_;
  Recovered recovered_;
  raft::SnapshotMeta first_;        // Of the newest snapshot at start, or the first members.
  std::atomic<bool> dead_ = false;  // Set on any thread.
  bool closed_ = false;

  // Proposals of this Handle that are not stepped yet, all meant for one term.
  raft::Propose gathered_;
  uint64_t next_id_ = 1;
  std::unordered_map<uint64_t, std::function<void(Fate)>> proposals_;
  std::unordered_map<uint64_t, std::function<void(Status)>> barriers_;
  std::unordered_map<uint64_t, ChangeAsked> changes_;
  std::unordered_map<uint64_t, TransferAsked> transfers_;

  std::deque<Write> writes_;
  std::deque<raft::Send> held_;  // For a write, in the order of their numbers.
  std::vector<AfterWrites> after_writes_;
  std::optional<Index> applied_;  // Handed over, and the core not told yet.

  Group group_;
  // This log names this node as a member, now or before, as far back as it reaches.
  bool was_member_ = false;
  uint64_t ticks_ = 0;
  std::optional<uint64_t> full_since_;  // In ticks: the disk had no room.
  uint64_t refused_for_room_ = 0;

  // Of the owner's snapshots the newest that is written or being written; 0: none, or it failed.
  Index snapshot_given_ = 0;
  // A snapshot on its way to peers, whole and checked, while somebody asks for its pieces.
  Index loaded_index_ = 0;
  raft::Payload loaded_;
  uint64_t loaded_used_ = 0;  // In ticks.
  bool loading_ = false;
  std::vector<raft::ReadSnapshotChunk> chunks_asked_;
  // A snapshot on its way here.
  std::shared_ptr<std::string> staged_;
  uint64_t staging_ = 0;  // Changes with every new beginning.
};

}  // namespace assent::txlog
