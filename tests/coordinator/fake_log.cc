#include "tests/coordinator/fake_log.h"

#include <cstdlib>
#include <utility>

namespace assent::coordinator {
namespace {

size_t NumberOf(std::string_view bytes) {
  return std::strtoul(std::string(bytes.substr(1)).c_str(), nullptr, 10);
}

}  // namespace

std::string FakeCodec::Encode(const Record& record) const {
  records_.push_back(record);
  return "r" + std::to_string(records_.size() - 1);
}

Result<Record> FakeCodec::Decode(std::string_view bytes) const {
  if (bytes.empty() || bytes[0] != 'r') return FailedPrecondition("a record from the future");
  return records_.at(NumberOf(bytes));
}

std::string FakeCodec::EncodeState(const DecisionTable::State& state) const {
  states_.push_back(state);
  return "s" + std::to_string(states_.size() - 1);
}

Result<DecisionTable::State> FakeCodec::DecodeState(std::string_view bytes) const {
  if (bytes.empty() || bytes[0] != 's') return DataLoss("no snapshot");
  return states_.at(NumberOf(bytes));
}

void FakeLog::Start(txlog::Listener& listener) {
  listener_ = &listener;
  held.clear();
  if (snapshot_index_ > 0) listener_->OnSnapshot(snapshot_index_, 1, snapshot_);
  if (!entries_.empty()) listener_->OnApplied(entries_);
  Win(term_ + 1);
  ApplyNoop();
}

void FakeLog::Win(txlog::Term term) {
  term_ = term;
  leader_ = true;
  listener_->OnLeadership(term, true);
}

void FakeLog::ApplyNoop() { Apply(term_, ""); }

void FakeLog::Lose(txlog::Term term) {
  term_ = term;
  leader_ = false;
  listener_->OnLeadership(term, false);
}

void FakeLog::ApplyFromOther(txlog::Term term, std::string record) {
  Apply(term, std::move(record));
}

void FakeLog::SayDurable() { held.front().done(txlog::Fate::kDurable); }

void FakeLog::ApplyHeld(txlog::Term term) {
  Held one = std::move(held.front());
  held.erase(held.begin());
  Apply(term == 0 ? one.term : term, std::move(one.record));
}

void FakeLog::DropHeld(txlog::Fate fate) {
  Held one = std::move(held.front());
  held.erase(held.begin());
  one.done(fate);
}

void FakeLog::Propose(std::string record, txlog::Term term, std::function<void(txlog::Fate)> done) {
  if (!leader_ || term != term_ || mode == Mode::kRefuse) {
    done(txlog::Fate::kRefused);
    return;
  }
  if (mode == Mode::kHold) {
    held.push_back({std::move(record), term, std::move(done)});
    return;
  }
  done(txlog::Fate::kDurable);
  Apply(term, std::move(record));
}

void FakeLog::SaveSnapshot(txlog::Index index, std::string state) {
  ++snapshots_;
  snapshot_index_ = index;
  snapshot_ = std::move(state);
  std::erase_if(entries_, [&](const txlog::Applied& entry) { return entry.index <= index; });
}

txlog::Applied FakeLog::Next(txlog::Term term, std::string record) {
  return {.index = ++last_, .term = term, .record = std::move(record)};
}

void FakeLog::Apply(txlog::Term term, std::string record) {
  entries_.push_back(Next(term, std::move(record)));
  listener_->OnApplied({entries_.back()});
}

}  // namespace assent::coordinator
