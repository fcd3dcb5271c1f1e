// The decision log of a group of one node: this node's disk is the majority.
//
// Whoever survives in the log has been decided: a record is durable once its batch is forced, and
// every record found at start is committed by the no-op of the new term, as in Raft.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/status.h"
#include "txlog/decision_log.h"
#include "txlog/log_observer.h"
#include "txlog/storage/disk.h"
#include "txlog/storage/format.h"

namespace assent::txlog {

struct LocalLogOptions {
  // Where the files are; made by Bootstrap.
  std::string directory;
  // Who we believe to be: a directory of another cluster or node is refused.
  std::string cluster;
  uint64_t node_id = 1;
  // Checked too, unless empty.
  std::string cluster_uuid;

  // Size of a log file, made ahead and zeroed. 4 KiB to 1 GiB.
  uint64_t segment_bytes = 16 << 20;
  // Ask for a snapshot once so many bytes of log stand behind the last one.
  uint64_t snapshot_after_bytes = 64 << 20;

  // Told of each forced write; must outlive the log. Null: nobody is.
  LogObserver* observer = nullptr;

  // Where the files really are; must outlive the log. Null: the real disk.
  Disk* disk = nullptr;
  // Called once, on any of the log's threads, when a forced write failed: must end the process. If
  // it returns (tests), the log does nothing any more and answers kInDoubt. Null: std::abort after
  // one line in the log.
  std::function<void(const Status&)> on_death;
};

// Makes `directory` (which must not exist, or be empty) the home of a new group with this node as
// its only member, and `first_record` the group's first committed entry, index 1 of term 1.
//
// INVALID_ARGUMENT: identity or record is not allowed. FAILED_PRECONDITION: the directory is not
// empty, or another process works in it. RESOURCE_EXHAUSTED, UNAVAILABLE: the disk's words; delete
// what is there and try again.
Status Bootstrap(Disk& disk, const std::string& directory, const NodeIdentity& identity,
                 std::string first_record);

// Who owns the directory. NOT_FOUND: nobody yet, it was not bootstrapped. DATA_LOSS,
// FAILED_PRECONDITION as LocalLog::Open. Takes no lock.
Result<NodeIdentity> ReadNodeIdentity(Disk& disk, const std::string& directory);

// See DecisionLog for the calls.
class LocalLog final : public DecisionLog {
 public:
  // Reads and repairs the log, raises the term (forced), appends and forces that term's no-op. Then
  // the log thread starts and tells `listener`, in this order: the snapshot if there is one, every
  // older entry behind it, leadership, and the no-op. `listener` must outlive the log.
  //
  // FAILED_PRECONDITION: not bootstrapped, in use by another process, of another cluster or node,
  // or of a newer format. DATA_LOSS: damaged; names file, offset and remedy. RESOURCE_EXHAUSTED: no
  // room even for the no-op. INVALID_ARGUMENT: an option. UNAVAILABLE: the disk's words.
  static Result<std::unique_ptr<LocalLog>> Open(LocalLogOptions options, Listener& listener);

  // Finishes what was proposed before (answers and applies it), then stops.
  ~LocalLog() override;

  // The term of this start; it never changes.
  Term term() const;
  const NodeIdentity& identity() const;

  void Propose(std::string record, Term term, std::function<void(Fate)> done) override;
  void ProposeWithNext(std::string record, Term term, std::function<void(Fate)> done) override;
  void ReadBarrier(std::function<void(Status)> done) override;
  void SaveSnapshot(Index index, std::string state) override;
  // Always FAILED_PRECONDITION: this engine has one member for good.
  void ChangeMembership(MembershipChange change, std::function<void(Status)> done) override;
  void TransferLeadership(uint64_t to, std::function<void(Status)> done) override;
  void ListMembers(std::function<void(GroupProgress)> done) override;

 private:
  class Impl;
  explicit LocalLog(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace assent::txlog
