// What the tests of partitions share: a network namespace for each node, in which links are cut,
// certificates for their addresses, and the questions to a node that was left alone.
#pragma once

#include <memory>
#include <string>

#include "tests/support/node_network.h"
#include "tests/support/temp_dir.h"
#include "tests/system/group_fixture.h"
#include "tests/system/raw_node.h"

namespace assent::system_tests {

// Every test begins and ends with whole links. Tests skip themselves where there are no namespaces.
class PartitionTest : public GroupTest {
 protected:
  static void TearDownTestSuite();
  void SetUp() override;
  void TearDown() override;

  // In SetUpTestSuite, before the house. False: the tests will skip themselves.
  static bool MakeNetwork(int nodes);
  static void SkipAll(const std::string& why_not) { why_not_ = why_not; }
  static test_support::NodeNetwork& Network() { return *network_; }
  static const std::string& CertificateDir() { return certificates_->path(); }

  static bool SaysThatItLeads(const AssentdProcess& node) {
    return MetricOf(node, "assent_leader") != 0;
  }
  // Asks again and again about a transaction that others have committed, and one that they have
  // aborted; and to begin one.
  static void ExpectNothingStale(const RawNode& node, const std::string& won,
                                 const std::string& lost);

 private:
  static std::unique_ptr<test_support::NodeNetwork> network_;
  static std::unique_ptr<test_support::TempDir> certificates_;
  static std::string why_not_;
};

}  // namespace assent::system_tests
