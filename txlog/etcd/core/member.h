// One process of a group whose log lives in etcd, pure: it is told what happened, and when, and
// answers what must be done. No thread, clock or socket; the same options and events give the same
// actions.
//
// The rules that all safety rests on (docs/protocols.md and docs/engines.md say why):
//  - A reign is a create revision of the leader key: no two are alike, and only the step that takes
//    the key raises the term. Every write of a leader compares it with its own, so a reign that is
//    over writes nothing, however late its requests arrive.
//  - A batch is written behind the batch before it or not at all, so the log never has a gap.
//  - Whoever takes the leader key writes the first entry of the new term in the same step, and only
//    if the log ends where its own does: who leads has everything.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "txlog/etcd/core/actions.h"
#include "txlog/etcd/core/batch.h"
#include "txlog/etcd/core/events.h"
#include "txlog/etcd/core/layout.h"
#include "txlog/etcd/core/options.h"

namespace assent::txlog::etcd {

// Not thread-safe: one thread owns it.
class Member {
 public:
  explicit Member(Options options);

  // Advances by one event; `now` never falls. Late and unknown answers are expected. The first Tick
  // begins. After a Halt every event is ignored.
  std::vector<Action> Step(MonotonicTime now, Event event);

  enum class Phase {
    kLoading,    // Reads snapshot and log; leads nothing.
    kFollowing,  // Has read all, and is told what is added; takes the lead when there is nobody.
    kLeading,
  };
  Phase phase() const { return phase_; }
  Term term() const { return term_; }  // The highest known here.
  Index applied_index() const { return applied_.index; }
  // Until when it may lead by its own clock, if etcd is not heard again; nothing: it has no lease.
  std::optional<MonotonicTime> lease_until() const {
    return lease_ != 0 ? std::optional(lease_until_) : std::nullopt;
  }
  // Proposals that are taken and have no fate yet.
  size_t open_proposals() const;

 private:
  enum class Kind {
    kLoadHead,
    kLoadChunk,
    kLoadLog,
    kCampaign,
    kRemoveOwnKey,
    kBatch,
    kProve,
    kSettle,
    kSnapshot,
    kResign,
  };
  struct Request {
    Kind kind = Kind::kLoadHead;
    Slot slot = 0;
  };
  // Grows with each failure, from retry_min to retry_max.
  struct Retry {
    MonotonicTime at{};
    Duration next{};
  };
  // How far the log is applied: `slot` wholly, or nothing of the one behind.
  struct Position {
    Index index = 0;
    Term term = 0;
    Slot slot = 0;
  };
  struct Leader {
    Revision reign = 0;
    LeaderValue value;
  };
  struct Load {
    Revision known = 0;     // etcd's revision when it began, at least.
    Revision revision = 0;  // Everything is read as of then.
    std::optional<SnapshotValue> snapshot;
    Revision snapshot_changed = 0;
    bool joined = false;  // What is applied was found in etcd.
    std::optional<Leader> leader;
  };
  // What is read of a snapshot. Its pieces never change: a load that failed need not begin anew.
  struct Pieces {
    std::optional<SnapshotValue> of;
    uint64_t count = 0;
    std::string state;
  };
  // How many keys of the log are read at once.
  struct Page {
    static constexpr int64_t kKeysMax = 1024;
    int64_t keys = 64;
    int64_t keys_max = kKeysMax;  // Halved when an answer was too long, slowly doubled otherwise.
    uint64_t in_order = 0;        // Answers since then.
  };
  struct SlotEnd {
    Slot slot = 0;
    Term term = 0;
    Index last_index = 0;
    uint64_t bytes = 0;
  };
  struct Sent {
    Slot slot = 0;
    Batch batch;
    std::vector<uint64_t> ids;
    uint64_t request = 0;       // Under way; 0: none is.
    bool unanswered = false;    // One was, so the batch may be there.
    bool behind_known = false;  // The one before was known to be there when this was sent last.
    int times_unfounded = 0;    // And was not.

    bool may_be_there() const { return request != 0 || unanswered; }
  };
  struct Round {
    std::vector<uint64_t> ids;
    Slot behind = 0;  // Answered once this one is applied.
  };
  struct Saving {
    enum class Step { kNone, kChunks, kSwitch, kSweep, kFind, kTrim };
    Step step = Step::kNone;
    SnapshotValue value;
    std::string state;
    uint64_t chunk = 0;
    std::string trim_end;  // Of the batches found.
    uint64_t request = 0;
    Retry retry;
  };

  // ---- member.cc: dispatch, requests, the lease ----
  void On(Propose& event);
  void On(ReadBarrier& event);
  void On(SaveSnapshot& event);
  void On(Resign& event);
  void On(Flush& event);
  void On(Tick& event);
  void On(TxnAnswered& event);
  void On(LeaseAnswered& event);
  void On(Watched& event);
  void On(WatchEnded& event);

  void Do(Action action) { actions_.push_back(std::move(action)); }
  void Break(std::string why);
  void Tell(std::string trouble);
  uint64_t Send(Request request, Txn txn);
  bool Due(const Retry& retry) const { return now_ >= retry.at; }
  void Failed(Retry& retry);
  void Advance();
  void KeepLeaseAlive();
  bool LeaseHolds() const;
  void KnowLeader(std::optional<Leader> leader);
  // etcd was not heard for as long as a lease: whoever we know of may be gone.
  void DoubtLeader();

  // ---- loading.cc ----
  void StartLoad(bool after_failure);
  void SendLoad();
  void SendLoadChunk();
  void SendLoadLog();
  void LoadAnswered(Kind kind, Outcome& outcome);
  void HeadRead(Done& done);
  void ChunkRead(Done& done);
  void LogRead(Done& done);
  void PageRead(uint64_t bytes);
  void PageTooLong();
  void Loaded();
  // False: the batch is not the one that follows, or its bytes are no batch.
  bool Take(Slot slot, std::string_view bytes, std::vector<Applied>* entries);
  bool Joins(const std::vector<KeyValue>& page);
  // The batch that was applied last is so large.
  void NoteApplied(uint64_t bytes);
  void NoteSnapshot(const SnapshotValue& value, Revision changed);

  // ---- following.cc ----
  bool TakeChange(const Change& change, std::vector<Applied>* entries);
  bool IsOurVictory(const Change& change) const;
  void Campaign();
  void CampaignAnswered(Outcome& outcome);
  void RemoveOwnKey();

  // ---- leading.cc ----
  void StartReign(Revision reign);
  void StepDown(const std::string& why);
  void ReignIsOver();
  void Settle(const std::string& why);
  void SettleAnswered(Outcome& outcome);
  bool MaySendBatch() const;
  void Pump();
  void SendBatch(Sent& sent);
  void SendAgain();
  void BatchAnswered(Slot slot, uint64_t request, Outcome& outcome);
  void BatchFailed(Sent& sent, const Done& done);
  void DurableUpTo(Slot slot);
  Compare StillLeads() const;
  void Prove();
  void ProofAnswered(Outcome& outcome);
  void AnswerReads();
  void ResignWhenDone();

  // ---- saving.cc: snapshots, and what they make superfluous ----
  void WantSnapshot();
  void Save();
  Txn SavingTxn();
  void SavingAnswered(Outcome& outcome);
  void Saved(const Done& done, Revision changed);

  const Options options_;
  const Layout layout_;
  MonotonicTime now_{};
  std::vector<Action> actions_;
  bool broken_ = false;
  bool may_send_batch_ = false;  // In this step.
  std::string trouble_;
  Phase phase_ = Phase::kLoading;

  uint64_t next_request_ = 1;
  std::map<uint64_t, Request> requests_;  // Whose answers are still of interest.

  LeaseId lease_ = 0;
  MonotonicTime lease_until_{};
  uint64_t lease_request_ = 0;
  MonotonicTime lease_asked_{};
  Retry lease_retry_;

  // What etcd holds, as far as known here.
  Position applied_;
  Term term_ = 0;
  Revision term_changed_ = 0;   // Of the term's key.
  std::string identity_;        // The text of the group's. Empty: whichever is found.
  Revision identity_made_ = 0;  // Of its key.
  Revision revision_ = 0;       // The highest that etcd has told.
  std::optional<Leader> leader_;
  Revision leader_known_at_ = 0;
  bool announced_ = false;
  SnapshotValue snapshot_;         // index 0: there is none.
  Revision snapshot_changed_ = 0;  // Of its key.
  std::deque<SlotEnd> slots_;      // From the snapshot's on.
  uint64_t bytes_behind_snapshot_ = 0;

  bool load_under_way_ = false;
  Load load_;
  Pieces pieces_;
  Page page_;
  Retry load_retry_;
  uint64_t watch_ = 0;

  uint64_t campaign_ = 0;  // The request under way.
  Term campaign_term_ = 0;
  Slot campaign_slot_ = 0;  // The end of the log that it builds on.
  uint64_t removal_ = 0;
  int campaigns_behind_ = 0;
  Retry campaign_retry_;
  MonotonicTime hold_off_until_{};  // After a resignation, others come first.

  Revision reign_ = 0;
  std::deque<Proposal> pending_;
  uint64_t pending_bytes_ = 0;
  std::deque<Sent> window_;
  bool window_broken_ = false;  // A batch was not taken: all that is not there is sent again.
  uint64_t in_flight_limit_ = 1;
  uint64_t in_order_ = 0;  // Batches since one overtook another.
  Retry batch_retry_;
  uint64_t batch_bytes_max_ = 0;
  uint64_t settling_ = 0;  // The request that ends the reign.
  std::string settling_why_;
  std::vector<uint64_t> barriers_;  // Wait for the next round.
  Slot barriers_behind_ = 0;
  std::optional<Round> round_;
  uint64_t proof_ = 0;
  Retry proof_retry_;
  MonotonicTime prove_at_{};
  std::deque<Round> proved_;
  std::vector<uint64_t> resigning_;
  uint64_t resignation_ = 0;
  bool snapshot_wanted_ = false;
  Saving saving_;
};

}  // namespace assent::txlog::etcd
