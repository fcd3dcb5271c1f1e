#include "tests/support/bank_books.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace assent::test_support {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Two accounts of 100 in each database, t1 moved 7 from PostgreSQL to MariaDB, t2 was aborted.
struct World {
  std::vector<ToldTransfer> told = {{"t1", "g1", Told::kCommitted, ""},
                                    {"t2", "g2", Told::kAborted, ""}};
  Books postgres{{{"t1", {0, -7}}}, {{0, 93}, {1, 100}}};
  Books mariadb{{{"t1", {1, 7}}}, {{0, 100}, {1, 107}}};

  BankReport Compare() const {
    BankReport report;
    CompareBooks(told, postgres, mariadb, 100, &report);
    return report;
  }
};

TEST(CompareBooks, AcceptsBooksThatAgree) {
  BankReport report = World().Compare();
  EXPECT_THAT(report.problems, ElementsAre());
  EXPECT_EQ(report.committed, 1u);
  EXPECT_EQ(report.aborted, 1u);
  EXPECT_EQ(report.unknown, 0u);
  EXPECT_EQ(report.sum_before, 400);
  EXPECT_EQ(report.sum_after, 400);
}

TEST(CompareBooks, FindsEveryLie) {
  struct Case {
    const char* why;
    std::function<void(World&)> spoil;
    const char* problem;
  };
  const Case cases[] = {
      {"mixed outcome",
       [](World& w) {
         w.mariadb = {{}, {{0, 100}, {1, 100}}};
       },
       "stands in PostgreSQL alone"},
      {"mixed outcome, seen by the sum",
       [](World& w) {
         w.mariadb = {{}, {{0, 100}, {1, 100}}};
       },
       "the sum was 400 and is 393"},
      {"COMMITTED told and lost",
       [](World& w) {
         w.postgres = {{}, {{0, 100}, {1, 100}}};
         w.mariadb = {{}, {{0, 100}, {1, 100}}};
       },
       "told COMMITTED and is not there"},
      {"ABORTED told and committed", [](World& w) { w.told[0].told = Told::kAborted; },
       "told ABORTED and is there"},
      {"never told", [](World& w) { w.told[1].told = Told::kUnknown; }, "left with UNKNOWN"},
      {"applied twice to the account, once to the list",
       [](World& w) {
         w.postgres.balances[0] -= 7;
         w.mariadb.balances[1] += 7;
       },
       "account 0 in PostgreSQL holds 86, its transfers make 93"},
      {"nobody's transfer", [](World& w) { w.told.erase(w.told.begin()); }, "t1 was never begun"},
      {"halves of two transfers", [](World& w) { w.mariadb.transfers["t1"].change = 5; },
       "two halves that don't match"},
      {"wrong answer on the way", [](World& w) { w.told[0].problem = "heard nonsense"; },
       "heard nonsense"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.why);
    World world;
    c.spoil(world);
    EXPECT_THAT(world.Compare().problems, testing::Contains(HasSubstr(c.problem)));
  }
}

}  // namespace
}  // namespace assent::test_support
