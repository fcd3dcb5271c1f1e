#include "base/random.h"

#include <gtest/gtest.h>

#include <regex>

namespace assent {
namespace {

TEST(Random, UuidIsVersion4) {
  const std::regex form("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(std::regex_match(RandomUuid(), form));
  EXPECT_NE(RandomUuid(), RandomUuid());
}

}  // namespace
}  // namespace assent
