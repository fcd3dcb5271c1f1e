#include "tests/support/manifests.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "tests/support/paths.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace assent::test_support {
namespace {

using nlohmann::json;

// YAML 1.1, as Kubernetes' tools read it: 0440 is octal.
constexpr char kToJson[] =
    "import json, sys, yaml; "
    "json.dump([o for f in sys.argv[1:] for o in yaml.safe_load_all(open(f))], sys.stdout)";

std::string Folder() { return tests::SourceDir() + "/deploy/kubernetes"; }

const json kNull;

std::string Expand(std::string text, const std::map<std::string, std::string>& environment) {
  for (const auto& [name, value] : environment) {
    const std::string reference = "$(" + name + ")";
    for (size_t at = 0; (at = text.find(reference, at)) != std::string::npos;) {
      text.replace(at, reference.size(), value);
      at += value.size();
    }
  }
  return text;
}

}  // namespace

std::vector<std::string> ManifestFiles() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(Folder())) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path().filename());
  }
  std::sort(files.begin(), files.end());
  return files;
}

Result<std::vector<json>> ReadManifests(const std::vector<std::string>& files) {
  Argv argv = {"/usr/bin/python3", "-c", kToJson};  // Debian's, which sees Debian's modules.
  for (const std::string& file : files) argv.push_back(Folder() + "/" + file);
  TempDir dir;
  auto ran = Run(argv, {}, {}, dir.File("out"), std::chrono::seconds(20));
  if (!ran.ok()) return ran.status();
  if (!ran->status.ok()) return Internal(ran->output);
  return json::parse(ran->output).get<std::vector<json>>();
}

const json& OnlyOf(const std::vector<json>& objects, const std::string& kind) {
  const json* found = &kNull;
  for (const json& object : objects) {
    if (object.at("kind") != kind) continue;
    EXPECT_TRUE(found->is_null()) << "more than one " << kind;
    found = &object;
  }
  EXPECT_FALSE(found->is_null()) << "no " << kind;
  return *found;
}

const json& ContainerOf(const json& workload) {
  const json& containers = workload.at("spec").at("template").at("spec").at("containers");
  EXPECT_EQ(containers.size(), 1u);
  return containers.at(0);
}

std::map<std::string, std::string> EnvironmentOf(const json& workload, const json& config_map,
                                                 const std::string& pod_ip) {
  const json& container = ContainerOf(workload);
  std::map<std::string, std::string> environment;
  for (const json& source : container.value("envFrom", json::array())) {
    EXPECT_EQ(source.at("configMapRef").at("name"), config_map.at("metadata").at("name"));
    // Values that are no text, such as a bare number, are refused there.
    environment = config_map.at("data").get<std::map<std::string, std::string>>();
  }
  for (const json& variable : container.value("env", json::array())) {
    const std::string name = variable.at("name");
    if (variable.contains("valueFrom")) {
      EXPECT_EQ(variable.at("valueFrom").at("fieldRef").at("fieldPath"), "status.podIP");
      environment[name] = pod_ip;
    } else {
      environment[name] = Expand(variable.at("value"), environment);
    }
  }
  return environment;
}

std::vector<std::string> WordsOf(const json& object, const std::string& key) {
  return object.value(key, std::vector<std::string>());
}

}  // namespace assent::test_support
