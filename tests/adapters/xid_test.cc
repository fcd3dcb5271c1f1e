#include "adapters/common/xid.h"

#include <gtest/gtest.h>

#include "base/mutant.h"

namespace assent::adapters {
namespace {

Gid Example() {
  return {.gtrid = {.cluster = "bank",
                    .incarnation = 0x0123456789abcdef,
                    .group = 1,
                    .epoch = 7,
                    .seq = 42},
          .bqual = {.mode = Mode::kTwoPhase, .resource = "orders_my", .branch = 2, .attempt = 1}};
}

std::string Gtrid() { return ToString(Example().gtrid); }
std::string Bqual() { return ToString(Example().bqual); }

// The bytes are on disks and in logs of databases: they may never change.
TEST(XidGoldenVectors, XaLiteral) {
  EXPECT_EQ(Gtrid(), "bank.028q5cu4qnjff.0001.00000007.0000001a");
  EXPECT_EQ(Bqual(), "A.orders_my.002.0001");
  EXPECT_EQ(XaLiteral(Example()),
            "X'62616e6b2e3032387135637534716e6a66662e303030312e30303030303030372e3030303030303161',"
            "X'412e6f72646572735f6d792e3030322e30303031',1095978580");
}

TEST(XidGoldenVectors, PostgresLiteral) {
  EXPECT_EQ(PostgresLiteral(Example()),
            "'assent:bank.028q5cu4qnjff.0001.00000007.0000001a:A.orders_my.002.0001'");
}

TEST(XidGoldenVectors, TheLongestGidFitsEveryDatabase) {
  Gid gid = Example();
  gid.gtrid.cluster = "a234567890123456";
  gid.gtrid.incarnation = ~uint64_t{0};
  gid.bqual.resource = "a2345678901234567890123456789012";
  ASSERT_TRUE(IsClusterName(gid.gtrid.cluster));
  ASSERT_TRUE(IsResourceName(gid.bqual.resource));
  EXPECT_LE(ToString(gid.gtrid).size(), 64u);  // MySQL and MariaDB.
  EXPECT_LE(ToString(gid.bqual).size(), 64u);
  EXPECT_LE(PostgresLiteral(gid).size() - 2, 199u);  // PostgreSQL, without the quotes.
}

TEST(XidFromXaRecover, ReadsBackWhatWasWritten) {
  auto gid = GidFromXaRecover(kXidFormatId, Gtrid().size(), Bqual().size(), Gtrid() + Bqual());
  ASSERT_TRUE(gid.has_value());
  EXPECT_EQ(*gid, Example());
}

TEST(XidFromXaRecover, ForeignXidsAreNotRead) {
  struct Case {
    const char* why;
    int64_t format_id;
    size_t gtrid_bytes;
    size_t bqual_bytes;
    std::string data;
  };
  const std::string both = Gtrid() + Bqual();
  const Case cases[] = {
      {"another format id", 1, Gtrid().size(), Bqual().size(), both},
      {"a negative format id", -1, Gtrid().size(), Bqual().size(), both},
      {"our format id in the upper half of 64 bits", int64_t{kXidFormatId} + (int64_t{1} << 32),
       Gtrid().size(), Bqual().size(), both},
      {"the same bytes, split elsewhere", kXidFormatId, Gtrid().size() - 1, Bqual().size() + 1,
       both},
      {"lengths beyond the data", kXidFormatId, Gtrid().size(), Bqual().size() + 1, both},
      {"lengths short of the data", kXidFormatId, Gtrid().size(), Bqual().size() - 1, both},
      {"lengths whose sum wraps around", kXidFormatId, both.size() + 1, ~size_t{0}, both},
      {"no bqual", kXidFormatId, Gtrid().size(), 0, Gtrid()},
      {"empty", kXidFormatId, 0, 0, ""},
      {"bytes that are no text", kXidFormatId, 2, 1, std::string("a\0\xff", 3)},
      {"another program's words", kXidFormatId, 3, 3, "foobar"},
      {"upper case", kXidFormatId, Gtrid().size(), Bqual().size(), "B" + both.substr(1)},
  };
  for (const Case& c : cases) {
    EXPECT_FALSE(GidFromXaRecover(c.format_id, c.gtrid_bytes, c.bqual_bytes, c.data).has_value())
        << c.why;
  }
}

TEST(XidOwnership, OnlyThisClusterAndResource) {
  EXPECT_TRUE(IsOurs(Example(), "bank", "orders_my"));
  EXPECT_FALSE(IsOurs(Example(), "bank", "orders"));  // A prefix is another resource.
  EXPECT_FALSE(IsOurs(Example(), "ban", "orders_my"));
  EXPECT_FALSE(IsOurs(Example(), "shop", "orders_my"));
}

#if defined(ASSENT_FAILPOINTS)
TEST(SeededBug, ForeignBranchTouched) {
  ScopedMutant mutant(Mutant::kForeignBranchTouched);
  EXPECT_TRUE(IsOurs(Example(), "bank", "orders")) << "the mutant is not caught any more";
}
#endif

}  // namespace
}  // namespace assent::adapters
