// Writing and compaction. Reading at start is in log_recovery.cc.
#include "txlog/storage/log_store.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "base/mutant.h"
#include "txlog/storage/files.h"

namespace assent::txlog {

LogStore::LogStore(Disk& disk, LogStoreOptions options, Executor& spares,
                   std::function<void(const Status&)> die)
    : disk_(disk),
      options_(std::move(options)),
      spare_(disk_, options_.directory, options_.segment_bytes, spares, std::move(die)) {}

std::string LogStore::Path(std::string_view name) const {
  return options_.directory + "/" + std::string(name);
}

namespace {

// Of whatever a new log begins with.
constexpr Term kFirstTerm = 1;

// Takes the directory for this process, if nothing is in it.
Result<std::unique_ptr<DirectoryLock>> LockEmpty(Disk& disk, const std::string& directory) {
  if (Status s = disk.CreateDirectory(directory); !s.ok()) return s;
  Result<std::unique_ptr<DirectoryLock>> lock = disk.Lock(directory);
  if (!lock.ok()) return lock.status();
  Result<std::vector<std::string>> names = disk.List(directory);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    if (name == kLockFile) continue;
    bool whole = std::find(names->begin(), names->end(), kNodeFile) != names->end();
    return FailedPrecondition(
        "directory " + directory + " is not empty (it holds '" + name + "'): " +
        (whole ? "it belongs to a node already; start that node without bootstrap or restore, or "
                 "name another directory"
               : "if these are the traces of a bootstrap or restore that was cut short, and no "
                 "node ever served from here, delete the directory and repeat it; otherwise name "
                 "another one"));
  }
  return lock;
}

// The files that are there in every directory. Of an empty one that is locked.
Status MakeFiles(Disk& disk, const std::string& directory, const NodeIdentity& identity,
                 Index first_index, const std::string& segment, const HardState& state,
                 const Snapshot* snapshot) {
  if (Status s = ReplaceFile(disk, directory, SegmentName(first_index), {segment}); !s.ok()) {
    return s;
  }
  if (snapshot != nullptr) {
    Status s =
        LogStore::WriteSnapshot(disk, directory, snapshot->index, snapshot->term, snapshot->state);
    if (!s.ok()) return s;
  }
  if (Status s =
          ReplaceFile(disk, directory, std::string(kHardStateFile), {EncodeHardState(state)});
      !s.ok()) {
    return s;
  }
  // Last, since its presence means that the directory is complete.
  return ReplaceFile(disk, directory, std::string(kNodeFile), {EncodeNodeFile(identity)});
}

}  // namespace

Status LogStore::Create(Disk& disk, const std::string& directory, const NodeIdentity& identity,
                        const std::vector<Entry>& first) {
  if (Status s = CheckIdentity(identity); !s.ok()) return s;
  for (const Entry& entry : first) {
    if (entry.payload.empty() || entry.payload.size() > kRecordBytesMax) {
      return InvalidArgument("a first record of " + std::to_string(entry.payload.size()) +
                             " bytes: 1 to " + std::to_string(kRecordBytesMax) + " are allowed");
    }
  }
  Result<std::unique_ptr<DirectoryLock>> lock = LockEmpty(disk, directory);
  if (!lock.ok()) return lock.status();
  std::string segment = EncodeSegmentHeader({.first_index = 1, .previous_term = 0});
  for (const Entry& entry : first) AppendRecord(segment, entry, 0);
  // Whoever makes a first entry counts as having voted in its term; a node without one, in none.
  HardState state;
  if (!first.empty()) {
    state = {.term = kFirstTerm, .vote = identity.node_id, .log_floor = first.size()};
  }
  return MakeFiles(disk, directory, identity, 1, segment, state, nullptr);
}

Status LogStore::CreateFromState(Disk& disk, const std::string& directory,
                                 const NodeIdentity& identity, std::string_view state) {
  if (Status s = CheckIdentity(identity); !s.ok()) return s;
  Result<std::unique_ptr<DirectoryLock>> lock = LockEmpty(disk, directory);
  if (!lock.ok()) return lock.status();
  const Snapshot snapshot{.index = 1, .term = kFirstTerm, .state = std::string(state)};
  const Index next = snapshot.index + 1;
  return MakeFiles(disk, directory, identity, next,
                   EncodeSegmentHeader({.first_index = next, .previous_term = snapshot.term}),
                   {.term = kFirstTerm, .vote = identity.node_id, .log_floor = snapshot.index},
                   &snapshot);
}

Term LogStore::last_term() const { return terms_.empty() ? snapshot_term_ : terms_.back().term; }

std::optional<Term> LogStore::TermAt(Index index) const {
  if (index == snapshot_index_) return snapshot_term_;
  if (index > last_index_) return std::nullopt;
  auto after = std::upper_bound(terms_.begin(), terms_.end(), index,
                                [](Index i, const TermRun& run) { return i < run.first; });
  if (after == terms_.begin()) return std::nullopt;
  return std::prev(after)->term;
}

void LogStore::NoteTerm(Index index, Term term) {
  if (terms_.empty() || terms_.back().term != term) terms_.push_back({index, term});
}

uint64_t LogStore::BytesAfter(Index index) const {
  uint64_t bytes = 0;
  for (const auto& segment : segments_) {
    if (segment->offsets.empty()) continue;
    if (index < segment->first_index) {
      bytes += segment->end - kSegmentHeaderBytes;
    } else if (size_t covered = index - segment->first_index + 1;
               covered < segment->offsets.size()) {
      bytes += segment->end - segment->offsets[covered];
    }
  }
  return bytes;
}

uint64_t LogStore::RoomInSegment() const {
  uint64_t end = segments_.back()->end;
  return end < options_.segment_bytes ? options_.segment_bytes - end : 0;
}

Status LogStore::Write(std::span<const Entry> entries) {
  ASSENT_CHECK(!unforced_ && !entries.empty());
  uint64_t bytes = 0;
  Index index = last_index_;
  Term term = last_term();
  for (const Entry& entry : entries) {
    ASSENT_CHECK(entry.index == ++index && entry.term >= term && entry.term <= hard_state_.term);
    term = entry.term;
    bytes += RecordBytes(entry.payload.size());
  }
  const bool rolls = bytes > RoomInSegment();
  if (rolls) {
    if (Status s = Roll(kSegmentHeaderBytes + bytes); !s.ok()) return s;
  }

  Segment& segment = *segments_.back();
  const uint64_t batch_offset = segment.end;
  std::string buffer;
  buffer.reserve(bytes + kSegmentHeaderBytes);
  if (batch_offset == 0) {
    buffer = EncodeSegmentHeader(
        {.first_index = segment.first_index, .previous_term = segment.previous_term});
  }
  std::vector<uint32_t> offsets;
  for (const Entry& entry : entries) {
    offsets.push_back(static_cast<uint32_t>(batch_offset + buffer.size()));
    AppendRecord(buffer, entry, static_cast<uint32_t>(batch_offset));
  }
  if (Status s = segment.file->WriteAt(batch_offset, buffer); !s.ok()) {
    if (s.code() != Code::kResourceExhausted) return s;
    // Part of the batch may stand in the file, even whole records: a later start must not take for
    // written what its owner was told is refused.
    if (Status back = TakeBack(rolls); !back.ok()) {
      return DataLoss(s.message() +
                      "; then the half-written records could not be taken back: " + back.message());
    }
    return s;
  }
  segment.end += buffer.size();
  segment.offsets.insert(segment.offsets.end(), offsets.begin(), offsets.end());
  for (const Entry& entry : entries) NoteTerm(entry.index, entry.term);
  last_index_ = index;
  unforced_ = true;
  unforced_batch_ = {.records = entries.size(), .bytes = buffer.size()};
  return Ok();
}

Status LogStore::Force() {
  const auto begin = std::chrono::steady_clock::now();
  if (!MutantOn(Mutant::kForceSkipped)) {
    Status s = segments_.back()->file->Sync();
    if (!s.ok() && !MutantOn(Mutant::kFailedForceIgnored)) return s;
  }
  unforced_batch_.took = std::chrono::steady_clock::now() - begin;
  if (directory_dirty_) {
    if (Status s = disk_.SyncDirectory(options_.directory); !s.ok()) return s;
    directory_dirty_ = false;
  }
  unforced_ = false;
  if (options_.observer != nullptr) options_.observer->OnForced(unforced_batch_);
  // Only now: the name of the former spare belongs to a segment, durably.
  spare_.Prepare();
  return Ok();
}

Status LogStore::Roll(uint64_t bytes_needed) {
  ASSENT_CHECK(!directory_dirty_);
  auto segment = std::make_unique<Segment>();
  segment->first_index = last_index_ + 1;
  segment->previous_term = last_term();
  segment->path = Path(SegmentName(segment->first_index));

  std::string made = spare_.path();
  segment->file = spare_.Take();
  if (segment->file == nullptr) {
    made = Path(kFreshFile);
    Result<std::unique_ptr<File>> file =
        MakeZeroedFile(disk_, made, std::max(bytes_needed, options_.segment_bytes));
    if (!file.ok()) return file.status();
    segment->file = std::move(*file);
  }
  // A batch larger than a whole segment gets a segment of its own size.
  Status s = segment->file->Allocate(bytes_needed);
  if (s.ok()) s = disk_.Rename(made, segment->path);
  if (!s.ok()) {
    if (s.code() == Code::kResourceExhausted) (void)RemoveIfThere(disk_, made);
    return s;
  }
  directory_dirty_ = true;
  segments_.push_back(std::move(segment));
  return Ok();
}

Status LogStore::TakeBack(bool rolled) {
  if (!rolled) return CutFile(*segments_.back(), segments_.back()->end);
  const std::string path = segments_.back()->path;
  segments_.pop_back();
  if (Status s = disk_.Remove(path); !s.ok()) return s;
  directory_dirty_ = false;
  return disk_.SyncDirectory(options_.directory);
}

// Truncation, not zeroes: it happens as a whole or not at all, whatever crashes.
Status LogStore::CutFile(Segment& segment, uint64_t offset) {
  if (Status s = segment.file->Truncate(offset); !s.ok()) return s;
  if (Status s = segment.file->Sync(); !s.ok()) return s;
  // Without its zeroes ahead the file only grows a little slower.
  Status s = segment.file->Allocate(options_.segment_bytes);
  return s.code() == Code::kDataLoss ? s : Ok();
}

Result<std::vector<Entry>> LogStore::Read(Index from, Index to) {
  ASSENT_CHECK(from <= to && to <= last_index_ && from >= segments_.front()->first_index);
  std::vector<Entry> entries;
  for (const auto& segment : segments_) {
    const Index behind = segment->first_index + segment->offsets.size();
    const Index first = std::max(from, segment->first_index);
    const Index last = std::min(to + 1, behind);
    if (first >= last) continue;
    const uint64_t start = segment->offsets[first - segment->first_index];
    const uint64_t end =
        last == behind ? segment->end : segment->offsets[last - segment->first_index];
    Result<std::string> bytes = segment->file->ReadAt(start, end - start);
    if (!bytes.ok()) return bytes.status();
    uint64_t at = 0;
    for (Index index = first; index < last; ++index) {
      Entry entry;
      uint64_t next = DecodeRecord(*bytes, at, &entry);
      if (next == 0 || entry.index != index) {
        return DamagedFile(segment->path, start + at,
                           "entry " + std::to_string(index) + " cannot be read back");
      }
      entries.push_back(std::move(entry));
      at = next;
    }
  }
  return entries;
}

Result<std::vector<Entry>> LogStore::ReadWithin(Index from, Index to, uint64_t bytes_max) {
  if (from < segments_.front()->first_index) {
    return NotFound("entry " + std::to_string(from) + " is compacted away");
  }
  // Halving needs few steps, and BytesAfter looks at each segment once.
  const uint64_t all = BytesAfter(from - 1);
  Index most = std::min(to, last_index_);
  Index least = from;
  while (least < most) {
    const Index middle = most - (most - least) / 2;
    if (all - BytesAfter(middle) <= bytes_max) {
      least = middle;
    } else {
      most = middle - 1;
    }
  }
  return Read(from, least);
}

Status LogStore::TruncateAfter(Index last_kept) {
  ASSENT_CHECK(!unforced_ && last_kept >= snapshot_index_ && last_kept <= last_index_ &&
               last_kept + 1 >= segments_.front()->first_index);
  if (hard_state_.log_floor > last_kept) {
    HardState lower = hard_state_;
    lower.log_floor = last_kept;
    if (Status s = SaveHardState(lower); !s.ok()) return s;
  }
  // Newest first, each removal forced, so that a crash leaves a prefix and never a gap. The oldest
  // segment stays even if empty.
  while (segments_.size() > 1 && segments_.back()->first_index > last_kept) {
    const std::string path = segments_.back()->path;
    segments_.pop_back();
    if (Status s = disk_.Remove(path); !s.ok()) return s;
    if (Status s = disk_.SyncDirectory(options_.directory); !s.ok()) return s;
  }
  Segment& segment = *segments_.back();
  const size_t kept = last_kept + 1 - segment.first_index;
  if (kept < segment.offsets.size()) {
    if (Status s = CutFile(segment, segment.offsets[kept]); !s.ok()) return s;
    segment.end = segment.offsets[kept];
    segment.offsets.resize(kept);
  }
  while (!terms_.empty() && terms_.back().first > last_kept) terms_.pop_back();
  last_index_ = last_kept;
  return Ok();
}

Status LogStore::SaveHardState(const HardState& state) {
  ASSENT_CHECK(state.term >= hard_state_.term);
  Status s =
      ReplaceFile(disk_, options_.directory, std::string(kHardStateFile), {EncodeHardState(state)});
  if (s.ok()) hard_state_ = state;
  return s;
}

Status LogStore::WriteSnapshot(Disk& disk, const std::string& directory, Index index, Term term,
                               std::string_view state) {
  Status s = ReplaceFile(disk, directory, SnapshotName(index),
                         {EncodeSnapshotHeader(index, term, state), state});
  if (!s.ok()) return s;
  Result<std::vector<std::string>> names = disk.List(directory);
  if (!names.ok()) return Ok();  // Older ones cost room, nothing else; the next start removes them.
  for (const std::string& name : *names) {
    std::optional<Index> other = ParseSnapshotName(name);
    if (!other.has_value() || *other >= index) continue;
    s = RemoveInSteps(disk, directory + "/" + name);
    if (s.code() == Code::kDataLoss) return s;
  }
  return Ok();
}

Status LogStore::WriteIncoming(Disk& disk, const std::string& directory, Index index, Term term,
                               std::string_view state) {
  return ReplaceFile(disk, directory, IncomingName(index),
                     {EncodeSnapshotHeader(index, term, state), state});
}

Status LogStore::InstallIncoming(Index index, Term term) {
  ASSENT_CHECK(!unforced_ && !directory_dirty_ && index > snapshot_index_ &&
               term <= hard_state_.term);
  const std::string incoming = Path(IncomingName(index));
  if (Status s = DropIncomingBefore(index); !s.ok()) return s;
  if (TermAt(index) == term) {
    if (Status s = disk_.Rename(incoming, Path(SnapshotName(index))); !s.ok()) return s;
    return disk_.SyncDirectory(options_.directory);
  }
  // From this rename on, whatever crashes, the log that was is over.
  if (Status s = disk_.Rename(incoming, Path(InstallName(index))); !s.ok()) return s;
  if (Status s = disk_.SyncDirectory(options_.directory); !s.ok()) return s;
  segments_.clear();
  if (Status s = ReplaceEverything(index, term); !s.ok()) return s;

  auto segment = std::make_unique<Segment>();
  segment->first_index = index + 1;
  segment->previous_term = term;
  segment->path = Path(SegmentName(index + 1));
  segment->end = kSegmentHeaderBytes;
  Result<std::unique_ptr<File>> file = disk_.Open(segment->path);
  if (!file.ok()) return file.status();
  segment->file = std::move(*file);
  // Room ahead; a full disk is told to whoever needs the room.
  if (Status s = segment->file->Allocate(options_.segment_bytes); s.code() == Code::kDataLoss) {
    return s;
  }
  segments_.push_back(std::move(segment));
  terms_ = {{index, term}};
  snapshot_index_ = index;
  snapshot_term_ = term;
  last_index_ = index;
  return Ok();
}

// They were overtaken before they could be installed.
Status LogStore::DropIncomingBefore(Index index) {
  Result<std::vector<std::string>> names = disk_.List(options_.directory);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    std::optional<Index> incoming = ParseIncomingName(name);
    if (!incoming || *incoming >= index) continue;
    if (Status s = RemoveIfThere(disk_, Path(name)); !s.ok()) return s;
  }
  return Ok();
}

// Between the two names of the snapshot: may be cut short anywhere, and is then done again.
Status LogStore::ReplaceEverything(Index index, Term term) {
  // First what makes room: the disk may be full.
  Result<std::vector<std::string>> names = disk_.List(options_.directory);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    if (!ParseSegmentName(name) && !ParseSnapshotName(name)) continue;
    if (Status s = RemoveIfThere(disk_, Path(name)); !s.ok()) return s;
  }
  if (Status s = disk_.SyncDirectory(options_.directory); !s.ok()) return s;
  HardState state = hard_state_;
  state.log_floor = index;
  if (Status s = SaveHardState(state); !s.ok()) return s;
  const std::string header = EncodeSegmentHeader({.first_index = index + 1, .previous_term = term});
  if (Status s = ReplaceFile(disk_, options_.directory, SegmentName(index + 1), {header});
      !s.ok()) {
    return s;
  }
  if (Status s = disk_.Rename(Path(InstallName(index)), Path(SnapshotName(index))); !s.ok()) {
    return s;
  }
  return disk_.SyncDirectory(options_.directory);
}

std::vector<std::string> LogStore::DropCovered(Index index, Term term) {
  ASSENT_CHECK(!unforced_ && index >= snapshot_index_ && index <= last_index_);
  snapshot_index_ = index;
  snapshot_term_ = term;
  std::vector<std::string> paths;
  auto keep = segments_.begin();
  const Index early = MutantOn(Mutant::kSegmentDroppedEarly) ? 20 : 0;
  while (keep + 1 != segments_.end() && (*(keep + 1))->first_index <= index + 1 + early) {
    paths.push_back((*keep)->path);
    ++keep;
  }
  segments_.erase(segments_.begin(), keep);
  // The run that reaches into the first kept segment stays.
  const Index first = segments_.front()->first_index;
  while (terms_.size() > 1 && terms_[1].first <= first) terms_.erase(terms_.begin());
  return paths;
}

}  // namespace assent::txlog
