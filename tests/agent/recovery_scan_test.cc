#include "participant-agent/core/recovery_scan.h"

#include <gmock/gmock.h>

namespace assent::agent {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const MonotonicTime kStart{std::chrono::hours(1)};
constexpr milliseconds kAge{2'000};

Gid GidNumber(uint64_t seq) {
  return {.gtrid = {.cluster = "test", .incarnation = 1, .group = 0, .epoch = 5, .seq = seq},
          .bqual = {.resource = "orders_pg", .branch = 1, .attempt = 1}};
}

// Each row: what the agent knows, how long the branch has been listed, and whether it asks.
struct Case {
  std::string why;
  Knowledge knowledge = Knowledge::kNothing;
  milliseconds known_for{0};
  milliseconds listed_for{0};
  bool ask_all = false;
  bool inquires = false;
  bool relisted = false;
};

TEST(RecoveryScan, AsksAboutWhatWaitsUnheard) {
  const Case cases[] = {
      {.why = "a stranger seen for the first time may be somebody's work in progress"},
      {.why = "a stranger that stays", .listed_for = kAge, .inquires = true},
      {.why = "a leader said hello: it is asked about all", .ask_all = true, .inquires = true},
      {.why = "its vote will come", .knowledge = Knowledge::kAtWork, .listed_for = kAge * 5},
      {.why = "at work, and a leader said hello", .knowledge = Knowledge::kAtWork, .ask_all = true},
      {.why = "its decision is on its way",
       .knowledge = Knowledge::kPrepared,
       .known_for = milliseconds(100),
       .listed_for = milliseconds(100)},
      {.why = "its decision is overdue",
       .knowledge = Knowledge::kPrepared,
       .known_for = kAge,
       .listed_for = kAge,
       .inquires = true},
      {.why = "listed for long, but prepared just now",
       .knowledge = Knowledge::kPrepared,
       .known_for = milliseconds(100),
       .listed_for = kAge * 5},
      {.why = "prepared, and a leader said hello",
       .knowledge = Knowledge::kPrepared,
       .ask_all = true,
       .inquires = true},
      {.why = "the decision is being carried out",
       .knowledge = Knowledge::kFinishing,
       .known_for = kAge * 5,
       .listed_for = kAge * 5,
       .ask_all = true},
      {.why = "ended while the listing was under way",
       .knowledge = Knowledge::kOver,
       .listed_for = kAge},
      {.why = "ended before the listing: the database came back from a backup",
       .knowledge = Knowledge::kOver,
       .known_for = milliseconds(1),
       .inquires = true,
       .relisted = true},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.why);
    RecoveryScan scan(kAge);
    const std::vector<ListedBranch> listed{{GidNumber(1), "e"}};
    const MonotonicTime now = kStart + c.listed_for;
    auto know = [&](const Gid&) { return Known{c.knowledge, now - c.known_for}; };
    if (c.listed_for > milliseconds(0)) {
      scan.Listed(listed, kStart, false, [&](const Gid&) {
        return Known{Knowledge::kAtWork, kStart};
      });
    }
    const ScanVerdict verdict = scan.Listed(listed, now, c.ask_all, know);
    EXPECT_EQ(verdict.inquire.size(), c.inquires ? 1u : 0u);
    EXPECT_EQ(verdict.relisted.size(), c.relisted ? 1u : 0u);
    EXPECT_THAT(verdict.gone, IsEmpty());
  }
}

Known Nothing(const Gid&) { return {}; }

TEST(RecoveryScan, AsksAgainAtIntervals) {
  RecoveryScan scan(kAge);
  const std::vector<ListedBranch> listed{{GidNumber(1), ""}};
  EXPECT_THAT(scan.Listed(listed, kStart, false, Nothing).inquire, IsEmpty());
  EXPECT_EQ(scan.Listed(listed, kStart + kAge, false, Nothing).inquire.size(), 1u);
  EXPECT_THAT(scan.Listed(listed, kStart + kAge + milliseconds(500), false, Nothing).inquire,
              IsEmpty());
  scan.Answered(GidNumber(1), LastAnswer::kPending, kStart + kAge + milliseconds(600));
  EXPECT_THAT(scan.Listed(listed, kStart + 2 * kAge, false, Nothing).inquire, IsEmpty());
  EXPECT_EQ(
      scan.Listed(listed, kStart + 2 * kAge + milliseconds(600), false, Nothing).inquire.size(),
      1u);
}

TEST(RecoveryScan, AHazardIsAskedAboutSeldom) {
  RecoveryScan scan(kAge);
  const std::vector<ListedBranch> listed{{GidNumber(1), ""}};
  EXPECT_EQ(scan.Listed(listed, kStart, true, Nothing).inquire.size(), 1u);
  scan.Answered(GidNumber(1), LastAnswer::kLeaveAlone, kStart);
  EXPECT_THAT(scan.Listed(listed, kStart + 10 * kAge, false, Nothing).inquire, IsEmpty());
  EXPECT_EQ(scan.Listed(listed, kStart + std::chrono::minutes(2), false, Nothing).inquire.size(),
            1u);
}

TEST(RecoveryScan, TellsWhatIsGoneWithoutTheAgentsDoing) {
  RecoveryScan scan(kAge);
  std::vector<ListedBranch> listed;
  for (uint64_t i = 1; i <= 5; ++i) listed.push_back({GidNumber(i), ""});
  scan.Listed(listed, kStart, false, Nothing);
  scan.Ended(GidNumber(5), kStart);  // The agent ended it, and has forgotten it since.
  auto know = [](const Gid& gid) -> Known {
    switch (gid.gtrid.seq) {
      case 1:
        return {};  // A stranger's.
      case 2:
        return {Knowledge::kPrepared, kStart};  // Voted yes, and vanished.
      case 3:
        return {Knowledge::kFinishing, kStart};  // By our own hand.
      default:
        return {Knowledge::kOver, kStart};
    }
  };
  const ScanVerdict verdict = scan.Listed({}, kStart + kAge, false, know);
  EXPECT_THAT(verdict.gone, ElementsAre(GidNumber(1), GidNumber(2)));
  EXPECT_THAT(scan.Listed({}, kStart + 2 * kAge, false, know).gone, IsEmpty());  // Said once.
}

TEST(RecoveryScan, AsksAboutWhatVotedYesAndIsNotListed) {
  RecoveryScan scan(kAge);
  const std::vector<ListedBranch> waiting{{GidNumber(1), "e"}};
  MonotonicTime since = kStart + milliseconds(1);
  auto know = [&](const Gid&) { return Known{Knowledge::kPrepared, since}; };
  // Prepared while the listing was under way: it need not be in it.
  ScanVerdict verdict = scan.Listed({}, kStart, true, know, waiting);
  EXPECT_THAT(verdict.gone, IsEmpty());
  EXPECT_THAT(verdict.inquire, IsEmpty());
  // Never listed; and yet it was prepared.
  verdict = scan.Listed({}, kStart + milliseconds(10), false, know, waiting);
  EXPECT_THAT(verdict.gone, ElementsAre(GidNumber(1)));
  ASSERT_EQ(verdict.inquire.size(), 1u);
  EXPECT_EQ(verdict.inquire[0].evidence, "e");
  // Asked again at intervals, as long as it waits.
  scan.Answered(GidNumber(1), LastAnswer::kPending, kStart + milliseconds(20));
  verdict = scan.Listed({}, kStart + milliseconds(30), false, know, waiting);
  EXPECT_THAT(verdict.gone, IsEmpty());
  EXPECT_THAT(verdict.inquire, IsEmpty());
  verdict = scan.Listed({}, kStart + milliseconds(20) + kAge, false, know, waiting);
  EXPECT_THAT(verdict.gone, IsEmpty());
  EXPECT_EQ(verdict.inquire.size(), 1u);
  EXPECT_THAT(scan.Listed({}, kStart + 9 * kAge, true, know).inquire, IsEmpty());
}

TEST(RecoveryScan, AListingUnderWayMayStillShowWhatWasEndedAndForgotten) {
  RecoveryScan scan(kAge);
  const std::vector<ListedBranch> listed{{GidNumber(1), ""}};
  scan.Ended(GidNumber(1), kStart + milliseconds(5));
  EXPECT_THAT(scan.Listed(listed, kStart, true, Nothing).inquire, IsEmpty());
  EXPECT_THAT(scan.Listed({}, kStart + kAge, false, Nothing).gone, IsEmpty());
  // A listing that began later means it.
  scan.Ended(GidNumber(1), kStart + kAge);
  EXPECT_EQ(scan.Listed(listed, kStart + 2 * kAge, true, Nothing).inquire.size(), 1u);
}

TEST(RecoveryScan, APreparedBranchIsNotGoneFromAListingThatBeganBefore) {
  RecoveryScan scan(kAge);
  scan.Listed({{GidNumber(1), ""}}, kStart, false, Nothing);
  auto know = [](const Gid&) -> Known { return {Knowledge::kPrepared, kStart + milliseconds(20)}; };
  EXPECT_THAT(scan.Listed({}, kStart + milliseconds(10), false, know).gone, IsEmpty());
}

}  // namespace
}  // namespace assent::agent
