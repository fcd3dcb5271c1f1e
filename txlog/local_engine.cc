#include "txlog/local_engine.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mutant.h"
#include "txlog/storage/files.h"
#include "txlog/storage/posix_disk.h"

namespace assent::txlog {
namespace {

// A batch beyond this takes long enough to write that the first of it should not wait for the rest.
constexpr uint64_t kBatchBytesMax = 1 << 20;
// How many entries OnApplied gets at a time at start.
constexpr size_t kReplayEntries = 4096;

Disk& RealDisk() {
  static PosixDisk disk;
  return disk;
}

}  // namespace

LocalEngine::LocalEngine(const LocalLogOptions& options, Listener& listener, Executor& snapshots,
                         std::function<void(Index, Term, Status)> snapshot_written)
    : options_(options),
      disk_(options.disk != nullptr ? *options.disk : RealDisk()),
      listener_(listener),
      snapshots_(snapshots),
      snapshot_written_(std::move(snapshot_written)),
      snapshot_at_bytes_(options.snapshot_after_bytes) {}

Result<std::unique_ptr<LocalEngine>> LocalEngine::Open(
    const LocalLogOptions& options, Listener& listener, Executor& spares, Executor& snapshots,
    std::function<void(Index, Term, Status)> snapshot_written) {
  auto engine = std::unique_ptr<LocalEngine>(
      new LocalEngine(options, listener, snapshots, std::move(snapshot_written)));
  if (Status s = engine->Start(spares); !s.ok()) return s;
  return engine;
}

Status LocalEngine::Start(Executor& spares) {
  LogStoreOptions store_options{.directory = options_.directory,
                                .cluster = options_.cluster,
                                .node_id = options_.node_id,
                                .cluster_uuid = options_.cluster_uuid,
                                .segment_bytes = options_.segment_bytes,
                                .observer = options_.observer};
  Result<std::unique_ptr<LogStore>> store = LogStore::Open(
      disk_, std::move(store_options), spares, [this](const Status& s) { Die(s); }, &recovered_);
  if (!store.ok()) return store.status();
  store_ = std::move(*store);

  // The term before anything else: no two starts may ever hand out ids of the same term.
  term_ = store_->hard_state().term + 1;
  const HardState raised{
      .term = term_, .vote = options_.node_id, .log_floor = store_->last_index()};
  if (Status s = store_->SaveHardState(raised); !s.ok()) return s;
  // The own entry of the new term commits every entry before it, as in Raft.
  std::vector<Entry> noop(1);
  noop[0] = {.index = store_->last_index() + 1, .term = term_, .type = EntryType::kNoop};
  Status s = store_->Write(noop);
  if (s.ok()) s = store_->Force();
  if (!s.ok()) return s;
  recovered_.entries.push_back(std::move(noop[0]));
  snapshot_index_ = recovered_.snapshot.has_value() ? recovered_.snapshot->index : 0;
  snapshot_asked_ = snapshot_index_;
  return Ok();
}

void LocalEngine::Announce() {
  LogInfo("log_opened", {{"directory", options_.directory},
                         {"term", term_},
                         {"last_index", store_->last_index()},
                         {"snapshot_index", snapshot_index_}});
  if (recovered_.snapshot.has_value()) {
    Snapshot snapshot = std::move(*recovered_.snapshot);
    recovered_.snapshot.reset();
    listener_.OnSnapshot(snapshot.index, snapshot.term, std::move(snapshot.state));
  }
  std::vector<Entry> entries = std::exchange(recovered_.entries, {});
  Entry noop = std::move(entries.back());
  entries.pop_back();
  for (size_t from = 0; from < entries.size(); from += kReplayEntries) {
    const size_t to = std::min(entries.size(), from + kReplayEntries);
    HandOver(std::vector<Entry>(std::make_move_iterator(entries.begin() + from),
                                std::make_move_iterator(entries.begin() + to)));
  }
  listener_.OnLeadership(term_, true);
  std::vector<Entry> last;
  last.push_back(std::move(noop));
  HandOver(std::move(last));
  bytes_behind_snapshot_ = store_->BytesAfter(snapshot_index_);
  AskForSnapshot();
}

void LocalEngine::Commit(std::vector<Proposal> proposals) {
  std::vector<Entry> entries;
  std::vector<std::function<void(Fate)>> dones;
  uint64_t bytes = 0;
  auto flush = [&] {
    if (!entries.empty()) {
      CommitBatch(std::exchange(entries, {}), std::exchange(dones, {}));
    }
    bytes = 0;
  };
  for (Proposal& proposal : proposals) {
    if (proposal.term != term_ || proposal.record.empty() ||
        proposal.record.size() > kRecordBytesMax) {
      proposal.done(Fate::kRefused);
      continue;
    }
    const uint64_t more = RecordBytes(proposal.record.size());
    // A batch stays within one segment; one that does not fit begins the next segment.
    if (bytes + more > kBatchBytesMax || bytes + more > store_->RoomInSegment()) flush();
    bytes += more;
    entries.push_back({.index = store_->last_index() + 1 + entries.size(),
                       .term = term_,
                       .payload = std::move(proposal.record)});
    dones.push_back(std::move(proposal.done));
  }
  flush();
  AskForSnapshot();
}

void LocalEngine::CommitBatch(std::vector<Entry> entries,
                              const std::vector<std::function<void(Fate)>>& dones) {
  auto answer = [&dones](Fate fate) {
    for (const auto& done : dones) done(fate);
  };
  if (dead_.load()) return answer(Fate::kInDoubt);
  if (MutantOn(Mutant::kReplyBeforeFsync)) {
    HandOver(entries);
    answer(Fate::kDurable);
    if (Status s = WriteAndForce(entries); !s.ok()) Die(s);
    return;
  }
  Status s = WriteAndForce(entries);
  if (s.ok()) {
    NoteRoom(0, "");
    HandOver(std::move(entries));
    answer(Fate::kDurable);
  } else if (s.code() == Code::kResourceExhausted) {
    NoteRoom(dones.size(), s.message());
    answer(Fate::kRefused);
  } else {
    Die(s);
    answer(Fate::kInDoubt);
  }
}

Status LocalEngine::WriteAndForce(const std::vector<Entry>& entries) {
  ASSENT_FAILPOINT("coord.append.before");
  if (Status s = store_->Write(entries); !s.ok()) return s;
  ASSENT_FAILPOINT("coord.append.after");
  ASSENT_FAILPOINT("coord.fsync.before");
  if (Status s = store_->Force(); !s.ok()) return s;
  ASSENT_FAILPOINT("coord.fsync.after");
  return Ok();
}

void LocalEngine::HandOver(std::vector<Entry> entries) {
  std::vector<Applied> applied;
  applied.reserve(entries.size());
  for (Entry& entry : entries) {
    bytes_behind_snapshot_ += RecordBytes(entry.payload.size());
    applied.push_back({entry.index, entry.term, std::move(entry.payload)});
  }
  applied_ = applied.back().index;
  listener_.OnApplied(std::move(applied));
}

// One line when the disk fills up and one when there is room again, however many are refused.
void LocalEngine::NoteRoom(size_t refused, const std::string& reason) {
  if (refused > 0 && refused_for_room_ == 0) {
    LogWarning("log_disk_full", {{"directory", options_.directory}, {"reason", reason}});
  } else if (refused == 0 && refused_for_room_ > 0) {
    LogInfo("log_disk_has_room", {{"refused_meanwhile", refused_for_room_}});
  }
  refused_for_room_ = refused == 0 ? 0 : refused_for_room_ + refused;
}

void LocalEngine::AskForSnapshot() {
  if (snapshot_wanted_ || bytes_behind_snapshot_ < snapshot_at_bytes_ || dead_.load()) return;
  snapshot_wanted_ = true;
  listener_.OnSnapshotWanted();
}

void LocalEngine::Barrier(const std::function<void(Status)>& done) {
  if (dead_.load()) {
    done(Unavailable("the log of " + options_.directory + " has stopped after a failed write"));
    return;
  }
  done(Ok());
}

void LocalEngine::SaveSnapshot(Index index, std::string state) {
  ASSENT_CHECK(index <= applied_);
  if (dead_.load()) return;
  if (index <= snapshot_asked_) return;  // A newer one is there, or on its way.
  std::optional<Term> term = store_->TermAt(index);
  ASSENT_CHECK(term.has_value());
  snapshot_asked_ = index;
  snapshot_wanted_ = true;  // Not to be asked for while it is being written.
  auto shared = std::make_shared<std::string>(std::move(state));  // std::function must be copyable.
  snapshots_.Run([this, index, term = *term, shared] {
    Status s = LogStore::WriteSnapshot(disk_, options_.directory, index, term, *shared);
    if (s.code() == Code::kDataLoss) Die(s);
    snapshot_written_(index, term, s);
  });
}

void LocalEngine::SnapshotWritten(Index index, Term term, const Status& status) {
  if (dead_.load()) return;
  if (index == snapshot_asked_) snapshot_wanted_ = false;
  if (!status.ok()) {
    // Everything is still in the log. Not asked for again at once, since the disk is likely full.
    LogWarning("log_snapshot_failed", {{"index", index}, {"reason", status.message()}});
    if (index == snapshot_asked_) snapshot_asked_ = snapshot_index_;
    snapshot_at_bytes_ = bytes_behind_snapshot_ + options_.snapshot_after_bytes / 4;
    return;
  }
  snapshot_index_ = index;
  snapshot_at_bytes_ = options_.snapshot_after_bytes;
  std::vector<std::string> covered = store_->DropCovered(index, term);
  bytes_behind_snapshot_ = store_->BytesAfter(index);
  LogInfo("log_snapshot_saved", {{"index", index}, {"segments_removed", covered.size()}});
  if (covered.empty()) return;
  snapshots_.Run([this, covered = std::move(covered)] {
    for (const std::string& path : covered) {
      // The next start removes what is left.
      if (Status s = RemoveInSteps(disk_, path); s.code() == Code::kDataLoss) {
        Die(s);
      } else if (!s.ok()) {
        LogWarning("log_segment_not_removed", {{"reason", s.message()}});
      }
    }
  });
}

void LocalEngine::Close() {
  if (dead_.load()) return;
  HardState state = store_->hard_state();
  state.log_floor = store_->last_index();
  if (Status s = store_->SaveHardState(state); !s.ok()) {
    LogWarning("log_floor_not_saved", {{"reason", s.message()}});
  }
}

void LocalEngine::Die(const Status& status) {
  if (dead_.exchange(true)) return;
  LogError("log_died", {{"directory", options_.directory}, {"reason", status.message()}});
  if (options_.on_death) {
    options_.on_death(status);
  } else {
    std::abort();
  }
}

}  // namespace assent::txlog
