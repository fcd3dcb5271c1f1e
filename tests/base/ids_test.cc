#include "base/ids.h"

#include <gtest/gtest.h>

namespace assent {
namespace {

const Gid kGolden{
    .gtrid = {.cluster = "prod-eu",
              .incarnation = 0x0123456789ABCDEF,
              .group = 7,
              .epoch = 42,
              .seq = 1000},
    .bqual = {.mode = Mode::kTwoPhase, .resource = "orders_pg", .branch = 2, .attempt = 1}};

// Golden vectors: ids stand in databases and logs for ever, so these lines never change. A client
// in another language may copy them.
TEST(Ids, GoldenVectors) {
  EXPECT_EQ(ToString(kGolden.gtrid), "prod-eu.028q5cu4qnjff.0007.0000001a.000000v8");
  EXPECT_EQ(ToString(kGolden.bqual), "A.orders_pg.002.0001");
  EXPECT_EQ(ToString(kGolden),
            "assent:prod-eu.028q5cu4qnjff.0007.0000001a.000000v8:A.orders_pg.002.0001");
  EXPECT_EQ(ToString(Gtrid{.cluster = "a",
                           .incarnation = UINT64_MAX,
                           .group = (1u << 20) - 1,
                           .epoch = (1ull << 40) - 1,
                           .seq = (1ull << 40) - 1}),
            "a.fvvvvvvvvvvvv.vvvv.vvvvvvvv.vvvvvvvv");
  EXPECT_EQ(kXidFormatId, 1095978580);
}

TEST(Ids, ParsesWhatItPrints) {
  auto gid = ParseGid(ToString(kGolden));
  ASSERT_TRUE(gid.ok()) << gid.status().ToString();
  EXPECT_EQ(*gid, kGolden);
}

TEST(Ids, LargestFitTheirLimits) {
  Gid gid = kGolden;
  gid.gtrid.cluster = std::string(kClusterBytesMax, 'c');
  gid.bqual.resource = std::string(kResourceBytesMax, 'r');
  EXPECT_LE(ToString(gid.gtrid).size(), kGtridBytesMax);
  EXPECT_LE(ToString(gid.bqual).size(), kBqualBytesMax);
  EXPECT_LE(ToString(gid).size(), kGidBytesMax);
  EXPECT_TRUE(ParseGid(ToString(gid)).ok());
}

TEST(Ids, TextOrderIsNumberOrder) {
  Gtrid low = kGolden.gtrid, high = kGolden.gtrid;
  high.epoch = low.epoch + 1;
  high.seq = 0;
  EXPECT_LT(ToString(low), ToString(high));
  EXPECT_LT(low, high);
}

struct Case {
  const char* why;
  std::string text;
};

TEST(Ids, RefusesMalformedGtrids) {
  const Case cases[] = {
      {"empty", ""},
      {"too few fields", "prod-eu.028q5cu4qnjff.0007.0000001a"},
      {"too many fields", "prod-eu.028q5cu4qnjff.0007.0000001a.000000v8.1"},
      {"cluster begins with a digit", "1prod.028q5cu4qnjff.0007.0000001a.000000v8"},
      {"cluster too long", "abcdefghijklmnopq.028q5cu4qnjff.0007.0000001a.000000v8"},
      {"upper case in a number", "prod-eu.028Q5cu4qnjff.0007.0000001a.000000v8"},
      {"number too short", "prod-eu.028q5cu4qnjff.007.0000001a.000000v8"},
      {"incarnation beyond 64 bits", "prod-eu.g28q5cu4qnjff.0007.0000001a.000000v8"},
      {"quote", "prod'eu.028q5cu4qnjff.0007.0000001a.000000v8"},
      {"newline", "prod-eu.028q5cu4qnjff.0007.0000001a.000000v\n"},
      {"over-long", std::string(10'000, 'a')},
  };
  for (const Case& c : cases) {
    auto parsed = ParseGtrid(c.text);
    ASSERT_FALSE(parsed.ok()) << c.why;
    EXPECT_EQ(parsed.status().code(), Code::kInvalidArgument) << c.why;
    EXPECT_LT(parsed.status().message().size(), 300u) << c.why;
  }
}

TEST(Ids, RefusesMalformedBqualsAndGids) {
  const Case bquals[] = {
      {"unknown mode", "B.orders_pg.002.0001"},
      {"no resource", "A..002.0001"},
      {"resource with a dash", "A.orders-pg.002.0001"},
      {"branch too long", "A.orders_pg.0002.0001"},
      {"missing attempt", "A.orders_pg.002"},
  };
  for (const Case& c : bquals) EXPECT_FALSE(ParseBqual(c.text).ok()) << c.why;

  const std::string gtrid = ToString(kGolden.gtrid);
  const Case gids[] = {
      {"other prefix", "other:" + gtrid + ":A.orders_pg.002.0001"},
      {"no bqual", "assent:" + gtrid},
      {"trailing byte", ToString(kGolden) + " "},
  };
  for (const Case& c : gids) EXPECT_FALSE(ParseGid(c.text).ok()) << c.why;
}

}  // namespace
}  // namespace assent
