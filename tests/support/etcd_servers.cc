#include "tests/support/etcd_servers.h"

#include <chrono>
#include <utility>

#include "tests/support/paths.h"

namespace assent::test_support {
namespace {

constexpr std::chrono::seconds kPatience{20};

std::string Trimmed(std::string text) { return text.substr(0, text.find_last_not_of('\n') + 1); }

// The folder that the script has made.
Result<std::string> FindPrograms() {
  const std::string script = tests::SourceDir() + "/tests/support/fetch-etcd";
  TempDir dir;
  auto found = Run({script}, {}, {}, dir.File("out"), std::chrono::minutes(5));
  if (!found.ok()) return found.status();
  const std::string output = Trimmed(found->output);
  if (!found->status.ok()) return NotFound(output);
  return output.substr(output.rfind('\n') + 1);
}

}  // namespace

std::string NoEtcd() {
  const Status found = FindPrograms().status();
  return found.code() == Code::kNotFound ? found.message() : "";
}

Result<std::unique_ptr<EtcdServers>> EtcdServers::Create(const EtcdOptions& options) {
  auto programs = FindPrograms();
  if (!programs.ok()) return programs.status();
  std::unique_ptr<EtcdServers> made(new EtcdServers(options, *programs));
  for (size_t i = 0; i < options.servers; ++i) {
    const std::string host = options.place.host + ":";
    made->servers_.push_back(
        {host + std::to_string(PickFreePort()), host + std::to_string(PickFreePort()), nullptr});
  }
  for (size_t i = 0; i < options.servers; ++i) {
    if (Status s = made->Start(i); !s.ok()) return s;
  }
  if (Status s = made->WaitHealthy(); !s.ok()) return s;
  return made;
}

Status EtcdServers::Start(size_t which) {
  Server& server = servers_[which];
  const std::string scheme = options_.tls.ca_file.empty() ? "http://" : "https://";
  Argv argv = options_.place.launcher;
  argv.insert(argv.end(),
              {programs_ + "/etcd", "--name=" + NameOf(which), "--data-dir=" + DataDir(which),
               "--listen-client-urls=" + scheme + server.client,
               "--advertise-client-urls=" + scheme + server.client,
               "--listen-peer-urls=http://" + server.peer,
               "--initial-advertise-peer-urls=http://" + server.peer,
               "--initial-cluster=" + InitialCluster(), "--initial-cluster-token=" + token_,
               "--log-level=error", "--logger=zap"});
  if (!options_.tls.ca_file.empty()) {
    for (const std::string& one :
         {"--trusted-ca-file=" + options_.tls.ca_file, "--cert-file=" + options_.tls.cert_file,
          "--key-file=" + options_.tls.key_file, std::string("--client-cert-auth")}) {
      argv.push_back(one);
    }
  }
  argv.insert(argv.end(), options_.arguments.begin(), options_.arguments.end());
  const std::string log = dir_.File(NameOf(which) + ".log");
  auto process = Process::Spawn(
      argv, {}, {.inherit_environment = false, .stdout_file = log, .stderr_file = log});
  if (!process.ok()) return process.status();
  server.process = std::move(*process);
  return Ok();
}

std::string EtcdServers::Logs() const {
  std::string logs;
  for (size_t i = 0; i < servers_.size(); ++i) {
    const std::string file = dir_.File(NameOf(i) + ".log");
    logs += "\n" + file + ": " + Tail(file);
  }
  return logs;
}

std::string EtcdServers::InitialCluster() const {
  std::string cluster;
  for (size_t i = 0; i < servers_.size(); ++i) {
    cluster += (i == 0 ? "" : ",") + NameOf(i) + "=http://" + servers_[i].peer;
  }
  return cluster;
}

Status EtcdServers::SaveSnapshot(const std::string& file) {
  return CtlOn(servers_[0].client, {"snapshot", "save", file}).status();
}

Status EtcdServers::RestoreSnapshot(const std::string& file, const std::string& token) {
  for (size_t i = 0; i < servers_.size(); ++i) Kill9(i);
  ++restored_;
  token_ = token;
  for (size_t i = 0; i < servers_.size(); ++i) {
    auto made =
        CtlOn(servers_[i].client,
              {"snapshot", "restore", file, "--name=" + NameOf(i), "--data-dir=" + DataDir(i),
               "--initial-cluster=" + InitialCluster(), "--initial-cluster-token=" + token_,
               "--initial-advertise-peer-urls=http://" + servers_[i].peer});
    if (!made.ok()) return made.status();
    if (Status s = Start(i); !s.ok()) return s;
  }
  return WaitHealthy();
}

Status EtcdServers::WaitHealthy() {
  Status last;
  const bool healthy = WaitUntil(kPatience, [&] {
    for (Server& server : servers_) {
      if (server.process == nullptr) continue;
      auto answer = CtlOn(server.client, {"endpoint", "health"});
      if (!answer.ok()) {
        last = answer.status();
        return false;
      }
    }
    return true;
  });
  if (healthy) return Ok();
  return Unavailable("etcd does not answer: " + last.message() + Logs());
}

Result<size_t> EtcdServers::Leader() {
  size_t leader = servers_.size();
  WaitUntil(kPatience, [&] {
    for (size_t i = 0; i < servers_.size(); ++i) {
      if (servers_[i].process == nullptr) continue;
      // Endpoint, id, version, size, leads, ...
      auto answer = CtlOn(servers_[i].client, {"endpoint", "status"});
      if (answer.ok() && answer->find(", true, ") != std::string::npos) leader = i;
    }
    return leader < servers_.size();
  });
  if (leader < servers_.size()) return leader;
  return Unavailable("no server of etcd leads" + Logs());
}

std::vector<std::string> EtcdServers::endpoints() const {
  std::vector<std::string> all;
  for (const Server& server : servers_) all.push_back(server.client);
  return all;
}

pid_t EtcdServers::pid(size_t which) const {
  return servers_[which].process == nullptr ? -1 : servers_[which].process->pid();
}

void EtcdServers::Kill9(size_t which) { servers_[which].process.reset(); }

void EtcdServers::Signal(size_t which, int signal) { servers_[which].process->Signal(signal); }

Result<std::string> EtcdServers::Ctl(const std::vector<std::string>& arguments) {
  std::string all;
  for (const Server& server : servers_) all += (all.empty() ? "" : ",") + server.client;
  return CtlOn(all, arguments);
}

Result<std::string> EtcdServers::CtlOn(const std::string& endpoints,
                                       const std::vector<std::string>& arguments) {
  Argv argv = {programs_ + "/etcdctl", "--endpoints=" + endpoints, "--dial-timeout=2s",
               "--command-timeout=2s"};
  if (!options_.tls.ca_file.empty()) {
    argv.push_back("--cacert=" + options_.tls.ca_file);
    argv.push_back("--cert=" + options_.tls.cert_file);
    argv.push_back("--key=" + options_.tls.key_file);
  }
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  auto ran =
      Run(argv, {{"ETCDCTL_API", "3"}}, {}, dir_.File("etcdctl.out"), std::chrono::seconds(10));
  if (!ran.ok()) return ran.status();
  if (!ran->status.ok()) return Internal("etcdctl: " + Trimmed(ran->output));
  return ran->output;
}

}  // namespace assent::test_support
