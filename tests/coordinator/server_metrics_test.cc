// What the driver counts: every end of a transaction once, and gauges that come back to 0.
#include <gtest/gtest.h>

#include <map>

#include "tests/coordinator/driver_fixture.h"

namespace assent::coordinator {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class DriverMetricsTest : public DriverTest {
 protected:
  DriverMetricsTest() { Boot(); }

  const DriverMetrics& Now() const { return driver_->metrics(); }
  uint64_t AbortedBy(AbortCause cause) const {
    return Now().aborted_by_cause[static_cast<size_t>(cause)].value();
  }
  // By resource, without those at 0.
  std::map<std::string, int64_t> InDoubt() const {
    std::map<std::string, int64_t> all;
    Now().in_doubt.ForEach([&](const std::string& resource, int64_t branches) {
      if (branches != 0) all[resource] = branches;
    });
    return all;
  }
  uint64_t Decisions() const { return Proposed<Decision>(); }
  uint64_t Ends() const { return Proposed<End>(); }

 private:
  template <typename T>
  uint64_t Proposed() const {
    static const Record one{T{}};
    return Now().proposals[one.index()].value();
  }
};

using InDoubtMap = std::map<std::string, int64_t>;

TEST_F(DriverMetricsTest, ACommitFromBeginToEnd) {
  EXPECT_EQ(Now().leading.value(), 1);
  const Pair pair = BeginPair();
  EXPECT_EQ(Now().begun.value(), 1u);
  EXPECT_EQ(Now().live.value(), 1);
  EXPECT_EQ(Now().agents.value(), 2);
  Pass(milliseconds(700));  // Work before Commit is not the commit's latency.
  Commit(pair.gtrid);
  VoteOn(*pg_, pair.pg, Vote::kYes, "xid:1");
  Pass(milliseconds(30));
  VoteOn(*my_, pair.my, Vote::kYes);
  EXPECT_EQ(Now().committed.value(), 1u);
  EXPECT_EQ(Now().live.value(), 0);
  EXPECT_EQ(Now().unfinished.value(), 1);
  EXPECT_EQ(InDoubt(), (InDoubtMap{{"my", 1}, {"pg", 1}}));
  EXPECT_EQ(Now().commit_seconds.Read().count(), 1u);
  EXPECT_EQ(Now().commit_seconds.Read().sum, milliseconds(30));

  Report(*pg_, pair.pg);
  EXPECT_EQ(InDoubt(), (InDoubtMap{{"my", 1}}));
  EXPECT_EQ(Now().apply_seconds.Read().count(), 0u);
  Pass(milliseconds(8));
  Report(*my_, pair.my);
  Report(*my_, pair.my);  // A repeat counts for nothing.
  EXPECT_EQ(InDoubt(), InDoubtMap{});
  EXPECT_EQ(Now().apply_seconds.Read().sum, milliseconds(8));
  EXPECT_EQ(Now().unfinished.value(), 1) << "END waits for its batch";
  Pass(limits_.end_delay);
  EXPECT_EQ(Now().unfinished.value(), 0);
  EXPECT_EQ(Decisions(), 1u);
  EXPECT_EQ(Ends(), 1u);
  EXPECT_EQ(Now().proposals_waiting.value(), 0);
  EXPECT_EQ(Now().begun.value(), 1u);
  EXPECT_EQ(Now().aborted.value(), 0u);
}

TEST_F(DriverMetricsTest, EachAbortHasItsCause) {
  Rollback(Begin());
  EXPECT_EQ(AbortedBy(AbortCause::kClientRollback), 1u);

  Begin();
  Pass(limits_.transaction_timeout);
  EXPECT_EQ(AbortedBy(AbortCause::kDeadlinePassed), 1u);

  Pair pair = BeginPair();
  Commit(pair.gtrid);
  VoteOn(*pg_, pair.pg, Vote::kNo);
  EXPECT_EQ(AbortedBy(AbortCause::kBranchVotedNo), 1u);

  pair = BeginPair();
  Commit(pair.gtrid);
  Pass(limits_.prepare_timeout);
  EXPECT_EQ(AbortedBy(AbortCause::kPrepareTimeout), 1u);

  log_.mode = FakeLog::Mode::kRefuse;
  CommitPair(BeginPair());
  EXPECT_EQ(AbortedBy(AbortCause::kLogRefused), 1u);

  EXPECT_EQ(Now().aborted.value(), 5u);
  uint64_t by_cause = 0;
  for (const metrics::Counter& cause : Now().aborted_by_cause) by_cause += cause.value();
  EXPECT_EQ(by_cause, 5u);
  EXPECT_EQ(Now().live.value(), 0);
  EXPECT_EQ(Now().committed.value(), 0u);
  EXPECT_EQ(Decisions(), 1u) << "only the one that the log refused";
  EXPECT_EQ(Now().commit_seconds.Read().count(), 0u);
}

TEST_F(DriverMetricsTest, ReadOnlyIsSaidApartAndCostsNoRecord) {
  const Pair pair = BeginPair();
  Commit(pair.gtrid);
  VoteOn(*pg_, pair.pg, Vote::kReadOnly);
  VoteOn(*my_, pair.my, Vote::kReadOnly);
  EXPECT_EQ(Now().read_only.value(), 1u);
  EXPECT_EQ(Now().committed.value(), 0u);
  EXPECT_EQ(Decisions(), 0u);
  EXPECT_EQ(Now().commit_seconds.Read().count(), 0u);
}

TEST_F(DriverMetricsTest, TheLogsQueueIsWhatItHasNotAnswered) {
  log_.mode = FakeLog::Mode::kHold;
  CommitPair(BeginPair());
  CommitPair(BeginPair());
  EXPECT_EQ(Now().proposals_waiting.value(), 2);
  EXPECT_EQ(Now().live.value(), 2);
  log_.DropHeld(txlog::Fate::kRefused);
  EXPECT_EQ(Now().proposals_waiting.value(), 1);
  log_.SayDurable();
  log_.ApplyHeld();
  Pump();
  EXPECT_EQ(Now().proposals_waiting.value(), 0);
  EXPECT_EQ(Now().committed.value(), 1u);
}

TEST_F(DriverMetricsTest, ALostLeadershipTakesItsGaugesAlong) {
  CommitPair(BeginPair());
  BeginPair();
  EXPECT_EQ(InDoubt(), (InDoubtMap{{"my", 1}, {"pg", 1}}));
  log_.Lose(log_.term() + 1);
  Pump();
  EXPECT_EQ(Now().leading.value(), 0);
  EXPECT_EQ(Now().live.value(), 0);
  EXPECT_EQ(Now().unknown.value(), 1u);
  EXPECT_EQ(InDoubt(), InDoubtMap{}) << "the next leader counts them";
  log_.Win(log_.term() + 1);
  Pump();
  EXPECT_EQ(Now().leading.value(), 0);
  EXPECT_EQ(Now().leader_reading.value(), 1);
  log_.ApplyNoop();
  Pump();
  EXPECT_EQ(Now().leading.value(), 1);
  EXPECT_EQ(Now().leader_reading.value(), 0);
  EXPECT_EQ(InDoubt(), (InDoubtMap{{"my", 1}, {"pg", 1}}));
  EXPECT_EQ(Now().unfinished.value(), 1);
}

TEST_F(DriverMetricsTest, ARestartFindsWhatIsInDoubtAndCountsNoOldEvents) {
  const Pair pair = BeginPair();
  CommitPair(pair);
  Report(*pg_, pair.pg, BranchViewState::kRolledBack);
  EXPECT_EQ(Now().heuristics[static_cast<size_t>(BranchEnd::kHeuristicRollback)].value(), 1u);
  EXPECT_EQ(Now().heuristic_unfinished.value(), 1);
  EXPECT_EQ(InDoubt(), (InDoubtMap{{"my", 1}}));

  Restart();
  EXPECT_EQ(Now().heuristics[static_cast<size_t>(BranchEnd::kHeuristicRollback)].value(), 0u);
  EXPECT_EQ(Now().heuristic_unfinished.value(), 1);
  EXPECT_EQ(Now().committed.value(), 0u);
  EXPECT_EQ(InDoubt(), (InDoubtMap{{"my", 1}}));
  my_ = Connect("agent-my", {"my"});
  Report(*my_, pair.my);
  EXPECT_EQ(InDoubt(), InDoubtMap{});
  Forget(pair.gtrid);
  Pump();
  EXPECT_EQ(Now().heuristic_unfinished.value(), 0);
  EXPECT_EQ(Now().unfinished.value(), 0);
}

TEST_F(DriverMetricsTest, WhatWaitsForTheDriverIsSeenWithoutIt) {
  EXPECT_EQ(driver_->queue_depth(), 0u);
  driver_->Post(StatusCall{[](Answer<StatusAnswer>) {}});
  driver_->Post(StatusCall{[](Answer<StatusAnswer>) {}});
  EXPECT_EQ(driver_->queue_depth(), 2u);
  Pump();
  EXPECT_EQ(driver_->queue_depth(), 0u);
}

}  // namespace
}  // namespace assent::coordinator
