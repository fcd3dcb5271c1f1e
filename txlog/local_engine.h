// The one-node engine without its threads: what happens in which order. Tests drive it step by step
// on a simulated disk; LocalLog gives it a thread and a queue.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "txlog/decision_log.h"
#include "txlog/local_log.h"
#include "txlog/storage/log_store.h"

namespace assent::txlog {

// A record on its way into the log.
struct Proposal {
  std::string record;
  Term term = 0;
  std::function<void(Fate)> done;
};

// Not thread-safe: one thread owns it. Calls into the listener come from that thread.
class LocalEngine {
 public:
  // As LocalLog::Open. `spares` makes segments ahead and `snapshots` writes snapshots; both may be
  // other threads, and must have run or dropped their tasks before the engine dies.
  // `snapshot_written`: called on `snapshots`; must lead to SnapshotWritten on the owning thread.
  static Result<std::unique_ptr<LocalEngine>> Open(
      const LocalLogOptions& options, Listener& listener, Executor& spares, Executor& snapshots,
      std::function<void(Index, Term, Status)> snapshot_written);

  // Tells the listener what Open found. Once, before anything else.
  void Announce();

  // Appends as few batches as the segments allow, each with one write and one fdatasync. Every
  // `done` has run when it returns.
  void Commit(std::vector<Proposal> proposals);

  // Everything committed was handed over when it returned: that is all a group of one must prove.
  void Barrier(const std::function<void(Status)>& done);

  void SaveSnapshot(Index index, std::string state);
  void SnapshotWritten(Index index, Term term, const Status& status);

  // After the last commit: notes durably how far the log reaches, so that a later loss of its end
  // cannot pass for a torn write. Best effort.
  void Close();

  Term term() const { return term_; }
  const NodeIdentity& identity() const { return recovered_.identity; }

 private:
  LocalEngine(const LocalLogOptions& options, Listener& listener, Executor& snapshots,
              std::function<void(Index, Term, Status)> snapshot_written);

  Status Start(Executor& spares);
  void CommitBatch(std::vector<Entry> entries, const std::vector<std::function<void(Fate)>>& dones);
  Status WriteAndForce(const std::vector<Entry>& entries);
  void HandOver(std::vector<Entry> entries);
  void AskForSnapshot();
  void NoteRoom(size_t refused, const std::string& reason);
  void Die(const Status& status);

  const LocalLogOptions options_;
  Disk& disk_;
  Listener& listener_;
  Executor& snapshots_;
  const std::function<void(Index, Term, Status)> snapshot_written_;
  std::unique_ptr<LogStore> store_;
  Recovered recovered_;
  Term term_ = 0;
  Index applied_ = 0;
  Index snapshot_index_ = 0;  // Of the last durable snapshot.
  Index snapshot_asked_ = 0;  // Of the last one that SaveSnapshot accepted.
  uint64_t bytes_behind_snapshot_ = 0;
  uint64_t snapshot_at_bytes_ = 0;
  bool snapshot_wanted_ = false;
  uint64_t refused_for_room_ = 0;   // Since the disk was last known to have room.
  std::atomic<bool> dead_ = false;  // Set on any thread.
};

}  // namespace assent::txlog
