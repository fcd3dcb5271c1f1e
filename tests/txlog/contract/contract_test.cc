// What decision_log.h promises, on every engine. The listener of the fixture checks order, gaps and
// terms in each test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <map>
#include <string>

#include "tests/support/process.h"
#include "tests/txlog/contract/contract_fixture.h"

namespace assent::txlog {
namespace {

using testing::Each;
using testing::ElementsAre;

constexpr std::chrono::seconds kPatience{20};

std::vector<std::string> Numbered(const std::string& name, int count) {
  std::vector<std::string> records;
  for (int i = 0; i < count; ++i) records.push_back(name + std::to_string(i));
  return records;
}

TEST_P(Contract, BeginsWithTheFirstRecordAndALeader) {
  StartAll();
  const size_t leader = WaitLeader();
  const auto seen = Seen(leader);
  ASSERT_FALSE(seen.applied.empty());
  EXPECT_EQ(seen.applied[0].index, 1u);
  EXPECT_EQ(seen.applied[0].record, kFirstRecord);
  EXPECT_GT(seen.term, seen.applied[0].term);
  EXPECT_EQ(seen.group.term, seen.term);
  ASSERT_NE(seen.group.Leader(), nullptr);
  ASSERT_TRUE(WaitApplied(seen.last_index));
  for (size_t i = 0; i < processes_.size(); ++i) {
    EXPECT_TRUE(At(i).listener->Wait([&](const auto& one) {
      return one.group.Leader() != nullptr && *one.group.Leader() == *seen.group.Leader();
    })) << i;
  }
}

TEST_P(Contract, WhatIsDurableIsAppliedEverywhereInTheOrderOfProposing) {
  StartAll();
  const std::vector<std::string> records = Numbered("r", 2000);
  MustPropose(records);
  std::vector<std::string> expected = records;
  expected.insert(expected.begin(), kFirstRecord);
  for (size_t i = 0; i < processes_.size(); ++i) {
    ASSERT_TRUE(At(i).listener->Wait([&](const auto& seen) {
      return seen.Records().size() == expected.size();
    })) << i;
    EXPECT_EQ(Seen(i).Records(), expected) << i;
  }
}

TEST_P(Contract, RefusesWhatIsNoRecordOrOfAnotherTerm) {
  StartAll();
  const size_t leader = WaitLeader();
  const Term term = Seen(leader).term;
  EXPECT_THAT(Propose(leader, term - 1, {"old"}), ElementsAre(Fate::kRefused));
  EXPECT_THAT(Propose(leader, term + 1, {"early"}), ElementsAre(Fate::kRefused));
  EXPECT_THAT(Propose(leader, term, {"", std::string(kRecordBytesMax + 1, 'x'), "good"}),
              ElementsAre(Fate::kRefused, Fate::kRefused, Fate::kDurable));
  ASSERT_TRUE(At(leader).listener->Wait([](const auto& seen) {
    return seen.Records() == std::vector<std::string>{"first", "good"};
  }));
}

TEST_P(Contract, TakesTheLargestRecordsAmongSmallOnes) {
  StartAll();
  std::vector<std::string> records;
  for (int i = 0; i < 4; ++i) {
    records.push_back("small" + std::to_string(i));
    records.push_back(std::string(kRecordBytesMax, static_cast<char>('a' + i)));
  }
  MustPropose(records);
  records.insert(records.begin(), kFirstRecord);
  for (size_t i = 0; i < processes_.size(); ++i) {
    ASSERT_TRUE(At(i).listener->Wait([&](const auto& seen) {
      return seen.Records().size() == records.size();
    })) << i;
    EXPECT_TRUE(Seen(i).Records() == records) << i;
  }
}

TEST_P(Contract, WhatGoesWithTheNextGoesBehindIt) {
  StartAll();
  const size_t leader = WaitLeader();
  const Term term = Seen(leader).term;
  Fates fates(2);
  At(leader).log->ProposeWithNext("lazy", term, fates.At(0));
  At(leader).log->Propose("next", term, fates.At(1));
  ASSERT_TRUE(fates.WaitAll());
  EXPECT_THAT(fates.all(), Each(Fate::kDurable));
  ASSERT_TRUE(At(leader).listener->Wait([](const auto& seen) {
    std::vector<std::string> records = seen.Records();
    std::sort(records.begin(), records.end());
    return records == std::vector<std::string>{"first", "lazy", "next"};
  }));
}

TEST_P(Contract, AFollowerRefusesAndAnswersNoRead) {
  if (Alone()) GTEST_SKIP() << "it has no follower";
  StartAll();
  const size_t leader = WaitLeader();
  const size_t follower = OtherThan(leader);
  EXPECT_THAT(Propose(follower, Seen(leader).term, {"x"}), ElementsAre(Fate::kRefused));
  EXPECT_EQ(Barrier(follower).code(), Code::kUnavailable);
}

TEST_P(Contract, ABarrierHasSeenWhatWasDurableBefore) {
  StartAll();
  const size_t leader = WaitLeader();
  for (int i = 0; i < 20; ++i) {
    const std::string record = "r" + std::to_string(i);
    MustPropose({record});
    const Status status = Barrier(leader);
    ASSERT_TRUE(status.ok()) << status.ToString();
    ASSERT_EQ(Seen(leader).applied.back().record, record);
  }
}

TEST_P(Contract, AllIsToldAgainAfterARestartInALaterTerm) {
  StartAll();
  MustPropose({"a", "b"});
  const Term term = Seen(WaitLeader()).term;
  StopAll();
  StartAll();
  const size_t leader = WaitLeader();
  EXPECT_GT(Seen(leader).term, term);
  EXPECT_THAT(Seen(leader).Records(), ElementsAre("first", "a", "b"));
  MustPropose({"c"});
  ASSERT_TRUE(At(leader).listener->Wait([](const auto& seen) {
    return seen.Records() == std::vector<std::string>{"first", "a", "b", "c"};
  }));
}

TEST_P(Contract, ASnapshotStandsForWhatItCovers) {
  StartAll();
  std::map<Index, std::string> states;
  const auto restored = [&] {
    for (size_t i = 0; i < processes_.size(); ++i) {
      if (Seen(i).snapshot_index == 0) return false;
    }
    return true;
  };
  // When one is in force is the engine's affair, but while it is given time it comes to that.
  for (int round = 0; round < 20 && !restored(); ++round) {
    MustPropose(Numbered("before" + std::to_string(round) + ".", 20));
    const Index index = Seen(WaitLeader()).last_index;
    ASSERT_TRUE(WaitApplied(index));
    // Larger than one request.
    states[index] = std::string(3 << 20, 's') + std::to_string(round);
    for (Process& process : processes_) process.log->SaveSnapshot(index, states[index]);
    for (int i = 0; i < 50 << round; ++i) MustPropose({"behind"});
    StopAll();
    StartAll();
    WaitApplied(Seen(WaitLeader()).last_index);
  }
  ASSERT_TRUE(restored());
  for (size_t i = 0; i < processes_.size(); ++i) {
    const auto seen = Seen(i);
    ASSERT_TRUE(states.contains(seen.snapshot_index));
    EXPECT_TRUE(seen.snapshot == states[seen.snapshot_index]) << i;
    ASSERT_FALSE(seen.applied.empty());
    EXPECT_EQ(seen.applied[0].index, seen.snapshot_index + 1);
  }
  MustPropose({"after"});
}

TEST_P(Contract, AsksForASnapshotWhenTheLogIsLong) {
  snapshot_after_bytes_ = 300'000;
  StartAll();
  MustPropose(std::vector<std::string>(10, std::string(50'000, 'x')));
  const size_t leader = WaitLeader();
  ASSERT_TRUE(
      At(leader).listener->Wait([](const auto& seen) { return seen.snapshots_wanted > 0; }));
  const int before = Seen(leader).snapshots_wanted;
  At(leader).log->SaveSnapshot(Seen(leader).last_index, "state");
  EXPECT_TRUE(test_support::WaitUntil(kPatience, [&] {
    MustPropose(std::vector<std::string>(10, std::string(50'000, 'x')));
    return Seen(leader).snapshots_wanted > before;
  }));
}

TEST_P(Contract, AnotherLeadsWhenTheLeaderIsGone) {
  if (Alone()) GTEST_SKIP() << "it has no follower";
  StartAll();
  MustPropose({"a", "b"});
  const size_t leader = WaitLeader();
  const Term term = Seen(leader).term;
  Stop(leader);
  const size_t next = WaitLeader();
  ASSERT_NE(next, leader);
  EXPECT_GT(Seen(next).term, term);
  EXPECT_THAT(Seen(next).Records(), ElementsAre("first", "a", "b"));
  MustPropose({"c"});
  Start(leader);
  ASSERT_TRUE(At(leader).listener->Wait([](const auto& seen) {
    return seen.Records() == std::vector<std::string>{"first", "a", "b", "c"};
  }));
}

TEST_P(Contract, EveryProposalOfALeaderThatEndsHasItsFate) {
  for (int round = 0; round < 5; ++round) {
    StartAll();
    const size_t leader = WaitLeader();
    const Term term = Seen(leader).term;
    const std::string name = "round" + std::to_string(round) + ".";
    const std::vector<std::string> records = Numbered(name, 300);
    Fates fates(records.size());
    for (size_t i = 0; i < records.size(); ++i) {
      At(leader).log->Propose(records[i], term, fates.At(i));
    }
    Stop(leader);
    ASSERT_TRUE(fates.WaitAll());
    if (Alone()) Start(leader);
    const size_t next = WaitLeader();
    // An entry of a later term is applied there: all is settled.
    const std::vector<std::string> applied = Seen(next).Records();
    const std::vector<Fate> all = fates.all();
    for (size_t i = 0; i < records.size(); ++i) {
      const auto times = std::count(applied.begin(), applied.end(), records[i]);
      EXPECT_LE(times, 1) << records[i];
      if (all[i] == Fate::kDurable) {
        EXPECT_EQ(times, 1) << records[i] << " was durable";
      }
      if (all[i] == Fate::kRefused) {
        EXPECT_EQ(times, 0) << records[i] << " was refused";
      }
    }
  }
}

TEST_P(Contract, TheLeadCanBeGivenAway) {
  StartAll();
  const size_t leader = WaitLeader();
  const Term term = Seen(leader).term;
  MustPropose({"a"});
  std::promise<Status> answer;
  At(leader).log->TransferLeadership(0, [&](Status s) { answer.set_value(std::move(s)); });
  const Status status = answer.get_future().get();
  if (Alone()) {
    EXPECT_FALSE(status.ok());
    return;
  }
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_THAT(Propose(leader, term, {"late"}), ElementsAre(Fate::kRefused));
  size_t next = leader;
  EXPECT_TRUE(test_support::WaitUntil(kPatience, [&] {
    next = WaitLeader();
    return next != leader;
  }));
  EXPECT_GT(Seen(next).term, term);
  EXPECT_THAT(Seen(next).Records(), ElementsAre("first", "a"));
}

INSTANTIATE_TEST_SUITE_P(Engines, Contract, testing::ValuesIn(Engines()),
                         [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace assent::txlog
