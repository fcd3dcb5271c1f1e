// What a start reads, checks and repairs. Everything is read and judged before anything is changed:
// a directory that is refused is left as it was found.
#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "txlog/storage/files.h"
#include "txlog/storage/log_store.h"

namespace assent::txlog {
namespace {

constexpr uint64_t kSegmentBytesMin = 4 << 10;

Status NotBootstrapped(const std::string& directory) {
  return FailedPrecondition(
      "directory " + directory +
      " holds no node: bootstrap it if this is a new cluster. If a node did serve from here, its "
      "disk is lost or not mounted: mount it, or restore a backup (--restore); bootstrapping would "
      "make a stranger of it. Where others of its group live, remove this node (assentctl member "
      "remove) "
      "and let one with an id that was never used join from here (--join)");
}

Result<std::string> ReadFile(Disk& disk, const std::string& path) {
  Result<std::unique_ptr<File>> file = disk.Open(path);
  if (!file.ok()) return file.status();
  return (*file)->ReadAll();
}

}  // namespace

Result<NodeIdentity> LogStore::ReadIdentity(Disk& disk, const std::string& directory) {
  const std::string path = directory + "/" + std::string(kNodeFile);
  Result<std::string> text = ReadFile(disk, path);
  if (text.ok()) return DecodeNodeFile(*text, path);
  if (text.status().code() != Code::kNotFound) return text.status();
  Result<std::vector<std::string>> names = disk.List(directory);
  if (names.ok()) {
    for (const std::string& name : *names) {
      if (name == kHardStateFile || ParseSegmentName(name).has_value()) {
        return FailedPrecondition(
            "directory " + directory + " holds '" + name + "' but no file '" +
            std::string(kNodeFile) +
            "': either its bootstrap or restore was cut short (delete the directory and repeat it, "
            "if no node ever served from here) or the file was lost (bring it "
            "back from a backup)");
      }
    }
  }
  return NotFound(NotBootstrapped(directory).message());
}

Result<std::unique_ptr<LogStore>> LogStore::Open(Disk& disk, LogStoreOptions options,
                                                 Executor& spares,
                                                 std::function<void(const Status&)> die,
                                                 Recovered* recovered) {
  if (options.segment_bytes < kSegmentBytesMin || options.segment_bytes > kSegmentBytesMax) {
    return InvalidArgument("segment_bytes " + std::to_string(options.segment_bytes) + ": " +
                           std::to_string(kSegmentBytesMin) + " to " +
                           std::to_string(kSegmentBytesMax) + " are allowed");
  }
  auto store =
      std::unique_ptr<LogStore>(new LogStore(disk, std::move(options), spares, std::move(die)));
  if (Status s = store->Recover(recovered); !s.ok()) return s;
  return store;
}

Status LogStore::Recover(Recovered* recovered) {
  const std::string& directory = options_.directory;
  // Before the lock, whose file an empty directory must not get.
  Result<NodeIdentity> identity = ReadIdentity(disk_, directory);
  if (identity.status().code() == Code::kNotFound) return NotBootstrapped(directory);
  if (!identity.ok()) return identity.status();
  if (Status s = CheckOwner(*identity); !s.ok()) return s;
  recovered->identity = std::move(*identity);
  Result<std::unique_ptr<DirectoryLock>> lock = disk_.Lock(directory);
  if (!lock.ok()) return lock.status();
  lock_ = std::move(*lock);

  const std::string hard_state_path = Path(kHardStateFile);
  Result<std::string> bytes = ReadFile(disk_, hard_state_path);
  if (bytes.status().code() == Code::kNotFound) {
    return DamagedFile(hard_state_path, 0, "the file is missing");
  }
  if (!bytes.ok()) return bytes.status();
  Result<HardState> state = DecodeHardState(*bytes, hard_state_path);
  if (!state.ok()) return state.status();
  hard_state_ = *state;

  Result<std::vector<std::string>> names = disk_.List(directory);
  if (!names.ok()) return names.status();
  if (Status s = ResumeInstall(*names); !s.ok()) return s;
  names = disk_.List(directory);
  if (!names.ok()) return names.status();
  if (Status s = LoadSnapshot(*names, recovered); !s.ok()) return s;
  if (Status s = LoadSegments(*names, recovered); !s.ok()) return s;
  recovered->hard_state = hard_state_;

  for (const std::string& name : *names) {
    std::optional<Index> segment = ParseSegmentName(name);
    std::optional<Index> snapshot = ParseSnapshotName(name);
    const bool covered = segment.has_value() && *segment < segments_.front()->first_index;
    const bool replaced = snapshot.has_value() && *snapshot < snapshot_index_;
    if (!IsLeftover(name) && !covered && !replaced) continue;
    if (Status s = RemoveIfThere(disk_, Path(name)); !s.ok()) return s;
  }
  if (Status s = ForceFound(); !s.ok()) return s;
  // Room ahead; a full disk is told to whoever needs the room.
  Status s = segments_.back()->file->Allocate(options_.segment_bytes);
  return s.code() == Code::kDataLoss ? s : Ok();
}

// A killed process leaves bytes that only the page cache holds, and names that only the cache of
// the directory does. They count from now on, so they must be durable first. The last batch is
// written anew: if the process died because forcing it failed, its pages may be marked clean, and
// another fdatasync would pass over them.
Status LogStore::ForceFound() {
  Segment& segment = *segments_.back();
  Result<std::string> batch =
      segment.file->ReadAt(last_batch_offset_, segment.end - last_batch_offset_);
  if (!batch.ok()) return batch.status();
  if (Status s = segment.file->WriteAt(last_batch_offset_, *batch); !s.ok()) return s;
  if (Status s = segment.file->Sync(); !s.ok()) return s;
  return disk_.SyncDirectory(options_.directory);
}

Status LogStore::CheckOwner(const NodeIdentity& found) const {
  auto refuse = [this](const std::string& what, const std::string& theirs,
                       const std::string& ours) {
    return FailedPrecondition("directory " + options_.directory + " belongs to " + what + " " +
                              theirs + ", this node is configured as " + ours +
                              ": correct the configuration, or name this node's own directory");
  };
  if (found.cluster != options_.cluster) return refuse("cluster", found.cluster, options_.cluster);
  if (!options_.cluster_uuid.empty() && found.cluster_uuid != options_.cluster_uuid) {
    return refuse("the cluster of uuid", found.cluster_uuid, options_.cluster_uuid);
  }
  if (options_.group_incarnation != 0 && found.group_incarnation != options_.group_incarnation) {
    return refuse("group incarnation", std::to_string(found.group_incarnation),
                  std::to_string(options_.group_incarnation));
  }
  if (found.node_id != options_.node_id) {
    return refuse("node", std::to_string(found.node_id), std::to_string(options_.node_id));
  }
  return Ok();
}

// A crash fell into InstallIncoming: the log that was is void, and the snapshot stands for it.
Status LogStore::ResumeInstall(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    std::optional<Index> index = ParseInstallName(name);
    if (!index) continue;
    Result<std::string> bytes = ReadFile(disk_, Path(name));
    if (!bytes.ok()) return bytes.status();
    Result<Snapshot> snapshot = DecodeSnapshot(*bytes, Path(name));
    if (!snapshot.ok()) return snapshot.status();
    if (snapshot->index != *index || snapshot->term > hard_state_.term) {
      return DamagedFile(Path(name), 0,
                         "it holds the snapshot of entry " + std::to_string(snapshot->index) +
                             " of term " + std::to_string(snapshot->term));
    }
    LogInfo("log_install_resumed", {{"index", *index}});
    return ReplaceEverything(*index, snapshot->term);
  }
  return Ok();
}

Status LogStore::LoadSnapshot(const std::vector<std::string>& names, Recovered* recovered) {
  for (const std::string& name : names) {
    if (std::optional<Index> index = ParseSnapshotName(name)) {
      snapshot_index_ = std::max(snapshot_index_, *index);
    }
  }
  if (snapshot_index_ == 0) return Ok();
  const std::string path = Path(SnapshotName(snapshot_index_));
  Result<std::string> bytes = ReadFile(disk_, path);
  if (!bytes.ok()) return bytes.status();
  Result<Snapshot> snapshot = DecodeSnapshot(*bytes, path);
  if (!snapshot.ok()) return snapshot.status();
  if (snapshot->index != snapshot_index_) {
    return DamagedFile(path, 0,
                       "it holds the snapshot of entry " + std::to_string(snapshot->index));
  }
  snapshot_term_ = snapshot->term;
  recovered->snapshot = std::move(*snapshot);
  return Ok();
}

Status LogStore::LoadSegments(const std::vector<std::string>& names, Recovered* recovered) {
  std::vector<Index> firsts;
  for (const std::string& name : names) {
    if (std::optional<Index> index = ParseSegmentName(name)) firsts.push_back(*index);
  }
  std::sort(firsts.begin(), firsts.end());
  if (firsts.empty()) {
    return DamagedFile(options_.directory, 0, "there is no segment of the log in it");
  }

  // A roll-over that a crash cut short leaves a last segment without a header: nothing was ever
  // acknowledged in it, and it must not count when asking what the snapshot covers.
  std::string half_made;
  if (firsts.size() > 1) {
    const std::string path = Path(SegmentName(firsts.back()));
    Result<std::string> bytes = ReadFile(disk_, path);
    if (!bytes.ok()) return bytes.status();
    SegmentScan scan = ScanSegment(*bytes);
    if (!scan.has_header && scan.end == SegmentScan::End::kTorn) {
      half_made = path;
      firsts.pop_back();
    }
  }
  while (firsts.size() > 1 && firsts[1] <= snapshot_index_ + 1) firsts.erase(firsts.begin());
  if (firsts.front() > snapshot_index_ + 1) {
    return DamagedFile(Path(SegmentName(firsts.front())), 0,
                       "entries " + std::to_string(snapshot_index_ + 1) + " to " +
                           std::to_string(firsts.front() - 1) + " before it are missing");
  }
  for (Index first : firsts) {
    if (Status s = LoadSegment(first, first == firsts.back(), recovered); !s.ok()) return s;
  }
  if (Status s = CheckLoaded(); !s.ok()) return s;

  // All is read and well: only now may anything be changed.
  if (!half_made.empty()) {
    LogWarning("log_tail_cut", {{"file", half_made}, {"offset", 0}});
    if (Status s = disk_.Remove(half_made); !s.ok()) return s;
    if (Status s = disk_.SyncDirectory(options_.directory); !s.ok()) return s;
  }
  return torn_ ? CutFile(*segments_.back(), segments_.back()->end) : Ok();
}

Status LogStore::LoadSegment(Index named, bool last, Recovered* recovered) {
  auto segment = std::make_unique<Segment>();
  segment->path = Path(SegmentName(named));
  Result<std::unique_ptr<File>> file = disk_.Open(segment->path);
  if (!file.ok()) return file.status();
  segment->file = std::move(*file);
  Result<std::string> bytes = segment->file->ReadAll();
  if (!bytes.ok()) return bytes.status();

  SegmentScan scan = ScanSegment(*bytes);
  if (scan.end == SegmentScan::End::kForeign) {
    return FailedPrecondition(segment->path + ", offset " + std::to_string(scan.bad_offset) + ": " +
                              scan.why + ": start the newer program that wrote it");
  }
  const bool torn_end = scan.end == SegmentScan::End::kTorn && scan.has_header && last;
  if (scan.end != SegmentScan::End::kClean && !torn_end) {
    return DamagedFile(segment->path, scan.bad_offset, scan.why);
  }
  if (scan.header.first_index != named) {
    return DamagedFile(segment->path, 0,
                       "it holds the segment of entry " + std::to_string(scan.header.first_index));
  }
  if (!segments_.empty() &&
      (named != last_index_ + 1 || scan.header.previous_term != last_term())) {
    return DamagedFile(segments_.back()->path, segments_.back()->end,
                       "it ends at entry " + std::to_string(last_index_) + " of term " +
                           std::to_string(last_term()) + ", but the next segment begins at " +
                           std::to_string(named) + " after term " +
                           std::to_string(scan.header.previous_term));
  }
  const Index found_up_to = named + scan.records.size() - 1;
  if (torn_end && found_up_to < hard_state_.log_floor) {
    // Torn it would look, were the log not known to have been durable beyond.
    return DamagedFile(segment->path, scan.bad_offset, scan.why);
  }

  segment->first_index = named;
  segment->previous_term = scan.header.previous_term;
  segment->end = scan.end_offset;
  if (segments_.empty() && segment->previous_term != 0) {
    terms_.push_back({named - 1, segment->previous_term});
  }
  for (const SegmentScan::Found& found : scan.records) {
    segment->offsets.push_back(static_cast<uint32_t>(found.offset));
    NoteTerm(found.index, found.term);
    if (found.index > snapshot_index_) {
      recovered->entries.push_back(
          {found.index, found.term, found.type, std::string(found.payload)});
    }
  }
  last_index_ = found_up_to;
  last_batch_offset_ = scan.records.empty() ? 0 : scan.records.back().batch_offset;
  segments_.push_back(std::move(segment));
  if (torn_end) {
    torn_ = true;
    LogWarning("log_tail_cut", {{"file", segments_.back()->path},
                                {"offset", scan.bad_offset},
                                {"last_index", last_index_},
                                {"reason", scan.why}});
  }
  return Ok();
}

Status LogStore::CheckLoaded() const {
  const Segment& last = *segments_.back();
  const Index needed = std::max(hard_state_.log_floor, snapshot_index_);
  if (last_index_ < needed) {
    return DamagedFile(last.path, last.end,
                       "the log ends at entry " + std::to_string(last_index_) +
                           " but was durable up to " + std::to_string(needed));
  }
  if (last_term() > hard_state_.term) {
    return DamagedFile(Path(kHardStateFile), 0,
                       "it is of term " + std::to_string(hard_state_.term) +
                           ", older than the log's last term " + std::to_string(last_term()));
  }
  return Ok();
}

}  // namespace assent::txlog
