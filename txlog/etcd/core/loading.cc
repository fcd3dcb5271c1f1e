// Reading what etcd holds, all as of one revision: identity, term and leader, the snapshot if the
// log before it is needed here, and the log. Then the watch goes on behind that revision.
#include <algorithm>
#include <utility>

#include "base/crc32c.h"
#include "base/mutant.h"
#include "txlog/etcd/core/member.h"

namespace assent::txlog::etcd {
namespace {

constexpr int64_t kPageKeysMin = 8;
constexpr int64_t kPageKeysMax = 1024;

const std::string* Message(const Outcome& outcome) {
  if (const auto* no = std::get_if<NotDone>(&outcome)) return &no->message;
  if (const auto* no = std::get_if<NoAnswer>(&outcome)) return &no->message;
  return nullptr;
}

}  // namespace

void Member::StartLoad(bool after_failure) {
  phase_ = Phase::kLoading;
  requests_.clear();
  campaign_ = removal_ = 0;
  load_under_way_ = false;
  if (after_failure) Failed(load_retry_);
  ++watch_;  // What the one before still brings is none of ours.
  Do(StopWatch{});
}

void Member::SendLoad() {
  load_under_way_ = true;
  load_ = Load{.known = revision_, .page_keys = 64};
  Send({Kind::kLoadHead}, {.then = {Range{layout_.identity()}, Range{layout_.term()},
                                    Range{layout_.leader()}, Range{layout_.snapshot()}}});
}

void Member::LoadAnswered(Kind kind, Outcome& outcome) {
  auto* done = std::get_if<Done>(&outcome);
  if (done == nullptr) {
    // Also when the revision is compacted meanwhile: then from the beginning, as of now.
    Tell("the log can't be read from etcd: " + *Message(outcome));
    return StartLoad(true);
  }
  if (kind == Kind::kLoadHead) return HeadRead(*done);
  return kind == Kind::kLoadChunk ? ChunkRead(*done) : LogRead(*done);
}

void Member::HeadRead(Done& done) {
  if (done.ranges.size() != 4) return Break("etcd answered a read with something else");
  for (const auto& range : done.ranges) {
    if (range.size() > 1) return Break("etcd answered a read with something else");
  }
  if (done.ranges[0].empty() || done.ranges[1].empty()) {
    return Break("there is no group below " + options_.prefix +
                 " in etcd: it was never bootstrapped, or somebody has removed it");
  }
  // Neither its name nor its revision tells alone: a restored group keeps the name, and an etcd
  // that is begun anew has the same revisions once more.
  const KeyValue& identity = done.ranges[0][0];
  if (identity_.empty()) identity_ = identity.value;
  if (identity.value != identity_) {
    return Break("below " + options_.prefix + " in etcd is the group '" +
                 identity.value.substr(0, 100) + "' in place of ours, '" + identity_ +
                 "': start this process anew if it shall serve that one");
  }
  if (identity_made_ != 0 && identity.mod_revision != identity_made_) {
    return Break("another group has taken the place of ours below " + options_.prefix +
                 " in etcd (restored from a backup?): start this process anew");
  }
  if (done.revision < load_.known) {
    return Break("etcd has gone back from revision " + std::to_string(load_.known) + " to " +
                 std::to_string(done.revision) +
                 ": it was restored from an older copy, or begun anew, and may have forgotten "
                 "decisions. Restore a backup of assentctl below an empty prefix");
  }
  identity_made_ = identity.mod_revision;
  const KeyValue& term = done.ranges[1][0];
  const std::optional<Term> number = ParseTerm(term.value);
  if (!number) return Break(term.key + " in etcd holds no number");
  term_ = std::max(term_, *number);
  term_changed_ = term.mod_revision;
  if (!done.ranges[2].empty()) {
    const KeyValue& leader = done.ranges[2][0];
    std::optional<LeaderValue> value = ParseLeader(leader.value);
    if (!value) return Break(leader.key + " in etcd names no leader");
    load_.leader = {leader.create_revision, std::move(*value)};
  }
  load_.revision = done.revision;
  if (!done.ranges[3].empty()) {
    const KeyValue& snapshot = done.ranges[3][0];
    std::optional<SnapshotValue> value = ParseSnapshot(snapshot.value);
    if (!value) return Break(snapshot.key + " in etcd names no snapshot");
    load_.snapshot = std::move(*value);
    load_.snapshot_changed = snapshot.mod_revision;
  }
  if (load_.snapshot && load_.snapshot->index > applied_.index) return SendLoadChunk();
  SendLoadLog();
}

void Member::SendLoadChunk() {
  Range chunk{.key = layout_.Chunk(load_.snapshot->name, load_.chunks), .revision = load_.revision};
  Send({Kind::kLoadChunk}, {.then = {std::move(chunk)}});
}

void Member::ChunkRead(Done& done) {
  const SnapshotValue& snapshot = *load_.snapshot;
  const std::string damaged = "snapshot " + snapshot.name + " below " + options_.prefix +
                              " in etcd is damaged, or not whole";
  if (done.ranges.size() != 1 || done.ranges[0].size() != 1) return Break(damaged);
  load_.state += done.ranges[0][0].value;
  if (++load_.chunks < snapshot.chunks) return SendLoadChunk();
  if (load_.state.size() != snapshot.bytes || Crc32c(load_.state) != snapshot.crc) {
    return Break(damaged);
  }
  slots_.clear();
  applied_ = {snapshot.index, snapshot.term, snapshot.slot - 1};
  load_.joined = true;  // Of what was applied before nothing counts any more.
  Do(Restore{snapshot.index, snapshot.term, std::move(load_.state)});
  load_.state.clear();
  SendLoadLog();
}

void Member::SendLoadLog() {
  // Of the batch that a snapshot ends in, nothing but the snapshot may be applied yet.
  if (applied_.slot == 0 || (load_.snapshot && applied_.slot < load_.snapshot->slot)) {
    load_.joined = true;
  }
  Range page{.key = layout_.Log(applied_.slot + (load_.joined ? 1 : 0)),
             .end = layout_.log_end(),
             .limit = load_.page_keys,
             .revision = load_.revision};
  Send({Kind::kLoadLog}, {.then = {std::move(page)}});
}

void Member::LogRead(Done& done) {
  if (done.ranges.size() != 1) return Break("etcd answered a read with something else");
  std::vector<Applied> entries;
  uint64_t bytes = 0;
  const bool joins = !std::exchange(load_.joined, true);
  if (joins && !Joins(done.ranges[0])) {
    return Break(
        "entry " + std::to_string(applied_.index) + " was applied here, but " +
        layout_.Log(applied_.slot) +
        " in etcd does not hold it: somebody else has deleted or replaced it, or etcd was "
        "restored from an older copy. The group is damaged: restore a backup in its place");
  }
  for (const KeyValue& one : done.ranges[0]) {
    if (joins && &one == &done.ranges[0].front()) continue;
    bytes += one.value.size();
    const std::optional<Slot> slot = layout_.SlotOf(one.key);
    if (slot && Take(*slot, one.value, &entries)) continue;
    return Break(one.key + " in etcd is damaged, or does not follow what is before it: entry " +
                 std::to_string(applied_.index) + " of slot " + std::to_string(applied_.slot));
  }
  if (!entries.empty()) Do(Apply{std::move(entries)});
  const bool more = done.ranges[0].size() == static_cast<size_t>(load_.page_keys);
  if (!more) return Loaded();
  // So that an answer holds about page_bytes, whatever the batches' size.
  load_.page_keys = bytes > options_.page_bytes ? load_.page_keys / 2 : load_.page_keys * 2;
  load_.page_keys = std::clamp(load_.page_keys, kPageKeysMin, kPageKeysMax);
  SendLoadLog();
}

void Member::Loaded() {
  if (load_.snapshot) {
    if (applied_.slot < load_.snapshot->slot) {
      return Break("the batch of " + layout_.snapshot() + " is missing in etcd");
    }
    NoteSnapshot(*load_.snapshot, load_.snapshot_changed);
  }
  phase_ = Phase::kFollowing;
  load_under_way_ = false;
  load_retry_ = {};
  campaigns_behind_ = 0;
  Tell({});
  leader_known_at_ = load_.revision;
  KnowLeader(std::move(load_.leader));
  Do(StartWatch{++watch_, layout_.group_begin(), layout_.group_end(), load_.revision + 1});
}

bool Member::Take(Slot slot, std::string_view bytes, std::vector<Applied>* entries) {
  const bool next = slot == applied_.slot + 1 || MutantOn(Mutant::kEtcdWatchGapIgnored);
  std::optional<Batch> batch = next ? DecodeBatch(bytes) : std::nullopt;
  if (!batch || batch->term < applied_.term) return false;
  // Only the first batch behind a snapshot may hold entries that are applied.
  if (MutantOn(Mutant::kEtcdWatchGapIgnored)) {
    applied_.index = std::max(applied_.index, batch->first_index - 1);
  }
  if (batch->first_index > applied_.index + 1 || batch->last_index() < applied_.index) return false;
  for (size_t i = 0; i < batch->records.size(); ++i) {
    const Index index = batch->first_index + i;
    if (index > applied_.index) {
      entries->push_back({index, batch->term, std::move(batch->records[i])});
    }
  }
  applied_ = {batch->last_index(), batch->term, slot};
  NoteApplied(bytes.size());
  return true;
}

// Does the log hold what is applied here last?
bool Member::Joins(const std::vector<KeyValue>& page) {
  if (page.empty() || page[0].key != layout_.Log(applied_.slot)) return false;
  const std::optional<Batch> batch = DecodeBatch(page[0].value);
  return batch && batch->term == applied_.term && batch->last_index() == applied_.index;
}

void Member::NoteApplied(uint64_t bytes) {
  slots_.push_back({applied_.slot, applied_.term, applied_.index, bytes});
  bytes_behind_snapshot_ += bytes;
}

void Member::NoteSnapshot(const SnapshotValue& value, Revision changed) {
  snapshot_changed_ = std::max(snapshot_changed_, changed);
  if (value.index <= snapshot_.index) return;
  snapshot_ = value;
  snapshot_wanted_ = false;
  while (!slots_.empty() && slots_.front().slot < value.slot) slots_.pop_front();
  bytes_behind_snapshot_ = 0;
  for (const SlotEnd& one : slots_) {
    if (one.slot > value.slot) bytes_behind_snapshot_ += one.bytes;
  }
}

}  // namespace assent::txlog::etcd
