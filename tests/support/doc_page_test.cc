#include "tests/support/doc_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

namespace assent::test_support {
namespace {

constexpr const char* kPage =
    "# Page\n"
    "\n"
    "```toml\n"
    "a = 1\n"
    "```\n"
    "## First steps\n"
    "**Start.** Words, then\n"
    "and **bold ones** inside.\n"
    "```sh\n"
    "# no heading\n"
    "**no mark**\n"
    "run --fast\n"
    "```\n"
    "### Third\n"
    "```\n"
    "```\n";

TEST(DocPage, EachBlockHasTheMarkAboveIt) {
  const auto blocks = DocBlocksOf(kPage);
  ASSERT_EQ(blocks.size(), 3u);
  EXPECT_EQ(blocks[0].mark, "Page");
  EXPECT_EQ(blocks[0].language, "toml");
  EXPECT_EQ(blocks[0].text, "a = 1\n");
  EXPECT_EQ(blocks[0].line, 3);
  EXPECT_EQ(blocks[1].mark, "Start");
  EXPECT_EQ(blocks[1].text, "# no heading\n**no mark**\nrun --fast\n");
  EXPECT_EQ(blocks[1].line, 9);
  EXPECT_EQ(blocks[2].mark, "Third");
  EXPECT_EQ(blocks[2].language, "");
  EXPECT_EQ(blocks[2].text, "");
  EXPECT_EQ(OfLanguage(blocks, "sh").size(), 1u);
  EXPECT_EQ(DocBlockUnder(blocks, "Page", "toml"), "a = 1\n");
}

TEST(DocPage, ABlockThatIsNotThereFailsTheTest) {
  EXPECT_NONFATAL_FAILURE(DocBlockUnder(DocBlocksOf(kPage), "Start", "toml"), "under 'Start'");
}

TEST(DocPage, ALineIsACommandAndItsComment) {
  const auto steps = DocSteps("a b      # on node 4, once\nc # d\n\n# e\nf#g\n");
  ASSERT_EQ(steps.size(), 3u);
  EXPECT_EQ(steps[0].command, "a b");
  EXPECT_TRUE(steps[0].Says("on node 4"));
  EXPECT_EQ(steps[1].comment, "d");
  EXPECT_EQ(steps[2].command, "f#g");
}

TEST(DocPage, ASettingIsAKeyAndItsValue) {
  using testing::ElementsAre;
  using testing::Pair;
  EXPECT_THAT(DocSettings("a = 1\nb = \"x = y\"   # why\n"),
              ElementsAre(Pair("a", "1"), Pair("b", "\"x = y\"")));
  EXPECT_NONFATAL_FAILURE(DocSettings("[[table]]\n"), "[[table]]");
}

TEST(DocPage, PagesAreFound) { EXPECT_FALSE(DocBlocks("docs/security.md").empty()); }

TEST(DocPage, ReplacesEverywhere) {
  std::string text = "a.b.a";
  ReplaceAll("a", "aa", &text);
  EXPECT_EQ(text, "aa.b.aa");
}

}  // namespace
}  // namespace assent::test_support
