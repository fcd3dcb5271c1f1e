#include "tests/txlog/contract/contract_fixture.h"

#include <future>
#include <utility>

#include "tests/support/process.h"

namespace assent::txlog {
namespace {

constexpr std::chrono::seconds kPatience{20};

}  // namespace

// ---- The listener -------------------------------------------------------------------------------

void ContractListener::OnSnapshot(Index index, Term term, std::string state) {
  MutexLock lock(mutex_);
  EXPECT_GT(index, seen_.last_index) << "a snapshot leads back";
  EXPECT_GE(term, applied_term_);
  seen_.applied.clear();
  seen_.snapshot_index = seen_.last_index = index;
  seen_.snapshot = std::move(state);
  applied_term_ = term;
  changed_.NotifyAll();
}

void ContractListener::OnApplied(std::vector<Applied> entries) {
  MutexLock lock(mutex_);
  EXPECT_FALSE(entries.empty());
  for (Applied& entry : entries) {
    EXPECT_EQ(entry.index, seen_.last_index + 1) << "a gap, or a repetition";
    EXPECT_GE(entry.term, applied_term_) << "terms fall at entry " << entry.index;
    seen_.last_index = entry.index;
    applied_term_ = entry.term;
    if (seen_.leads && entry.term == seen_.term && entry.record.empty()) seen_.ready = true;
    seen_.applied.push_back(std::move(entry));
  }
  changed_.NotifyAll();
}

void ContractListener::OnLeadership(Term term, bool leader) {
  MutexLock lock(mutex_);
  EXPECT_TRUE(told_group_) << "leadership before the group";
  EXPECT_GE(term, seen_.term) << "an older term is announced";
  EXPECT_FALSE(leader && applied_term_ >= term) << "an entry of the own term before the lead";
  seen_.term = term;
  seen_.leads = leader;
  seen_.ready = false;
  changed_.NotifyAll();
}

void ContractListener::OnSnapshotWanted() {
  MutexLock lock(mutex_);
  ++seen_.snapshots_wanted;
  changed_.NotifyAll();
}

void ContractListener::OnGroup(Group group) {
  MutexLock lock(mutex_);
  told_group_ = true;
  seen_.group = std::move(group);
  changed_.NotifyAll();
}

std::vector<std::string> ContractListener::Seen::Records() const {
  std::vector<std::string> records;
  for (const Applied& entry : applied) {
    if (!entry.record.empty()) records.push_back(entry.record);
  }
  return records;
}

ContractListener::Seen ContractListener::seen() {
  MutexLock lock(mutex_);
  return seen_;
}

bool ContractListener::Wait(const std::function<bool(const Seen&)>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  MutexLock lock(mutex_);
  while (!condition(seen_)) {
    if (!changed_.WaitUntil(mutex_, deadline)) return condition(seen_);
  }
  return true;
}

// ---- The group ----------------------------------------------------------------------------------

void Contract::SetUp() {
  auto fleet = GetParam().make();
  if (fleet.status().code() == Code::kNotFound) {
    GTEST_SKIP() << GetParam().name << ": " << fleet.status().message();
  }
  ASSERT_TRUE(fleet.ok()) << fleet.status().ToString();
  fleet_ = std::move(*fleet);
  processes_.resize(fleet_->size());
}

void Contract::TearDown() { StopAll(); }

void Contract::Start(size_t which) {
  Process& process = processes_[which];
  process.listener = std::make_unique<ContractListener>();
  auto log = fleet_->Open(which, *process.listener, snapshot_after_bytes_);
  ASSERT_TRUE(log.ok()) << log.status().ToString();
  process.log = std::move(*log);
}

void Contract::StartAll() {
  for (size_t i = 0; i < processes_.size(); ++i) {
    if (processes_[i].log == nullptr) Start(i);
  }
}

void Contract::Stop(size_t which) { processes_[which].log.reset(); }

void Contract::StopAll() {
  for (Process& process : processes_) process.log.reset();
}

size_t Contract::WaitLeader() {
  size_t leader = processes_.size();
  test_support::WaitUntil(kPatience, [&] {
    for (size_t i = 0; i < processes_.size(); ++i) {
      if (processes_[i].log != nullptr && Seen(i).ready) leader = i;
    }
    return leader < processes_.size();
  });
  if (leader < processes_.size()) return leader;
  ADD_FAILURE() << "nobody leads";
  return 0;
}

bool Contract::WaitApplied(Index index) {
  for (Process& process : processes_) {
    if (process.log == nullptr) continue;
    if (!process.listener->Wait([&](const auto& seen) { return seen.last_index >= index; })) {
      return false;
    }
  }
  return true;
}

std::vector<Fate> Contract::Propose(size_t which, Term term,
                                    const std::vector<std::string>& records) {
  auto fates = std::make_shared<Fates>(records.size());
  for (size_t i = 0; i < records.size(); ++i) {
    At(which).log->Propose(records[i], term,
                           [fates, done = fates->At(i)](Fate fate) { done(fate); });
  }
  EXPECT_TRUE(fates->WaitAll()) << "a proposal is not answered";
  return fates->all();
}

void Contract::MustPropose(const std::vector<std::string>& records) {
  const size_t leader = WaitLeader();
  for (Fate fate : Propose(leader, Seen(leader).term, records)) ASSERT_EQ(fate, Fate::kDurable);
}

Status Contract::Barrier(size_t which) {
  auto answer = std::make_shared<std::promise<Status>>();
  std::future<Status> status = answer->get_future();
  At(which).log->ReadBarrier([answer](Status s) { answer->set_value(std::move(s)); });
  if (status.wait_for(kPatience) != std::future_status::ready) {
    return DeadlineExceeded("a barrier is not answered");
  }
  return status.get();
}

// ---- Fates --------------------------------------------------------------------------------------

std::function<void(Fate)> Fates::At(size_t which) {
  return [this, which](Fate fate) {
    MutexLock lock(mutex_);
    EXPECT_EQ(++times_[which], 1) << "proposal " << which << " is answered again";
    fates_[which] = fate;
    ++come_;
    changed_.NotifyAll();
  };
}

bool Fates::WaitAll() {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  MutexLock lock(mutex_);
  while (come_ < fates_.size()) {
    if (!changed_.WaitUntil(mutex_, deadline)) return false;
  }
  return true;
}

std::vector<Fate> Fates::all() {
  MutexLock lock(mutex_);
  return fates_;
}

}  // namespace assent::txlog
