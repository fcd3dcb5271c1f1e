// A reign: batches, their fates, reads, and the end.
#include <algorithm>

#include "base/check.h"
#include "base/mutant.h"
#include "txlog/etcd/core/member.h"

namespace assent::txlog::etcd {
namespace {

// So many batches in order, and one more may be in flight.
constexpr uint64_t kInOrderForMore = 256;
// So often etcd may answer that a batch is gone which was there. Once would prove it.
constexpr int kTimesUnfoundedMax = 3;

}  // namespace

// ---- Beginning and end --------------------------------------------------------------------------

void Member::StartReign(Revision reign) {
  ASSENT_CHECK(phase_ == Phase::kFollowing);
  phase_ = Phase::kLeading;
  requests_.clear();
  campaign_ = removal_ = 0;
  ++watch_;
  Do(StopWatch{});
  reign_ = reign;
  term_ = campaign_term_;
  campaign_retry_ = {};
  campaigns_behind_ = 0;
  Tell({});
  leader_known_at_ = reign;
  leader_ = Leader{reign, {term_, options_.owner, options_.address}};
  Do(LeaderKnown{term_, options_.owner, options_.address});
  Do(LeadershipChanged{term_, true});
  std::vector<Applied> first = {{applied_.index + 1, term_, {}}};
  applied_ = {applied_.index + 1, term_, applied_.slot + 1};
  NoteApplied(kBatchBytes + kRecordBytes);
  Do(Apply{std::move(first)});
  window_broken_ = false;
  batch_retry_ = proof_retry_ = {};
  prove_at_ = now_ + options_.lease / 3;
  snapshot_wanted_ = false;
  // What the leader before may have left behind.
  saving_ = Saving{.step = snapshot_.index == 0 ? Saving::Step::kNone : Saving::Step::kSweep};
}

// Nothing more is sent. Of what was sent and may be there, the applied stream will tell.
void Member::StepDown(const std::string& why) {
  Tell("this process no longer leads: " + why);
  std::vector<uint64_t> refused, in_doubt;
  for (const Sent& sent : window_) {
    auto& fate =
        sent.may_be_there() && !MutantOn(Mutant::kEtcdUnknownIsRefused) ? in_doubt : refused;
    fate.insert(fate.end(), sent.ids.begin(), sent.ids.end());
  }
  window_.clear();
  for (const Proposal& one : pending_) refused.push_back(one.id);
  pending_.clear();
  pending_bytes_ = 0;
  if (!refused.empty()) Do(ProposalFates{Fate::kRefused, std::move(refused)});
  if (!in_doubt.empty()) Do(ProposalFates{Fate::kInDoubt, std::move(in_doubt)});

  std::vector<uint64_t> reads = std::exchange(barriers_, {});
  if (round_) reads.insert(reads.end(), round_->ids.begin(), round_->ids.end());
  round_.reset();
  for (const Round& one : proved_) reads.insert(reads.end(), one.ids.begin(), one.ids.end());
  proved_.clear();
  proof_ = 0;
  if (!reads.empty()) Do(ReadsRefused{std::move(reads)});

  saving_ = {};
  // Until etcd has been asked, nobody is known to lead: least of all we.
  leader_.reset();
  announced_ = false;
  Do(LeaderKnown{term_, 0, {}});
  Do(LeadershipChanged{term_, false});
  for (uint64_t id : std::exchange(resigning_, {})) {
    hold_off_until_ = now_ + options_.lease;
    Do(Resigned{id, true});
  }
  resignation_ = 0;
  settling_ = 0;
  reign_ = 0;
  StartLoad(false);
}

void Member::ReignIsOver() {
  if (settling_ != 0) return;  // Perhaps by that; its answer tells more.
  StepDown("another process has taken the lead, or its lease has ended");
}

// Steps down because etcd takes nothing, once it is known what became of what was sent. One step
// ends the reign and reads what of it is there: of the rest nothing can be written any more,
// however late a request arrives. etcd does this step also where it has no space.
void Member::Settle(const std::string& why) {
  if (settling_ != 0) return;
  const bool open = std::any_of(window_.begin(), window_.end(),
                                [](const Sent& sent) { return sent.may_be_there(); });
  if (!open) return StepDown(why);
  settling_why_ = why;
  Txn txn{.compares = {StillLeads()}};
  if (!MutantOn(Mutant::kEtcdSettlesInReign)) txn.then.emplace_back(Delete{layout_.leader()});
  txn.then.emplace_back(
      Range{.key = layout_.Log(applied_.slot + 1), .end = layout_.log_end(), .keys_only = true});
  settling_ = Send({Kind::kSettle}, std::move(txn));
}

// Where it does not tell, it was tried: what may be there is in doubt.
void Member::SettleAnswered(Outcome& outcome) {
  const auto* done = std::get_if<Done>(&outcome);
  if (done != nullptr && done->succeeded && done->ranges.size() == 1) {
    Slot there = applied_.slot;
    for (const KeyValue& one : done->ranges[0]) {
      if (layout_.SlotOf(one.key) == there + 1) ++there;
    }
    if (there > applied_.slot) DurableUpTo(there);
    for (Sent& sent : window_) {
      sent.request = 0;
      sent.unanswered = false;
    }
  }
  StepDown(settling_why_);
}

void Member::On(Resign& event) {
  if (phase_ != Phase::kLeading) return Do(Resigned{event.id, false});
  resigning_.push_back(event.id);
}

void Member::ResignWhenDone() {
  if (resigning_.empty() || resignation_ != 0 || !window_.empty() || !pending_.empty()) return;
  resignation_ =
      Send({Kind::kResign}, {.compares = {StillLeads()}, .then = {Delete{layout_.leader()}}});
}

Compare Member::StillLeads() const { return {.key = layout_.leader(), .revision = reign_}; }

// ---- Batches ------------------------------------------------------------------------------------

void Member::On(Propose& event) {
  std::vector<uint64_t> refused;
  for (Proposal& one : event.proposals) {
    if (phase_ == Phase::kLeading && event.term == term_ && resigning_.empty() &&
        !one.record.empty() && one.record.size() <= kRecordBytesMax &&
        pending_bytes_ < options_.pending_bytes_max) {
      pending_bytes_ += one.record.size();
      pending_.push_back(std::move(one));
    } else {
      refused.push_back(one.id);
    }
  }
  if (!refused.empty()) Do(ProposalFates{Fate::kRefused, std::move(refused)});
}

bool Member::MaySendBatch() const {
  if (pending_.empty() || window_broken_) return false;
  if (window_.empty()) return true;
  return window_.size() < in_flight_limit_ && pending_bytes_ >= options_.further_batch_bytes;
}

// All that is pending goes into one batch, or as many as it takes.
void Member::Pump() {
  while (MaySendBatch()) {
    const bool first = window_.empty();
    Sent sent{.slot = (first ? applied_.slot : window_.back().slot) + 1};
    sent.batch.term = term_;
    sent.batch.first_index = (first ? applied_.index : window_.back().batch.last_index()) + 1;
    uint64_t bytes = kBatchBytes;
    while (!pending_.empty()) {
      const uint64_t more = kRecordBytes + pending_.front().record.size();
      if (!sent.ids.empty() && bytes + more > batch_bytes_max_) break;
      bytes += more;
      pending_bytes_ -= pending_.front().record.size();
      sent.ids.push_back(pending_.front().id);
      sent.batch.records.push_back(std::move(pending_.front().record));
      pending_.pop_front();
    }
    window_.push_back(std::move(sent));
    SendBatch(window_.back());
  }
}

// Behind the batch before, or not at all; once, however often it is sent; and only in this reign.
void Member::SendBatch(Sent& sent) {
  Txn txn;
  if (!MutantOn(Mutant::kEtcdNoFence)) txn.compares.push_back(StillLeads());
  if (!MutantOn(Mutant::kEtcdNoChain)) {
    txn.compares.push_back({.key = layout_.Log(sent.slot - 1), .is = Compare::Is::kGreater});
  }
  const std::string key = layout_.Log(sent.slot);
  txn.compares.push_back({.key = key});
  txn.then = {Put{key, Encode(sent.batch)}};
  txn.otherwise = {Range{.key = layout_.leader(), .keys_only = true},
                   Range{.key = key, .keys_only = true}};
  sent.behind_known = sent.slot == applied_.slot + 1;
  sent.request = Send({Kind::kBatch, sent.slot}, std::move(txn));
  if (MutantOn(Mutant::kEtcdSentIsDurable)) {
    Do(ProposalFates{Fate::kDurable, std::exchange(sent.ids, {})});
  }
}

// From the first that is not there, and not before every answer has come: what is still under way
// would only be overtaken.
void Member::SendAgain() {
  if (!window_broken_ || !Due(batch_retry_)) return;
  for (const Sent& sent : window_) {
    if (sent.request != 0) return;
  }
  window_broken_ = false;
  for (Sent& sent : window_) SendBatch(sent);
}

void Member::BatchAnswered(Slot slot, uint64_t request, Outcome& outcome) {
  auto sent = std::find_if(window_.begin(), window_.end(), [&](const Sent& one) {
    return one.slot == slot && one.request == request;
  });
  if (sent == window_.end()) return;  // A later one proved that it is there.
  sent->request = 0;
  const auto* done = std::get_if<Done>(&outcome);
  if (done != nullptr && done->succeeded) return DurableUpTo(slot);
  const auto* not_done = std::get_if<NotDone>(&outcome);
  const bool no_space = not_done != nullptr && not_done->why == NotDone::Why::kNoSpace;
  // The request that uses up the quota is done, and answered so all the same.
  const bool maybe = no_space && !MutantOn(Mutant::kEtcdFullIsRefused);
  if (maybe || std::holds_alternative<NoAnswer>(outcome)) sent->unanswered = true;
  if (settling_ != 0) return;
  if (done != nullptr) return BatchFailed(*sent, *done);
  window_broken_ = true;
  Failed(batch_retry_);
  if (not_done == nullptr) return;
  switch (not_done->why) {
    case NotDone::Why::kBusy:
      return;
    case NotDone::Why::kTooLarge:
      batch_bytes_max_ = std::max<uint64_t>(batch_bytes_max_ / 2, 1);
      return Settle("etcd's max-request-bytes is too small (" + not_done->message + ")");
    case NotDone::Why::kNoSpace:
    case NotDone::Why::kRefused:
      return Settle("etcd takes no records (" + not_done->message + ")");
  }
}

void Member::BatchFailed(Sent& sent, const Done& done) {
  if (done.ranges.size() != 2) return Break("etcd answered a write with something else");
  const auto& leader = done.ranges[0];
  if (leader.empty() || leader[0].create_revision != reign_) {
    return ReignIsOver();
  }
  // In our reign nobody else writes there: an answer was lost, the batch was not.
  if (!done.ranges[1].empty()) return DurableUpTo(sent.slot);
  window_broken_ = true;
  if (sent.behind_known) {
    // The last batch that is applied stays: no leader deletes that one.
    Failed(batch_retry_);
    if (++sent.times_unfounded < kTimesUnfoundedMax) return;
    return StepDown("the group is damaged: somebody else has deleted " +
                    layout_.Log(sent.slot - 1) + " in etcd");
  }
  // It has overtaken the batch before, which is on its way or must be sent again.
  in_flight_limit_ = std::max<uint64_t>(in_flight_limit_ / 2, 1);
  in_order_ = 0;
}

// A batch that is there proves those before it.
void Member::DurableUpTo(Slot slot) {
  std::vector<Applied> entries;
  std::vector<uint64_t> ids;
  while (!window_.empty() && window_.front().slot <= slot) {
    Sent& sent = window_.front();
    if (sent.request != 0) requests_.erase(sent.request);
    uint64_t bytes = kBatchBytes;
    for (std::string& record : sent.batch.records) {
      bytes += kRecordBytes + record.size();
      entries.push_back({++applied_.index, term_, std::move(record)});
    }
    applied_.slot = sent.slot;
    NoteApplied(bytes);
    ids.insert(ids.end(), sent.ids.begin(), sent.ids.end());
    window_.pop_front();
    if (++in_order_ % kInOrderForMore == 0) {
      in_flight_limit_ = std::min(in_flight_limit_ + 1, options_.batches_in_flight_max);
    }
  }
  batch_retry_ = {};
  if (!ids.empty()) Do(ProposalFates{Fate::kDurable, std::move(ids)});
  Do(Apply{std::move(entries)});
  AnswerReads();
  WantSnapshot();
}

// ---- Reads --------------------------------------------------------------------------------------

// A linearizable read of the own leader key, asked for after the barrier came, proves that until
// then nobody else has written: so what was committed is what was applied when this reign began,
// and the batches that were sent before the barrier. For those it waits.
void Member::On(ReadBarrier& event) {
  if (phase_ != Phase::kLeading) return Do(ReadsRefused{{event.id}});
  if (MutantOn(Mutant::kEtcdStaleRead) || MutantOn(Mutant::kEtcdTrustsItself))
    return Do(ReadReady{{event.id}});
  barriers_.push_back(event.id);
  barriers_behind_ = window_.empty() ? applied_.slot : window_.back().slot;
}

// Also now and then without a barrier: so a leader whose key is gone hears of it.
void Member::Prove() {
  if (round_ || !Due(proof_retry_) || (barriers_.empty() && now_ < prove_at_)) return;
  round_ = Round{std::exchange(barriers_, {}), barriers_behind_};
  prove_at_ = now_ + options_.lease / 3;
  proof_ = Send({Kind::kProve}, {.compares = {StillLeads()},
                                 .then = {Range{.key = layout_.leader(), .keys_only = true}}});
}

void Member::ProofAnswered(Outcome& outcome) {
  proof_ = 0;
  Round round = std::move(*round_);
  round_.reset();
  const auto* done = std::get_if<Done>(&outcome);
  if (done == nullptr) {
    // Asked again, with those that came meanwhile.
    barriers_.insert(barriers_.begin(), round.ids.begin(), round.ids.end());
    barriers_behind_ = std::max(barriers_behind_, round.behind);
    return Failed(proof_retry_);
  }
  if (!done->succeeded) {
    barriers_.insert(barriers_.begin(), round.ids.begin(), round.ids.end());
    return ReignIsOver();
  }
  proof_retry_ = {};
  if (MutantOn(Mutant::kEtcdReadSkipsWindow)) round.behind = 0;
  if (!round.ids.empty()) proved_.push_back(std::move(round));
  AnswerReads();
}

void Member::AnswerReads() {
  std::vector<uint64_t> ready;
  while (!proved_.empty() && proved_.front().behind <= applied_.slot) {
    ready.insert(ready.end(), proved_.front().ids.begin(), proved_.front().ids.end());
    proved_.pop_front();
  }
  if (!ready.empty()) Do(ReadReady{std::move(ready)});
}

}  // namespace assent::txlog::etcd
