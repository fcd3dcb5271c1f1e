// Snapshots: kept for the owner, sent to peers in pieces, and received from the leader.
#include <utility>

#include "base/log.h"
#include "base/mutant.h"
#include "txlog/replicated/engine.h"
#include "txlog/replicated/members.h"
#include "txlog/storage/files.h"

namespace assent::txlog {
namespace {

// The owner's state of a snapshot that is on disk. NOT_FOUND: replaced by a newer one.
Result<std::string> LoadState(Disk& disk, const std::string& directory, Index index) {
  const std::string path = directory + "/" + SnapshotName(index);
  Result<std::unique_ptr<File>> file = disk.Open(path);
  if (!file.ok()) return file.status();
  Result<std::string> bytes = (*file)->ReadAll();
  if (!bytes.ok()) return bytes.status();
  // Checked here, since the receiver keeps it under a checksum of its own.
  Result<Snapshot> snapshot = DecodeSnapshot(*bytes, path);
  if (!snapshot.ok()) return snapshot.status();
  Result<UnpackedSnapshot> unpacked = UnpackSnapshot(std::move(snapshot->state));
  if (!unpacked.ok()) return unpacked.status();
  return std::move(unpacked->state);
}

}  // namespace

// ---- The owner's --------------------------------------------------------------------------------

void ReplicatedEngine::Perform(raft::SnapshotWanted&) { listener_.OnSnapshotWanted(); }

void ReplicatedEngine::On(SnapshotGiven& input) {
  std::optional<raft::SnapshotMeta> meta = raft_.SnapshotMetaAt(
      MutantOn(Mutant::kSnapshotOlderThanLabel) ? raft_.applied_index() : input.index);
  // A newer one is there, or on its way.
  if (dead_.load() || !meta || meta->index <= snapshot_given_) return;
  snapshot_given_ = meta->index;
  RunSlowly([this, index = meta->index, term = meta->term,
             state = std::make_shared<std::string>(
                 PackSnapshot(meta->config, input.state))]() -> std::function<void()> {
    Status s = LogStore::WriteSnapshot(disk_, options_.directory, index, term, *state);
    if (s.code() == Code::kDataLoss) Die(s);
    return [this, index, s] {
      if (s.ok()) {
        LogInfo("log_snapshot_saved", {{"index", index}});
      } else {
        // Everything is still in the log.
        LogWarning("log_snapshot_failed", {{"index", index}, {"reason", s.message()}});
        if (index == snapshot_given_) snapshot_given_ = 0;
      }
      Step(raft::SnapshotSaved{index, s.ok()});
    };
  });
}

// ---- To peers -----------------------------------------------------------------------------------

void ReplicatedEngine::Perform(raft::ReadSnapshotChunk& action) {
  if (loaded_ != nullptr && loaded_index_ == action.index) return Answer(action);
  chunks_asked_.push_back(action);
  LoadSnapshot();
}

// The one that was asked for first.
void ReplicatedEngine::LoadSnapshot() {
  if (std::exchange(loading_, true)) return;
  RunSlowly([this, index = chunks_asked_.front().index]() -> std::function<void()> {
    Result<std::string> state = LoadState(disk_, options_.directory, index);
    if (state.status().code() == Code::kDataLoss) Die(state.status());
    raft::Payload payload;
    if (state.ok()) payload = std::make_shared<const std::string>(std::move(*state));
    return
        [this, index, status = state.status(), payload] { SnapshotLoaded(index, status, payload); };
  });
}

void ReplicatedEngine::SnapshotLoaded(Index index, Status status, raft::Payload state) {
  loading_ = false;
  if (state != nullptr) {
    loaded_ = std::move(state);
    loaded_index_ = index;
  } else if (status.code() != Code::kNotFound) {
    // Tried again with the next tick.
    LogWarning("log_snapshot_not_read", {{"index", index}, {"reason", status.message()}});
    return;
  }
  for (raft::ReadSnapshotChunk& asked : std::exchange(chunks_asked_, {})) {
    if (loaded_ != nullptr && asked.index == loaded_index_) {
      Answer(asked);
    } else if (asked.index == index) {
      Step(raft::SnapshotChunkRead{
          .peer = asked.peer, .index = index, .offset = asked.offset, .gone = true});
    } else {
      Perform(asked);
    }
  }
}

void ReplicatedEngine::Answer(const raft::ReadSnapshotChunk& asked) {
  loaded_used_ = ticks_;
  const uint64_t size = loaded_->size();
  const uint64_t offset = std::min<uint64_t>(asked.offset, size);
  const uint64_t bytes = std::min(asked.bytes_max, size - offset);
  Step(raft::SnapshotChunkRead{
      .peer = asked.peer,
      .index = asked.index,
      .offset = asked.offset,
      .data = bytes == 0 ? nullptr
                         : std::make_shared<const std::string>(loaded_->substr(offset, bytes)),
      .last = offset + bytes == size});
}

// ---- From the leader ----------------------------------------------------------------------------

void ReplicatedEngine::Perform(raft::StageSnapshotChunk& action) {
  if (action.offset == 0) {
    staged_ = std::make_shared<std::string>();
    ++staging_;
  }
  if (staged_ == nullptr || staged_->size() != action.offset) return;  // Begun anew meanwhile.
  if (action.data != nullptr) *staged_ += *action.data;
  if (!action.last) return;
  RunSlowly(
      [this, meta = action.meta, staging = staging_, state = staged_]() -> std::function<void()> {
        Status s = LogStore::WriteIncoming(disk_, options_.directory, meta.index, meta.term,
                                           PackSnapshot(meta.config, *state));
        if (s.code() == Code::kDataLoss) Die(s);
        return [this, index = meta.index, staging, s] {
          if (!s.ok()) {
            LogWarning("log_snapshot_not_received", {{"index", index}, {"reason", s.message()}});
          }
          // The file may be another's by now.
          if (staging == staging_) Step(raft::SnapshotStaged{index, s.ok()});
        };
      });
}

}  // namespace assent::txlog
