#include "tests/support/scrape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace assent::test_support {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* kPage =
    "# HELP a_total All of it.\n"
    "# TYPE a_total counter\n"
    "a_total{kind=\"x\",way=\"in\"} 3\n"
    "a_total{kind=\"x\",way=\"out\"} 4\n"
    "a_total{kind=\"y\",way=\"out\"} 5\n"
    "# HELP b_seconds How long.\n"
    "# TYPE b_seconds histogram\n"
    "b_seconds_count 2\n"
    "b_seconds_sum 0.5\n"
    "b_seconds_bucket{le=\"0.1\"} 1\n"
    "b_seconds_bucket{le=\"+Inf\"} 2\n";

TEST(ScrapeTest, SumsWhatCarriesTheLabels) {
  auto scrape = Scrape::Parse(kPage);
  ASSERT_TRUE(scrape.ok()) << scrape.status().ToString();
  EXPECT_EQ(scrape->Sum("a_total"), 12);
  EXPECT_EQ(scrape->Sum("a_total", {{"kind", "x"}}), 7);
  EXPECT_EQ(scrape->Sum("a_total", {{"way", "out"}, {"kind", "y"}}), 5);
  EXPECT_EQ(scrape->Sum("a_total", {{"kind", "z"}}), 0);
  EXPECT_EQ(scrape->Sum("b_seconds_count"), 2);
  EXPECT_EQ(scrape->families().at("a_total").type, "counter");
  EXPECT_THAT(scrape->families().at("a_total").labels, ElementsAre("kind", "way"));
  EXPECT_THAT(scrape->families().at("b_seconds").labels, IsEmpty());
}

TEST(ScrapeTest, WhatIsNoPageIsRefused) {
  for (const char* text :
       {"a_total 3\n", "# TYPE a counter\na{x=1} 3\n", "# TYPE a counter\na 3x\n",
        "# TYPE a counter\na 3\na 3\n", "# TYPE a counter\n# TYPE a gauge\n"}) {
    EXPECT_FALSE(Scrape::Parse(text).ok()) << text;
  }
}

// The comparison would be worth nothing if it were blind on either side.
TEST(DocsTest, EveryDifferenceIsNamed) {
  ASSERT_THAT(DocumentedMetrics("assentd"), Not(IsEmpty()));
  ASSERT_THAT(DocumentedMetrics("assent-agent"), Not(IsEmpty()));
  EXPECT_THAT(DocumentedMetrics("no-such-program"), IsEmpty());

  auto scrape = Scrape::Parse(
      "# HELP assent_term Something else.\n# TYPE assent_term counter\nassent_term{a=\"b\"} 1\n"
      "# HELP assent_secret New.\n# TYPE assent_secret gauge\nassent_secret 1\n");
  ASSERT_TRUE(scrape.ok());
  std::string all;
  for (const std::string& difference : DifferencesFromDocs(*scrape, "assentd")) {
    all += difference + "\n";
  }
  EXPECT_THAT(all, HasSubstr("assent_leader of assentd: documented, not exposed"));
  EXPECT_THAT(all, HasSubstr("assent_term of assentd: documented as gauge, is counter"));
  EXPECT_THAT(all, HasSubstr("its help is \"Something else.\""));
  EXPECT_THAT(all, HasSubstr("documented labels: none; exposed: a"));
  EXPECT_THAT(all, HasSubstr("assent_secret of assentd: exposed, not documented"));
}

}  // namespace
}  // namespace assent::test_support
