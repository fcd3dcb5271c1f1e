// The log's directory: segments, hard state, snapshots, whose it is. Knows terms, votes and
// suffixes as Raft does, but nothing of groups or commitment: the engines above decide.
//
// One thread at a time. Every error of code DATA_LOSS or UNAVAILABLE from a call that writes means
// that what the disk holds is no longer known: end the process and let the next start find out.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "txlog/log_observer.h"
#include "txlog/storage/disk.h"
#include "txlog/storage/executor.h"
#include "txlog/storage/format.h"
#include "txlog/storage/spare_segment.h"

namespace assent::txlog {

struct LogStoreOptions {
  std::string directory;
  std::string cluster;
  uint64_t node_id = 1;
  std::string cluster_uuid;        // Empty: any.
  uint64_t group_incarnation = 0;  // 0: any.
  uint64_t segment_bytes = 16 << 20;
  LogObserver* observer = nullptr;  // Told of each Force. Outlives the store; null: nobody is.
};

// What a start finds.
struct Recovered {
  NodeIdentity identity;
  HardState hard_state;
  std::optional<Snapshot> snapshot;
  std::vector<Entry> entries;  // Behind the snapshot, without gap. Durable.
};

class LogStore {
 public:
  // Reads everything, cuts a torn tail, removes leftovers, and forces what it found (a killed
  // process may have left bytes that only the page cache holds).
  //
  // FAILED_PRECONDITION: not bootstrapped, in use, of another cluster or node, of a newer format.
  // DATA_LOSS: damaged; nothing was changed. Messages name file, offset and remedy.
  // `spares` makes segments ahead; `die` is called there if a flush fails.
  static Result<std::unique_ptr<LogStore>> Open(Disk& disk, LogStoreOptions options,
                                                Executor& spares,
                                                std::function<void(const Status&)> die,
                                                Recovered* recovered);

  // Makes `directory`, which must not exist, or be empty. `first`: the entries that the log begins
  // with, from index 1, all of term 1; none for a node that will get everything from others.
  //
  // INVALID_ARGUMENT: identity or an entry is not allowed. FAILED_PRECONDITION: the directory is
  // not empty, or another process works in it. RESOURCE_EXHAUSTED, UNAVAILABLE: the disk's words;
  // delete what is there and try again.
  static Status Create(Disk& disk, const std::string& directory, const NodeIdentity& identity,
                       const std::vector<Entry>& first);
  // The same for a log that begins with a snapshot, of index 1 and term 1, in place of entries.
  static Status CreateFromState(Disk& disk, const std::string& directory,
                                const NodeIdentity& identity, std::string_view state);
  // Who owns the directory. NOT_FOUND: nobody yet, it was not bootstrapped. DATA_LOSS,
  // FAILED_PRECONDITION as Open. Takes no lock.
  static Result<NodeIdentity> ReadIdentity(Disk& disk, const std::string& directory);

  Index last_index() const { return last_index_; }
  Index snapshot_index() const { return snapshot_index_; }  // 0: none.
  Term last_term() const;
  // Nothing for what is compacted away (the snapshot's own index is known) or not yet there.
  std::optional<Term> TermAt(Index index) const;
  // Bytes of log behind `index`.
  uint64_t BytesAfter(Index index) const;
  // The most that one batch should hold to fit behind what is there; more than this rolls over.
  uint64_t RoomInSegment() const;

  // Writes `entries` (not empty, following last_index, terms not falling) as one batch. Not durable
  // before Force, which must come before the next batch.
  // RESOURCE_EXHAUSTED: the disk is full; nothing was written that a later start could find.
  Status Write(std::span<const Entry> entries);
  // One fdatasync.
  Status Force();

  // Entries `from` to `to`, both included and there, read back from disk.
  Result<std::vector<Entry>> Read(Index from, Index to);

  // The same, up to `to` at most, ending before the bytes of their records exceed `bytes_max`; but
  // never without the first one. NOT_FOUND: entry `from` is compacted away.
  Result<std::vector<Entry>> ReadWithin(Index from, Index to, uint64_t bytes_max);

  // Drops every entry behind `last_kept`, durably. Lowers the hard state's floor first.
  Status TruncateAfter(Index last_kept);

  const HardState& hard_state() const { return hard_state_; }
  // Durable once it returns OK. RESOURCE_EXHAUSTED: the old one stands.
  Status SaveHardState(const HardState& state);

  // Writes a snapshot's file and removes older ones. Touches nothing else: may run on any thread,
  // one at a time. Errors: RESOURCE_EXHAUSTED and UNAVAILABLE leave the old snapshot in place.
  static Status WriteSnapshot(Disk& disk, const std::string& directory, Index index, Term term,
                              std::string_view state);

  // Writes a snapshot that came from elsewhere beside the log, for InstallIncoming. Threads and
  // errors as WriteSnapshot.
  static Status WriteIncoming(Disk& disk, const std::string& directory, Index index, Term term,
                              std::string_view state);

  // Makes the incoming snapshot this node's own. If the log holds entry (index, term), it stays,
  // and DropCovered may follow; otherwise the snapshot takes the place of the whole log, which then
  // ends at `index` (Raft, figure 13). Afterwards last_index() >= index. `index` must be beyond the
  // present snapshot. An error of any kind: end the process; the next start finishes the work.
  Status InstallIncoming(Index index, Term term);

  // A durable snapshot covers everything up to `index`: forgets the segments that it covers wholly,
  // and names their files, oldest first, for the caller to remove (on a thread that may wait).
  std::vector<std::string> DropCovered(Index index, Term term);

 private:
  struct Segment {
    Index first_index = 0;
    Term previous_term = 0;
    std::string path;
    std::unique_ptr<File> file;
    uint64_t end = 0;               // Where the next record goes; 0: not even the header stands.
    std::vector<uint32_t> offsets;  // Of each record.
  };
  struct TermRun {
    Index first = 0;
    Term term = 0;
  };

  LogStore(Disk& disk, LogStoreOptions options, Executor& spares,
           std::function<void(const Status&)> die);

  Status Recover(Recovered* recovered);
  Status CheckOwner(const NodeIdentity& found) const;
  Status ResumeInstall(const std::vector<std::string>& names);
  Status ReplaceEverything(Index index, Term term);
  Status DropIncomingBefore(Index index);
  Status LoadSnapshot(const std::vector<std::string>& names, Recovered* recovered);
  Status LoadSegments(const std::vector<std::string>& names, Recovered* recovered);
  Status LoadSegment(Index named, bool last, Recovered* recovered);
  Status CheckLoaded() const;
  Status ForceFound();
  Status Roll(uint64_t bytes_needed);
  Status TakeBack(bool rolled);
  Status CutFile(Segment& segment, uint64_t offset);
  void NoteTerm(Index index, Term term);
  std::string Path(std::string_view name) const;

  Disk& disk_;
  const LogStoreOptions options_;
  SpareSegment spare_;
  std::unique_ptr<DirectoryLock> lock_;
  HardState hard_state_;
  Index snapshot_index_ = 0;
  Term snapshot_term_ = 0;
  Index last_index_ = 0;
  std::vector<std::unique_ptr<Segment>> segments_;  // Oldest first; the last one is written.
  std::vector<TermRun> terms_;                      // Of the entries in segments_.
  bool torn_ = false;                               // Only while recovering, as the next one.
  uint64_t last_batch_offset_ = 0;                  // In the last segment.
  bool unforced_ = false;
  LogObserver::Forced unforced_batch_;  // What OnForced will tell.
  bool directory_dirty_ = false;
};

}  // namespace assent::txlog
