#include "tests/system/group_fixture.h"

#include <utility>

#include "tests/support/process.h"
#include "tests/support/scrape.h"

namespace assent::system_tests {

using std::chrono::seconds;

std::unique_ptr<Deployment> GroupTest::house_;

void GroupTest::StartHouse(const test_support::DeploymentOptions& options) {
  auto house = Deployment::Start(options);
  ASSERT_TRUE(house.ok()) << house.status().ToString();
  house_ = std::move(*house);
}

void GroupTest::TearDownTestSuite() { house_.reset(); }

void GroupTest::SetUp() {
  ASSERT_NE(house_, nullptr) << "the deployment did not start";
  auto probe = Probe::Make(*house_);
  ASSERT_TRUE(probe.ok()) << probe.status().ToString();
  probe_.emplace(std::move(*probe));
}

void GroupTest::TearDown() {
  if (bank_ != nullptr) EndLoad();
  if (HasFailure() && house_ != nullptr) house_->Keep();
}

void GroupTest::StartLoad(const test_support::BankOptions& options) {
  bank_ = std::make_unique<Bank>(*house_, options);
  Status opened = bank_->Open();
  ASSERT_TRUE(opened.ok()) << opened.ToString();
  ASSERT_TRUE(bank_->Start().ok());
}

void GroupTest::EndLoad() {
  bank_->Stop(seconds(30));
  const test_support::BankReport report = bank_->Check(seconds(30));
  if (!report.ok()) {
    ADD_FAILURE() << report.problems.size() << " problems, the first: " << report.problems.front();
  }
  EXPECT_GT(report.committed, 0u);
  EXPECT_EQ(report.unknown, 0u);
  Status closed = bank_->Close();
  EXPECT_TRUE(closed.ok()) << closed.ToString();
  bank_.reset();
}

AssentdProcess* GroupTest::Leader(const AssentdProcess* but) {
  AssentdProcess* leader = WaitLeader(House(), seconds(20), but);
  EXPECT_NE(leader, nullptr) << "nobody leads";
  return leader;
}

std::vector<AssentdProcess*> GroupTest::Others(const AssentdProcess* node) {
  std::vector<AssentdProcess*> others;
  for (const auto& one : House().coordinators()) {
    if (one.get() != node) others.push_back(one.get());
  }
  return others;
}

double GroupTest::MetricOf(const AssentdProcess& node, const std::string& name) {
  const test_support::TlsPaths& tls = House().client_tls();
  auto page =
      test_support::Scrape::From(node.http_endpoint(), {tls.ca_file, tls.cert_file, tls.key_file});
  return page.ok() ? page->Sum(name) : -1;
}

GroupTest::CtlAnswer GroupTest::Ctl(const std::vector<std::string>& arguments) {
  std::string all;
  for (const std::string& one : House().endpoints()) all += (all.empty() ? "" : ",") + one;
  return CtlAt(all, arguments);
}

GroupTest::CtlAnswer GroupTest::CtlAt(const std::string& endpoints,
                                      const std::vector<std::string>& arguments) {
  test_support::Argv argv = {test_support::OwnBinDir() + "/assentctl", "--endpoint", endpoints};
  const test_support::TlsPaths& tls = House().client_tls();
  if (!tls.ca_file.empty()) {
    argv.insert(argv.end(), {"--tls-ca-file", tls.ca_file, "--tls-cert-file", tls.cert_file,
                             "--tls-key-file", tls.key_file});
  }
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  test_support::SpawnOptions options;
  options.inherit_environment = false;
  auto ran = test_support::Run(argv, {}, options, House().dir() + "/assentctl.out", seconds(60));
  EXPECT_TRUE(ran.ok()) << ran.status().ToString();
  if (!ran.ok()) return {};
  return {ran->status.code, ran->output};
}

}  // namespace assent::system_tests
