// deploy/kubernetes, for tests: its objects, and what the kubelet makes of a container in them.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/status.h"

namespace assent::test_support {

// All objects of these files of deploy/kubernetes, in their order, as kubectl reads them. INTERNAL:
// a file is no YAML, or python3-yaml is missing.
Result<std::vector<nlohmann::json>> ReadManifests(const std::vector<std::string>& files);

// The names of deploy/kubernetes/*.yaml.
std::vector<std::string> ManifestFiles();

// The only object of a kind. Fails the test, and answers null, if there is none or more than one.
const nlohmann::json& OnlyOf(const std::vector<nlohmann::json>& objects, const std::string& kind);

// The environment of the only container of `workload` (a Deployment, a Job): the ConfigMap of its
// envFrom, then its env, with $(NAME) replaced by what stands before and status.podIP by `pod_ip`.
std::map<std::string, std::string> EnvironmentOf(const nlohmann::json& workload,
                                                 const nlohmann::json& config_map,
                                                 const std::string& pod_ip);

// The only container of a workload.
const nlohmann::json& ContainerOf(const nlohmann::json& workload);

// A list of words: a command or its arguments; empty if it is not there.
std::vector<std::string> WordsOf(const nlohmann::json& object, const std::string& key);

}  // namespace assent::test_support
