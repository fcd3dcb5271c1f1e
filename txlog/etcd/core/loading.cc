// Reading what etcd holds, all as of one revision: identity, term and leader, the snapshot if the
// log before it is needed here, and the log. Then the watch goes on behind that revision.
#include <algorithm>
#include <utility>

#include "base/crc32c.h"
#include "base/mutant.h"
#include "txlog/etcd/core/member.h"

namespace assent::txlog::etcd {
namespace {

// So many pages in order, and one may hold twice as much. More than two: where only one batch comes
// at a time, the first of a load is one that is known already.
constexpr uint64_t kPagesForMore = 8;

const std::string* Message(const Outcome& outcome) {
  if (const auto* no = std::get_if<NotDone>(&outcome)) return &no->message;
  if (const auto* no = std::get_if<NoAnswer>(&outcome)) return &no->message;
  return nullptr;
}

// It may have been too long for the link, or for the time that there was.
bool MayBeTooLong(const Outcome& outcome) {
  const auto* no = std::get_if<NotDone>(&outcome);
  return no == nullptr || no->why == NotDone::Why::kTooLarge;
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
  load_ = Load{.known = revision_};
  Send({Kind::kLoadHead}, {.then = {Range{layout_.identity()}, Range{layout_.term()},
                                    Range{layout_.leader()}, Range{layout_.snapshot()}}});
}

void Member::LoadAnswered(Kind kind, Outcome& outcome) {
  auto* done = std::get_if<Done>(&outcome);
  if (done == nullptr) {
    // Also when the revision is compacted meanwhile: then from the beginning, as of now.
    Tell("the log can't be read from etcd: " + *Message(outcome));
    if (kind == Kind::kLoadLog && MayBeTooLong(outcome)) PageTooLong();
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
  if (!load_.snapshot || load_.snapshot->index <= applied_.index) return SendLoadLog();
  if (pieces_.of != load_.snapshot) pieces_ = {.of = load_.snapshot};
  SendLoadChunk();
}

void Member::SendLoadChunk() {
  Range chunk{.key = layout_.Chunk(pieces_.of->name, pieces_.count), .revision = load_.revision};
  Send({Kind::kLoadChunk}, {.then = {std::move(chunk)}});
}

void Member::ChunkRead(Done& done) {
  const SnapshotValue& snapshot = *pieces_.of;
  const std::string damaged = "snapshot " + snapshot.name + " below " + options_.prefix +
                              " in etcd is damaged, or not whole";
  if (done.ranges.size() != 1 || done.ranges[0].size() != 1) return Break(damaged);
  pieces_.state += done.ranges[0][0].value;
  if (++pieces_.count < snapshot.chunks) return SendLoadChunk();
  if (pieces_.state.size() != snapshot.bytes || Crc32c(pieces_.state) != snapshot.crc) {
    return Break(damaged);
  }
  slots_.clear();
  applied_ = {snapshot.index, snapshot.term, snapshot.slot - 1};
  load_.joined = true;  // Of what was applied before nothing counts any more.
  Do(Restore{snapshot.index, snapshot.term, std::move(pieces_.state)});
  pieces_ = {};
  SendLoadLog();
}

void Member::SendLoadLog() {
  // Of the batch that a snapshot ends in, nothing but the snapshot may be applied yet.
  if (applied_.slot == 0 || (load_.snapshot && applied_.slot < load_.snapshot->slot)) {
    load_.joined = true;
  }
  Range page{.key = layout_.Log(applied_.slot + (load_.joined ? 1 : 0)),
             .end = layout_.log_end(),
             .limit = page_.keys,
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
  const bool more = done.ranges[0].size() == static_cast<size_t>(page_.keys);
  if (!more) return Loaded();
  PageRead(bytes);
  SendLoadLog();
}

// So that an answer holds about page_bytes, whatever the batches' size.
void Member::PageRead(uint64_t bytes) {
  if (++page_.in_order % kPagesForMore == 0) {
    page_.keys_max = std::min(page_.keys_max * 2, Page::kKeysMax);
  }
  page_.keys = bytes > options_.page_bytes ? page_.keys / 2 : page_.keys * 2;
  page_.keys = std::clamp<int64_t>(page_.keys, 1, page_.keys_max);
}

// What was applied stays so, and the next load goes on from there: with at least one key that comes
// each time, it ends.
void Member::PageTooLong() {
  page_.keys = page_.keys_max = std::max<int64_t>(page_.keys / 2, 1);
  page_.in_order = 0;
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
