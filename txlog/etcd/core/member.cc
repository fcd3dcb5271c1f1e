// What belongs to every phase: events, requests, the lease, who leads.
#include "txlog/etcd/core/member.h"

#include <algorithm>

#include "base/check.h"
#include "base/mutant.h"

namespace assent::txlog::etcd {

Member::Member(Options options)
    : options_(std::move(options)),
      layout_(options_.prefix),
      identity_(options_.identity ? Text(*options_.identity) : ""),
      in_flight_limit_(options_.batches_in_flight_max),
      batch_bytes_max_(options_.batch_bytes_max) {
  ASSENT_CHECK(options_.owner != 0);
  ASSENT_CHECK(options_.address.find(' ') == std::string::npos);
}

std::vector<Action> Member::Step(MonotonicTime now, Event event) {
  if (broken_) return {};
  now_ = now;
  may_send_batch_ = false;
  // Before anything else: whoever was held up for long must not go on as if it had not been.
  if (phase_ == Phase::kLeading && !LeaseHolds())
    StepDown("its lease has run out by its own clock");
  std::visit([this](auto& one) { On(one); }, event);
  if (!broken_) Advance();
  return std::exchange(actions_, {});
}

size_t Member::open_proposals() const {
  size_t open = pending_.size();
  for (const Sent& sent : window_) open += sent.ids.size();
  return open;
}

// Whatever may be done now is done. Each part looks by itself whether it is its time.
void Member::Advance() {
  KeepLeaseAlive();
  switch (phase_) {
    case Phase::kLoading:
      if (!load_under_way_ && Due(load_retry_)) SendLoad();
      return;
    case Phase::kFollowing:
      RemoveOwnKey();
      Campaign();
      return;
    case Phase::kLeading:
      if (settling_ != 0) return;
      SendAgain();
      if (may_send_batch_) Pump();
      Prove();
      Save();
      ResignWhenDone();
      return;
  }
}

void Member::Break(std::string why) {
  broken_ = true;
  Do(Halt{std::move(why)});
}

void Member::Tell(std::string trouble) {
  if (trouble == trouble_) return;
  trouble_ = std::move(trouble);
  Do(Trouble{trouble_});
}

uint64_t Member::Send(Request request, Txn txn) {
  requests_.emplace(next_request_, request);
  Do(SendTxn{next_request_, std::move(txn), request.kind == Kind::kBatch});
  return next_request_++;
}

void Member::Failed(Retry& retry) {
  retry.next = std::clamp<Duration>(retry.next * 2, options_.retry_min, options_.retry_max);
  retry.at = now_ + retry.next;
}

void Member::On(Flush&) { may_send_batch_ = true; }
void Member::On(Tick&) { may_send_batch_ = true; }

void Member::On(TxnAnswered& event) {
  if (const auto* done = std::get_if<Done>(&event.outcome)) {
    revision_ = std::max(revision_, done->revision);
  }
  auto found = requests_.extract(event.request);
  if (found.empty()) return;  // Of a phase that is over.
  switch (found.mapped().kind) {
    case Kind::kLoadHead:
    case Kind::kLoadChunk:
    case Kind::kLoadLog:
      return LoadAnswered(found.mapped().kind, event.outcome);
    case Kind::kCampaign:
      return CampaignAnswered(event.outcome);
    case Kind::kRemoveOwnKey:
      // Whether it went is told by the watch.
      removal_ = 0;
      if (!std::holds_alternative<Done>(event.outcome)) Failed(campaign_retry_);
      return;
    case Kind::kBatch:
      return BatchAnswered(found.mapped().slot, event.request, event.outcome);
    case Kind::kProve:
      return ProofAnswered(event.outcome);
    case Kind::kSettle:
      return SettleAnswered(event.outcome);
    case Kind::kSnapshot:
      return SavingAnswered(event.outcome);
    case Kind::kResign:
      // Done or not: after this nothing is written here. If the key is still there, it is removed
      // as any other key of ours that leads nothing.
      return StepDown("it was asked to give the lead away");
  }
}

// ---- The lease ----------------------------------------------------------------------------------

void Member::KeepLeaseAlive() {
  if (lease_request_ != 0 || !Due(lease_retry_)) return;
  lease_request_ = next_request_++;
  lease_asked_ = now_;
  if (lease_ == 0) {
    Do(GrantLease{lease_request_, options_.lease});
  } else {
    Do(KeepLease{lease_request_, lease_});
  }
}

bool Member::LeaseHolds() const {
  return lease_ != 0 && (now_ < lease_until_ || MutantOn(Mutant::kEtcdTrustsItself));
}

// A lease holds at least from when we asked, which was before etcd answered.
void Member::On(LeaseAnswered& event) {
  if (event.request != lease_request_) return;
  lease_request_ = 0;
  switch (event.what) {
    case LeaseAnswered::What::kHeld:
      if (phase_ == Phase::kFollowing && !LeaseHolds()) Tell({});
      lease_ = event.lease;
      lease_until_ = std::max(lease_until_, lease_asked_ + event.ttl - options_.lease_margin);
      lease_retry_ = {lease_asked_ + event.ttl / 3, {}};
      if (phase_ == Phase::kFollowing && !announced_) KnowLeader(leader_);
      return;
    case LeaseAnswered::What::kGone:
      lease_ = 0;
      lease_until_ = {};
      lease_retry_ = {};
      if (phase_ == Phase::kLeading) StepDown("etcd has ended its lease");
      return;
    case LeaseAnswered::What::kNotGiven:
      Failed(lease_retry_);
      if (phase_ != Phase::kLeading && !LeaseHolds()) {
        Tell("no lease from etcd: " + event.message);
        DoubtLeader();
      }
      return;
  }
}

// ---- Who leads ----------------------------------------------------------------------------------

void Member::DoubtLeader() {
  if (!announced_) return;
  announced_ = false;
  Do(LeaderKnown{term_, 0, {}});
}

void Member::KnowLeader(std::optional<Leader> leader) {
  const bool same = announced_ && leader.has_value() == leader_.has_value() &&
                    (!leader || leader->reign == leader_->reign);
  leader_ = std::move(leader);
  if (leader_) term_ = std::max(term_, leader_->value.term);
  if (same) return;
  announced_ = true;
  // A reign of ours that we do not lead is nobody's.
  if (leader_ && leader_->value.owner != options_.owner) {
    hold_off_until_ = {};
    campaign_retry_ = {};  // When this one goes, it is worth trying at once.
    campaigns_behind_ = 0;
    Tell({});  // What kept us from the lead is over.
    Do(LeaderKnown{leader_->value.term, leader_->value.owner, leader_->value.address});
  } else {
    Do(LeaderKnown{term_, 0, {}});
  }
  Do(LeadershipChanged{term_, false});
}

}  // namespace assent::txlog::etcd
