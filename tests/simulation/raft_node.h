// One simulated member: the real core, and a shell around it whose disk forgets what was not
// forced. Nothing happens by itself: whoever owns the node decides when the disk gets on and when
// the answers to what the core asked for come.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/simulation/raft_checker.h"
#include "txlog/raft/raft.h"

namespace assent::simulation {

struct SimSnapshot {
  txlog::raft::SnapshotMeta meta;
  std::string state;
};

class RaftNode {
 public:
  struct Hooks {
    std::function<void(const txlog::raft::Message&)> send;
    std::function<void(const txlog::raft::Action&)> seen;  // Every action, before it is performed.
  };

  // `first`: index 0 and the first members, or none.
  RaftNode(txlog::raft::Options options, txlog::raft::SnapshotMeta first, RaftChecker& checker,
           Hooks hooks);

  // What an earlier life left on the disk. Before Start.
  void Preload(txlog::raft::HardState hard_state, std::vector<txlog::raft::Entry> log) {
    hard_state_ = hard_state;
    disk_log_.entries = std::move(log);
  }
  // From what the disk holds.
  void Start(uint64_t seed);
  // The first `writes_kept` of the writes that were not forced have reached the disk all the same.
  void Crash(size_t writes_kept);
  bool up() const { return raft_.has_value(); }

  void Step(txlog::raft::Event event);

  // The disk does the oldest write, or finds no room for it.
  bool ForceOne();
  size_t unforced() const { return writes_.size(); }
  // The oldest of what the core waits for beside writes: entries and pieces read, a snapshot
  // staged or saved, the owner being done with what was applied.
  bool AnswerOne();
  size_t unanswered() const { return answers_.size(); }
  // The owner saves its state as a snapshot.
  void SaveSnapshot(bool ok);

  // Entries find no room any more; nor hard states, if `hard_state_too`.
  void FillDisk(bool hard_state_too) { full_ = true, full_for_hard_state_ = hard_state_too; }
  void FreeDisk();
  bool full() const { return full_; }

  txlog::raft::NodeId id() const { return options_.id; }
  const txlog::raft::Raft& raft() const { return *raft_; }
  bool leads() const { return up() && raft_->role() == txlog::raft::Role::kLeader; }
  txlog::Index owner_index() const { return owner_index_; }
  const NodeLog& log() const { return memory_; }
  size_t saved_snapshots() const { return saved_; }
  size_t installed_snapshots() const { return installed_; }

 private:
  struct Write {
    uint64_t number = 0;
    txlog::raft::Action action;
  };

  void Perform(const txlog::raft::Action& action);
  void Do(const txlog::raft::SaveHardState& action);
  void Do(const txlog::raft::WriteEntries& action);
  void Do(const txlog::raft::InstallFromStaged& action);
  void Do(const txlog::raft::Send& action);
  void Do(const txlog::raft::Apply& action);
  void Do(const txlog::raft::ProposalFates& action);
  void Do(const txlog::raft::LeadershipChanged& action);
  void Do(const txlog::raft::MembersChanged& action);
  void Do(const txlog::raft::ReadReady& action);
  void Do(const txlog::raft::ReadsRefused& action);
  void Do(const txlog::raft::MembershipAnswered&) {}
  void Do(const txlog::raft::TransferEnded&) {}
  void Do(const txlog::raft::ReadEntries& action);
  void Do(const txlog::raft::SnapshotWanted&);
  void Do(const txlog::raft::Compact& action);
  void Do(const txlog::raft::ReadSnapshotChunk& action);
  void Do(const txlog::raft::StageSnapshotChunk& action);
  void Do(const txlog::raft::Halt& action);

  void Reach(const Write& write);
  // The newest membership in the log is the one in force, and the one that was told.
  void CheckConfig();
  void Answer(std::function<void()> answer) { answers_.push_back(std::move(answer)); }
  static void Cut(NodeLog& log, const txlog::raft::WriteEntries& action);

  txlog::raft::Options options_;
  RaftChecker& checker_;
  Hooks hooks_;

  // The disk.
  txlog::raft::HardState hard_state_;
  SimSnapshot snapshot_;
  std::optional<SimSnapshot> staged_;  // A durable file, not in force.
  NodeLog disk_log_;
  bool full_ = false;
  bool full_for_hard_state_ = false;

  // Lost by a crash.
  std::optional<txlog::raft::Raft> raft_;
  std::deque<Write> writes_;
  uint64_t forced_write_ = 0;
  std::deque<std::pair<uint64_t, txlog::raft::Message>> held_;  // Until their write is forced.
  std::deque<std::function<void()>> answers_;
  NodeLog memory_;
  SimSnapshot staging_;
  txlog::raft::Config told_;
  txlog::Index owner_index_ = 0;
  txlog::Term owner_term_ = 0;
  uint64_t owner_chain_ = 0;

  size_t saved_ = 0;
  size_t installed_ = 0;
};

}  // namespace assent::simulation
