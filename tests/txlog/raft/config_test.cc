#include <gtest/gtest.h>

#include "txlog/raft/types.h"

namespace assent::txlog::raft {
namespace {

const Config kConfig{{{1, true, "a:7401"}, {2, false, ""}, {0x0102030405060708, true, "b"}}};

TEST(RaftConfig, ComesBackFromItsBytes) {
  EXPECT_EQ(*DecodeConfig(EncodeConfig(kConfig)), kConfig);
  EXPECT_EQ(*DecodeConfig(EncodeConfig({})), Config{});
}

TEST(RaftConfig, AnyOtherBytesAreRefused) {
  const std::string good = EncodeConfig(kConfig);
  EXPECT_FALSE(DecodeConfig("").ok());
  EXPECT_FALSE(DecodeConfig("\x02").ok());
  for (size_t size = 1; size < good.size(); ++size) {
    Result<Config> part = DecodeConfig(std::string_view(good).substr(0, size));
    EXPECT_TRUE(!part.ok() || part->members.size() < kConfig.members.size());
  }
  EXPECT_FALSE(DecodeConfig(good + "x").ok());
  Config twice = kConfig;
  twice.members[1].id = 1;
  EXPECT_FALSE(DecodeConfig(EncodeConfig(twice)).ok());
  Config nobody = kConfig;
  nobody.members[0].id = kNobody;
  EXPECT_FALSE(DecodeConfig(EncodeConfig(nobody)).ok());
  std::string half_voter = good;
  half_voter[9] = 2;
  EXPECT_FALSE(DecodeConfig(half_voter).ok());
}

TEST(RaftConfig, MajorityCountsVotersOnly) {
  EXPECT_EQ(kConfig.voters(), 2u);
  EXPECT_EQ(kConfig.majority(), 2u);
  EXPECT_FALSE(kConfig.IsVoter(2));
  EXPECT_FALSE(kConfig.IsVoter(9));
  EXPECT_EQ(Config{}.majority(), 1u);
}

}  // namespace
}  // namespace assent::txlog::raft
