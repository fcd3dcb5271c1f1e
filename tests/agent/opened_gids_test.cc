#include "participant-agent/core/opened_gids.h"

#include <gtest/gtest.h>

namespace assent::agent {
namespace {

using Verdict = OpenedGids::Verdict;

constexpr uint64_t kSelf = 7;

Gid GidOf(uint64_t epoch, uint64_t seq, uint32_t branch = 0, uint32_t attempt = 1) {
  return {.gtrid = {.cluster = "test", .incarnation = 1, .group = 0, .epoch = epoch, .seq = seq},
          .bqual = {.resource = "orders_pg", .branch = branch, .attempt = attempt}};
}

TEST(OpenedGidsTest, EachIsOpenedOnce) {
  OpenedGids opened(kSelf);
  EXPECT_EQ(opened.Open(GidOf(5, 1), kSelf), Verdict::kFresh);
  EXPECT_EQ(opened.Open(GidOf(5, 1), kSelf), Verdict::kRepeated);
  EXPECT_EQ(opened.Open(GidOf(5, 1, 1), kSelf), Verdict::kFresh);
  EXPECT_EQ(opened.Open(GidOf(5, 1, 1, 2), kSelf), Verdict::kFresh);
  EXPECT_EQ(opened.Open(GidOf(5, 0), kSelf), Verdict::kFresh);
  EXPECT_EQ(opened.Open(GidOf(6, 1), kSelf), Verdict::kFresh);
  EXPECT_EQ(opened.Open(GidOf(5, 1, 1), kSelf), Verdict::kRepeated);
}

TEST(OpenedGidsTest, AnothersIsNotTakenForOpened) {
  OpenedGids opened(kSelf);
  EXPECT_EQ(opened.Open(GidOf(5, 1), kSelf - 1), Verdict::kOtherHolder);
  EXPECT_EQ(opened.Open(GidOf(5, 1), 0), Verdict::kOtherHolder);
  EXPECT_EQ(opened.Open(GidOf(5, 1), kSelf), Verdict::kFresh);
}

TEST(OpenedGidsTest, WhatIsOlderThanAllThatIsRememberedIsRefused) {
  OpenedGids opened(kSelf, 3);
  for (const uint64_t seq : {20, 10, 30, 40}) {
    EXPECT_EQ(opened.Open(GidOf(5, seq), kSelf), Verdict::kFresh) << seq;
  }
  // 10 is forgotten, and with it whatever came before.
  EXPECT_EQ(opened.Open(GidOf(5, 9), kSelf), Verdict::kTooOld);
  EXPECT_EQ(opened.Open(GidOf(5, 10), kSelf), Verdict::kTooOld);
  for (const uint64_t seq : {20, 30, 40}) {
    EXPECT_EQ(opened.Open(GidOf(5, seq), kSelf), Verdict::kRepeated) << seq;
  }
  // Between those that are remembered, and itself the oldest then: forgotten at once.
  EXPECT_EQ(opened.Open(GidOf(5, 15), kSelf), Verdict::kFresh);
  EXPECT_EQ(opened.Open(GidOf(5, 15), kSelf), Verdict::kTooOld);
  // Each epoch counts for itself.
  EXPECT_EQ(opened.Open(GidOf(6, 1), kSelf), Verdict::kFresh);
}

TEST(OpenedGidsTest, AnEpochThatIsOverCostsNothing) {
  OpenedGids opened(kSelf, 1);
  EXPECT_EQ(opened.Open(GidOf(5, 1), kSelf), Verdict::kFresh);
  EXPECT_EQ(opened.Open(GidOf(6, 1), kSelf), Verdict::kFresh);
  opened.EpochBegan(6);
  EXPECT_EQ(opened.Open(GidOf(6, 1), kSelf), Verdict::kRepeated);
  // Nobody asks: the caller refuses what is over. Forgotten all the same.
  EXPECT_EQ(opened.Open(GidOf(5, 1), kSelf), Verdict::kFresh);
}

}  // namespace
}  // namespace assent::agent
