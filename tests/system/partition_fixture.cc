#include "tests/system/partition_fixture.h"

namespace assent::system_tests {

using std::chrono::seconds;
using test_support::NodeNetwork;

std::unique_ptr<NodeNetwork> PartitionTest::network_;
std::unique_ptr<test_support::TempDir> PartitionTest::certificates_;
std::string PartitionTest::why_not_;

bool PartitionTest::MakeNetwork(int nodes) {
  why_not_.clear();
  auto network = NodeNetwork::Make(nodes);
  if (!network.ok()) {
    SkipAll("no partitions on this machine: " + network.status().ToString());
    return false;
  }
  network_ = std::move(*network);
  certificates_ = std::make_unique<test_support::TempDir>();
  EXPECT_TRUE(MakeCertificates(*certificates_, network_->Hosts()).ok());
  return true;
}

void PartitionTest::TearDownTestSuite() {
  GroupTest::TearDownTestSuite();
  network_.reset();
  certificates_.reset();
}

void PartitionTest::SetUp() {
  if (!why_not_.empty()) GTEST_SKIP() << why_not_;
  ASSERT_NE(network_, nullptr);
  GroupTest::SetUp();
}

void PartitionTest::TearDown() {
  if (network_ == nullptr) return;
  EXPECT_TRUE(network_->Heal().ok());
  GroupTest::TearDown();
}

void PartitionTest::ExpectNothingStale(const RawNode& node, const std::string& won,
                                       const std::string& lost) {
  for (int i = 0; i < 20; ++i) {
    for (auto question : {&RawNode::Get, &RawNode::Commit, &RawNode::Rollback}) {
      const RawNode::Word of_won = (node.*question)(won, seconds(2));
      EXPECT_NE(of_won.outcome, v1::OUTCOME_ABORTED) << of_won.ToString();
      const RawNode::Word of_lost = (node.*question)(lost, seconds(2));
      EXPECT_NE(of_lost.outcome, v1::OUTCOME_COMMITTED) << of_lost.ToString();
    }
  }
  EXPECT_EQ(node.Begin(seconds(2)).reason, v1::REASON_NOT_LEADER);
}

}  // namespace assent::system_tests
