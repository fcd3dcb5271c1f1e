// Doubles of what the driver stands on: a decision log whose every fate a test decides, and a codec
// that needs no .proto.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/server/codec.h"
#include "txlog/decision_log.h"

namespace assent::coordinator {

// Keeps records in memory; the bytes are their number. Not thread-safe.
class FakeCodec final : public Codec {
 public:
  std::string Encode(const Record& record) const override;
  Result<Record> Decode(std::string_view bytes) const override;
  std::string EncodeState(const DecisionTable::State& state) const override;
  Result<DecisionTable::State> DecodeState(std::string_view bytes) const override;

  // How many records of kind T were encoded.
  template <typename T>
  size_t Count() const {
    size_t count = 0;
    for (const Record& record : records_) count += std::holds_alternative<T>(record) ? 1 : 0;
    return count;
  }

 private:
  mutable std::vector<Record> records_;
  mutable std::vector<DecisionTable::State> states_;
};

// Outlives the drivers that use it, as a disk does.
class FakeLog final : public txlog::DecisionLog {
 public:
  enum class Mode {
    kApply,   // Durable and applied at once.
    kHold,    // Waits for the test.
    kRefuse,  // A full disk.
  };
  struct Held {
    std::string record;
    txlog::Term term = 0;
    std::function<void(txlog::Fate)> done;
  };

  // What a restored node's log holds: a snapshot of entry 1. Before Start.
  void Begin(std::string state) {
    snapshot_ = std::move(state);
    snapshot_index_ = last_ = 1;
  }
  // As if nothing had ever been appended. Before Start.
  void Clear() {
    entries_.clear();
    last_ = 0;
  }
  // A driver that starts: hears all entries, takes the lead in the next term, applies its no-op.
  void Start(txlog::Listener& listener);
  // Adds an entry as another node, or an earlier life, might have.
  void Append(txlog::Term term, std::string record) { entries_.push_back(Next(term, record)); }

  void Win(txlog::Term term);   // Announced; the no-op is not applied yet.
  void ApplyNoop();             // Of the present term.
  void Lose(txlog::Term term);  // Another node leads in `term`.
  void ApplyFromOther(txlog::Term term, std::string record = "");

  // What became of the oldest held proposal.
  void SayDurable();                     // Durable, not yet applied.
  void ApplyHeld(txlog::Term term = 0);  // Applied; 0: in the term it was meant for.
  void DropHeld(txlog::Fate fate);       // Refused or in doubt; never applied.
  void WantSnapshot() { listener_->OnSnapshotWanted(); }

  void Propose(std::string record, txlog::Term term,
               std::function<void(txlog::Fate)> done) override;
  void ReadBarrier(std::function<void(Status)> done) override { done(barrier); }
  void SaveSnapshot(txlog::Index index, std::string state) override;
  // Answered by the test.
  void ChangeMembership(txlog::MembershipChange change, std::function<void(Status)> done) override {
    changes.push_back({std::move(change), std::move(done)});
  }
  void TransferLeadership(uint64_t to, std::function<void(Status)> done) override {
    transfers.push_back({to, std::move(done)});
  }
  void ListMembers(std::function<void(txlog::GroupProgress)> done) override { done(progress); }

  struct Change {
    txlog::MembershipChange change;
    std::function<void(Status)> done;
  };
  struct Transfer {
    uint64_t to = 0;
    std::function<void(Status)> done;
  };
  std::vector<Change> changes;
  std::vector<Transfer> transfers;
  txlog::GroupProgress progress;
  Status barrier;  // What the next ones hear.
  Mode mode = Mode::kApply;
  std::vector<Held> held;
  txlog::Term term() const { return term_; }
  size_t snapshots() const { return snapshots_; }

 private:
  txlog::Applied Next(txlog::Term term, std::string record);
  void Apply(txlog::Term term, std::string record);

  txlog::Listener* listener_ = nullptr;
  txlog::Term term_ = 1;
  bool leader_ = false;
  txlog::Index last_ = 0;
  std::vector<txlog::Applied> entries_;  // Behind the snapshot.
  txlog::Index snapshot_index_ = 0;
  std::string snapshot_;
  size_t snapshots_ = 0;
};

}  // namespace assent::coordinator
