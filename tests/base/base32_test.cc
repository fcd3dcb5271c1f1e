#include "base/base32.h"

#include <gtest/gtest.h>

namespace assent {
namespace {

TEST(Base32, EncodesFixedWidth) {
  EXPECT_EQ(EncodeBase32(0, 4), "0000");
  EXPECT_EQ(EncodeBase32(31, 1), "v");
  EXPECT_EQ(EncodeBase32(32, 4), "0010");
  EXPECT_EQ(EncodeBase32(UINT64_MAX, 13), "fvvvvvvvvvvvv");
}

TEST(Base32, TextOrderIsNumberOrder) {
  for (uint64_t n = 1; n < 5000; ++n) EXPECT_LT(EncodeBase32(n - 1, 8), EncodeBase32(n, 8));
}

TEST(Base32, DecodesWhatItEncodes) {
  for (uint64_t n : {uint64_t{0}, uint64_t{1}, uint64_t{0xDEADBEEF}, UINT64_MAX}) {
    EXPECT_EQ(DecodeBase32(EncodeBase32(n, 13)), n);
  }
}

TEST(Base32, RefusesOtherCharactersAndOverflow) {
  EXPECT_EQ(DecodeBase32("00w0"), std::nullopt);
  EXPECT_EQ(DecodeBase32("00A0"), std::nullopt);
  EXPECT_EQ(DecodeBase32("0 00"), std::nullopt);
  EXPECT_EQ(DecodeBase32("g000000000000"), std::nullopt);  // 2^64.
}

TEST(Base32DeathTest, ChecksThatTheNumberFits) { EXPECT_DEATH(EncodeBase32(32, 1), "value == 0"); }

}  // namespace
}  // namespace assent
