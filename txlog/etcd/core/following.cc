// Applying what others write, and taking the lead when nobody has it.
#include <algorithm>

#include "base/mutant.h"
#include "txlog/etcd/core/member.h"

namespace assent::txlog::etcd {
namespace {

// So often a campaign may be told that the log ends elsewhere, before it is read again: a watch
// that brings nothing does not say so.
constexpr int kCampaignsBehindMax = 5;

}  // namespace

void Member::On(Watched& event) {
  if (event.watch != watch_ || phase_ != Phase::kFollowing) return;
  std::vector<Applied> entries;
  bool fits = true;
  for (const Change& change : event.changes) {
    revision_ = std::max(revision_, change.now.mod_revision);
    if (IsOurVictory(change)) {
      // Whoever hears of it must hear of the lead before the first entry of its term.
      if (!entries.empty()) Do(Apply{std::move(entries)});
      return StartReign(change.now.create_revision);
    }
    fits = fits && !broken_ && TakeChange(change, &entries);
    if (!fits || broken_) break;
  }
  if (!entries.empty()) Do(Apply{std::move(entries)});
  if (!fits && !broken_) StartLoad(true);
}

void Member::On(WatchEnded& event) {
  if (event.watch != watch_ || phase_ != Phase::kFollowing) return;
  if (!event.message.empty()) Tell("etcd's news have stopped: " + event.message);
  StartLoad(true);
}

// The news of it may come before the answer. Everything before it is applied then, and nothing can
// have come in between.
bool Member::IsOurVictory(const Change& change) const {
  if (campaign_ == 0 || change.deleted || change.now.key != layout_.leader()) return false;
  const std::optional<LeaderValue> value = ParseLeader(change.now.value);
  return value && value->owner == options_.owner && value->term == campaign_term_ &&
         applied_.slot == campaign_slot_;
}

// False: something is missing before it, or it can't be read; a new look shall tell.
bool Member::TakeChange(const Change& change, std::vector<Applied>* entries) {
  const KeyValue& now = change.now;
  if (now.key == layout_.identity()) {
    Break("the group below " + options_.prefix +
          " in etcd was removed or replaced (restored from a backup?): start this process anew");
    return true;
  }
  if (now.key == layout_.leader()) {
    // What a campaign was told may be newer.
    if (now.mod_revision <= leader_known_at_) return true;
    leader_known_at_ = now.mod_revision;
    if (change.deleted) {
      KnowLeader({});
      return true;
    }
    std::optional<LeaderValue> value = ParseLeader(now.value);
    if (!value) return false;
    KnowLeader(Leader{now.create_revision, std::move(*value)});
    return true;
  }
  if (change.deleted) return true;                // Batches that a snapshot covers.
  if (now.key == layout_.lineage()) return true;  // Of interest at a start.
  if (now.key == layout_.term()) {
    const std::optional<Term> term = ParseTerm(now.value);
    if (!term) return false;
    term_ = std::max(term_, *term);
    term_changed_ = std::max(term_changed_, now.mod_revision);
    return true;
  }
  if (now.key == layout_.snapshot()) {
    const std::optional<SnapshotValue> value = ParseSnapshot(now.value);
    // Its batch is applied here, since it was written before.
    if (!value || value->slot > applied_.slot) return false;
    NoteSnapshot(*value, now.mod_revision);
    return true;
  }
  const std::optional<Slot> slot = layout_.SlotOf(now.key);
  if (!slot) return false;
  return *slot <= applied_.slot || Take(*slot, now.value, entries);
}

// A reign of this process that it does not lead, for an answer that never came or a lease that ran
// out by our clock. Nobody else can take the key before it goes.
void Member::RemoveOwnKey() {
  if (!leader_ || leader_->value.owner != options_.owner) return;
  if (campaign_ != 0 || removal_ != 0) return;
  if (!Due(campaign_retry_)) return;
  removal_ = Send({Kind::kRemoveOwnKey},
                  {.compares = {{.key = layout_.leader(), .revision = leader_->reign}},
                   .then = {Delete{layout_.leader()}}});
  // The watch tells when it is gone; until then not at every step.
  Failed(campaign_retry_);
}

// One step takes the leader key, raises the term and writes the term's first entry behind the end
// of the log, and only if that is where ours ends: whoever leads has applied everything.
void Member::Campaign() {
  if (leader_ || campaign_ != 0 || !LeaseHolds() || now_ < hold_off_until_) return;
  if (!Due(campaign_retry_)) return;
  const Term term = term_ + (MutantOn(Mutant::kEtcdTermNotRaised) ? 0 : 1);
  Txn txn;
  txn.compares = {
      {.key = layout_.identity(), .what = Compare::What::kModRevision, .revision = identity_made_},
      {.key = layout_.leader()},
      {.key = layout_.term(), .what = Compare::What::kModRevision, .revision = term_changed_},
      {.key = layout_.Log(applied_.slot), .is = Compare::Is::kGreater}};
  if (!MutantOn(Mutant::kEtcdLeadsBehind)) {
    txn.compares.push_back({.key = layout_.Log(applied_.slot + 1)});
  }
  Batch first{.term = term, .first_index = applied_.index + 1, .records = {""}};
  txn.then = {
      Put{layout_.leader(), Text(LeaderValue{term, options_.owner, options_.address}), lease_},
      Put{layout_.term(), TermText(term)}, Put{layout_.Log(applied_.slot + 1), Encode(first)}};
  if (!options_.lineage.empty()) txn.then.push_back(Put{layout_.lineage(), options_.lineage});
  txn.otherwise = {Range{layout_.leader()}};
  campaign_ = Send({Kind::kCampaign}, std::move(txn));
  campaign_term_ = term;
  campaign_slot_ = applied_.slot;
}

void Member::CampaignAnswered(Outcome& outcome) {
  campaign_ = 0;
  if (const auto* done = std::get_if<Done>(&outcome)) {
    if (done->succeeded && applied_.slot == campaign_slot_) return StartReign(done->revision);
    Failed(campaign_retry_);
    if (done->ranges.size() == 1 && !done->ranges[0].empty()) {
      const KeyValue& leader = done->ranges[0][0];
      std::optional<LeaderValue> value = ParseLeader(leader.value);
      if (value && done->revision > leader_known_at_) {
        leader_known_at_ = done->revision;
        KnowLeader(Leader{leader.create_revision, std::move(*value)});
      }
    } else if (++campaigns_behind_ >= kCampaignsBehindMax) {
      StartLoad(true);
    }
    return;
  }
  Failed(campaign_retry_);
  if (const auto* no = std::get_if<NotDone>(&outcome)) {
    Tell(no->why == NotDone::Why::kNoSpace
             ? "etcd has no space, so nothing can be decided: raise its quota or compact and "
               "defragment it, then disarm the alarm NOSPACE (" +
                   no->message + ")"
             : "the lead can't be taken in etcd: " + no->message);
  } else {
    // If it was taken all the same, the watch says so, and RemoveOwnKey gives it up.
    Tell("the lead can't be taken in etcd: " + std::get<NoAnswer>(outcome).message);
  }
}

}  // namespace assent::txlog::etcd
