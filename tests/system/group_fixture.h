// What the tests of groups share: a house with several coordinators, a bank that works in it, and
// probes beside the bank.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/bank.h"
#include "tests/support/deployment.h"
#include "tests/support/leader.h"
#include "tests/system/failover.h"
#include "tests/system/probe.h"

namespace assent::system_tests {

using test_support::AssentdProcess;
using test_support::Bank;
using test_support::Deployment;

// A suite with one house. Every test leaves all of its processes running.
class GroupTest : public testing::Test {
 protected:
  static void StartHouse(const test_support::DeploymentOptions& options);
  static void TearDownTestSuite();
  void SetUp() override;
  void TearDown() override;

  static Deployment& House() { return *house_; }
  Probe& TheProbe() { return *probe_; }

  // The bank's workers; EndLoad says what is wrong with its books.
  void StartLoad(const test_support::BankOptions& options = {.concurrency = 4});
  Bank& Load() { return *bank_; }
  void EndLoad();

  // The node that leads and serves; fails the test if there is none in time.
  static AssentdProcess* Leader(const AssentdProcess* but = nullptr);
  static std::vector<AssentdProcess*> Others(const AssentdProcess* node);

  // Of its /metrics now; -1: it does not answer.
  static double MetricOf(const AssentdProcess& node, const std::string& name);

  struct CtlAnswer {
    int code = -1;
    std::string output;
  };
  // The real assentctl, at all coordinators of the house.
  static CtlAnswer Ctl(const std::vector<std::string>& arguments);
  // The same, at `endpoints`.
  static CtlAnswer CtlAt(const std::string& endpoints, const std::vector<std::string>& arguments);

 private:
  static std::unique_ptr<Deployment> house_;
  std::optional<Probe> probe_;
  std::unique_ptr<Bank> bank_;
};

}  // namespace assent::system_tests
