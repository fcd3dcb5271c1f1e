// deploy/kubernetes: what Kubernetes publishes about its objects allows it, its parts fit together,
// and its options are assentd's. tests/system/kubernetes_test.cc runs what stands there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "tests/support/manifests.h"
#include "tests/support/paths.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace assent {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using testing::Contains;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::UnorderedElementsAreArray;

constexpr char kKustomization[] = "kustomization.yaml";

class KubernetesTest : public testing::Test {
 protected:
  void SetUp() override {
    std::vector<std::string> files;
    for (const std::string& file : test_support::ManifestFiles()) {
      if (file != kKustomization) files.push_back(file);
    }
    auto objects = test_support::ReadManifests(files);
    ASSERT_TRUE(objects.ok()) << objects.status().ToString();
    objects_ = *std::move(objects);
  }
  const json& Only(const std::string& kind) const { return test_support::OnlyOf(objects_, kind); }
  std::map<std::string, std::string> Environment(const std::string& kind) const {
    return test_support::EnvironmentOf(Only(kind), Only("ConfigMap"), "10.1.2.3");
  }
  static std::string PortOf(const std::string& address) {
    return address.substr(address.rfind(':') + 1);
  }

  std::vector<json> objects_;
};

TEST_F(KubernetesTest, TheKustomizationNamesEveryFile) {
  auto kustomization = test_support::ReadManifests({kKustomization});
  ASSERT_TRUE(kustomization.ok()) << kustomization.status().ToString();
  auto listed = test_support::WordsOf(kustomization->at(0), "resources");
  listed.push_back(kKustomization);
  EXPECT_THAT(test_support::ManifestFiles(), UnorderedElementsAreArray(listed));
  for (const char* kind : {"Deployment", "Job"}) {
    EXPECT_EQ(test_support::ContainerOf(Only(kind)).at("image"),
              kustomization->at(0).at("images").at(0).at("name"));
  }
}

// With what is wrong on purpose: the checker is no formality.
TEST_F(KubernetesTest, ThePublishedSchemaAllowsIt) {
  test_support::TempDir dir;
  auto fetched = test_support::Run({tests::SourceDir() + "/tests/support/fetch-kubernetes-schema"},
                                   {}, {}, dir.File("fetch"), seconds(170));
  ASSERT_TRUE(fetched.ok()) << fetched.status().ToString();
  if (!fetched->status.ok()) GTEST_SKIP() << fetched->output;
  std::istringstream lines(fetched->output);
  std::string folder;
  while (std::getline(lines, folder) && !folder.starts_with('/')) {
  }
  auto check = [&](const json& objects) {
    EXPECT_TRUE(test_support::WriteFile(dir.File("objects"), objects.dump()).ok());
    auto ran = test_support::Run({"/bin/sh", "-c", "node \"$0\" \"$1\" <\"$2\"",
                                  tests::SourceDir() + "/tests/house/kubernetes/check-schema.js",
                                  folder, dir.File("objects")},
                                 {}, {}, dir.File("check"), seconds(60));
    EXPECT_TRUE(ran.ok()) << ran.status().ToString();
    return ran.ok() ? *ran : test_support::Finished{};
  };
  auto agent = test_support::ReadManifests({"agent/orders.yaml"});
  ASSERT_TRUE(agent.ok()) << agent.status().ToString();
  std::vector<json> all = objects_;
  all.insert(all.end(), agent->begin(), agent->end());
  auto good = check(all);
  EXPECT_TRUE(good.status.ok()) << good.output;
  EXPECT_THAT(good.output, HasSubstr(std::to_string(all.size()) + " objects, 0 problems"));

  json bad = json::array(
      {Only("Deployment"), Only("Deployment"), Only("Service"), Only("PodDisruptionBudget")});
  auto pod = [&](size_t i) -> json& { return bad[i]["spec"]["template"]["spec"]; };
  pod(0)["terminationGracePeriod"] = 30;  // No such key.
  pod(1)["containers"][0]["readinessProbe"]["periodSeconds"] = "5";
  bad[2]["spec"]["ports"][0].erase("port");
  bad[3]["apiVersion"] = "policy/v1beta0";
  auto found = check(bad);
  EXPECT_EQ(found.status.code, 1);
  for (const char* what :
       {"terminationGracePeriod\"' does not exist", "periodSeconds must be integer",
        "must have required property port", "no such kind in policy/v1beta0"}) {
    EXPECT_THAT(found.output, HasSubstr(what));
  }
}

TEST_F(KubernetesTest, EveryVariableIsAnOption) {
  std::set<std::string> options;
  std::ifstream sample(tests::SourceDir() + "/deploy/assentd.toml");
  const std::regex key("#([a-z_]+) = .*");
  std::smatch match;
  for (std::string line; std::getline(sample, line);) {
    if (!std::regex_match(line, match, key)) continue;
    std::string name = "ASSENT_";
    for (char c : match[1].str()) name += static_cast<char>(std::toupper(c));
    options.insert(name);
  }
  ASSERT_GT(options.size(), 30u);
  for (const char* kind : {"Deployment", "Job"}) {
    for (const auto& [name, value] : Environment(kind)) {
      if (name.starts_with("ASSENT_")) {
        EXPECT_TRUE(options.contains(name)) << name << " of " << kind;
      }
    }
  }
}

TEST_F(KubernetesTest, PortsAndNamesMatch) {
  const auto environment = Environment("Deployment");
  const json& container = test_support::ContainerOf(Only("Deployment"));
  std::map<std::string, std::string> ports;
  for (const json& port : container.at("ports")) {
    ports[port.at("name")] = std::to_string(port.at("containerPort").get<int>());
  }
  EXPECT_EQ(ports.at("grpc"), PortOf(environment.at("ASSENT_LISTEN")));
  EXPECT_EQ(ports.at("pages"), PortOf(environment.at("ASSENT_HTTP_LISTEN")));
  EXPECT_EQ(environment.at("ASSENT_ADDRESS"), "10.1.2.3:" + ports.at("grpc"));
  for (const json& port : Only("Service").at("spec").at("ports")) {
    EXPECT_TRUE(ports.contains(port.at("targetPort")));
  }
  const json& labels = Only("Deployment").at("spec").at("template").at("metadata").at("labels");
  const json& pod = Only("Deployment").at("spec").at("template").at("spec");
  const json& spread = pod.at("topologySpreadConstraints").at(0);
  for (const json& selector :
       {Only("Deployment").at("spec").at("selector").at("matchLabels"),
        Only("PodDisruptionBudget").at("spec").at("selector").at("matchLabels"),
        spread.at("labelSelector").at("matchLabels"), Only("Service").at("spec").at("selector")}) {
    EXPECT_FALSE(selector.empty());
    for (const auto& [name, value] : selector.items()) {
      EXPECT_EQ(labels.value(name, ""), value.get<std::string>());
    }
    // The Job's pod is no coordinator.
    EXPECT_NE(Only("Job").at("spec").at("template").at("metadata").at("labels"), selector);
  }
}

// A file that an option names lies where a Secret is mounted, with a mode that assentd takes.
TEST_F(KubernetesTest, FilesLieInSecrets) {
  for (const char* kind : {"Deployment", "Job"}) {
    const json& pod = Only(kind).at("spec").at("template").at("spec");
    std::set<std::string> secrets;
    for (const json& volume : pod.at("volumes")) {
      EXPECT_EQ(volume.at("secret").at("defaultMode"), 0440);
      secrets.insert(volume.at("name"));
    }
    std::set<std::string> folders;
    for (const json& mount : test_support::ContainerOf(Only(kind)).at("volumeMounts")) {
      EXPECT_TRUE(secrets.contains(mount.at("name")));
      folders.insert(mount.at("mountPath"));
    }
    int files = 0;
    for (const auto& [name, value] : Environment(kind)) {
      if (!name.ends_with("_FILE")) continue;
      ++files;
      EXPECT_TRUE(folders.contains(value.substr(0, value.rfind('/')))) << kind << " " << name;
    }
    EXPECT_EQ(files, 6);
    EXPECT_EQ(pod.at("securityContext").at("fsGroup"), pod.at("securityContext").at("runAsGroup"));
  }
}

TEST_F(KubernetesTest, ProbesAndHooksSpeakToThePodsOwnPorts) {
  const auto environment = Environment("Deployment");
  const json& container = test_support::ContainerOf(Only("Deployment"));
  for (const char* probe : {"readinessProbe", "livenessProbe"}) {
    const auto words = test_support::WordsOf(container.at(probe).at("exec"), "command");
    EXPECT_THAT(words, IsSupersetOf({environment.at("ASSENT_TLS_CA_FILE"),
                                     environment.at("ASSENT_TLS_CERT_FILE"),
                                     environment.at("ASSENT_TLS_KEY_FILE")}));
    EXPECT_EQ(words.back(),
              "https://127.0.0.1:" + PortOf(environment.at("ASSENT_HTTP_LISTEN")) + "/healthz");
  }
  const auto stop =
      test_support::WordsOf(container.at("lifecycle").at("preStop").at("exec"), "command");
  EXPECT_THAT(stop, Contains("127.0.0.1:" + PortOf(environment.at("ASSENT_LISTEN"))));
  EXPECT_THAT(stop, Contains("--if-leading"));
  // Both drains and the end fit into the time that a pod is given.
  const int drain_ms = std::stoi(environment.at("ASSENT_TRANSFER_DRAIN_MS"));
  EXPECT_EQ(stop.back(), std::to_string(drain_ms));
  const json& pod = Only("Deployment").at("spec").at("template").at("spec");
  EXPECT_GT(pod.at("terminationGracePeriodSeconds").get<int>() * 1000, 2 * drain_ms + 5000);
}

TEST_F(KubernetesTest, PodsMayDoLittle) {
  for (const char* kind : {"Deployment", "Job"}) {
    const json& pod = Only(kind).at("spec").at("template").at("spec");
    EXPECT_EQ(pod.at("securityContext").at("runAsNonRoot"), true);
    EXPECT_EQ(pod.at("automountServiceAccountToken"), false);
    EXPECT_EQ(pod.at("enableServiceLinks"), false);
    const json& container = test_support::ContainerOf(Only(kind)).at("securityContext");
    EXPECT_EQ(container.at("allowPrivilegeEscalation"), false);
    EXPECT_EQ(container.at("readOnlyRootFilesystem"), true);
    EXPECT_EQ(container.at("capabilities").at("drop"), json::array({"ALL"}));
  }
}

}  // namespace
}  // namespace assent
