// assentd: one coordinator node. A newcomer reads on in server.h.
#include <pthread.h>
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "base/log.h"
#include "base/options.h"
#include "base/rpc/process.h"
#include "coordinator/server/options.h"
#include "coordinator/server/restore_node.h"
#include "coordinator/server/server.h"

namespace {

using assent::Status;

constexpr int kFailure = 1;

int Fail(const Status& why) {
  std::fprintf(stderr, "assentd: %s\n", why.message().c_str());
  return kFailure;
}

int Bootstrap(const assent::coordinator::Options& options) {
  assent::Result<std::string> uuid = assent::coordinator::BootstrapNode(options);
  if (!uuid.ok()) return Fail(uuid.status());
  if (UsesEtcd(options)) {
    std::printf(
        "%s in etcd is now the home of cluster %s (%s). Start any number of coordinators with the "
        "same options, without --bootstrap.\n",
        assent::coordinator::EtcdPrefix(options).c_str(), options.cluster.c_str(), uuid->c_str());
    return 0;
  }
  std::printf(
      "%s is now the home of cluster %s (%s), node %llu. Start it with the same options, without "
      "--bootstrap.\n",
      options.data_dir.c_str(), options.cluster.c_str(), uuid->c_str(),
      static_cast<unsigned long long>(options.node_id));
  return 0;
}

int Join(const assent::coordinator::Options& options) {
  assent::Status joined = assent::coordinator::JoinNode(options);
  if (!joined.ok()) return Fail(joined);
  std::printf(
      "%s is now the home of node %llu of cluster %s. Add it with assentctl member add, and start "
      "it "
      "with the same options, without --join.\n",
      options.data_dir.c_str(), static_cast<unsigned long long>(options.node_id),
      options.cluster.c_str());
  return 0;
}

int Restore(const assent::coordinator::Options& options) {
  auto restored = assent::coordinator::RestoreNode(options);
  if (!restored.ok()) return Fail(restored.status());
  const bool etcd = UsesEtcd(options);
  const std::string home =
      etcd ? assent::coordinator::EtcdPrefix(options) + " in etcd" : options.data_dir;
  const std::string node = etcd ? "" : ", node " + std::to_string(options.node_id);
  std::printf(
      "%s is now the home of cluster %s (%s)%s, restored from %s of %s with %llu decisions. Its "
      "group incarnation is %llu. %s with the same options, without --restore; start each agent "
      "once with --repin%s. %s of the group before must stay stopped.\n",
      home.c_str(), restored->backup.cluster.c_str(), restored->backup.cluster_uuid.c_str(),
      node.c_str(), options.restore.c_str(), restored->backup.taken.c_str(),
      static_cast<unsigned long long>(restored->backup.decisions),
      static_cast<unsigned long long>(restored->incarnation),
      etcd ? "Start any number of coordinators" : "Start it",
      etcd ? "" : "; nodes that join need that group_incarnation", etcd ? "Coordinators" : "Nodes");
  return 0;
}

// Signals are waited for by the main thread alone: blocked before any other thread is born.
sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

void LogOptions(const assent::OptionSet& set) {
  std::string all;
  for (const auto& [name, value] : set.Effective()) {
    all += (all.empty() ? "" : " ") + name + "=" + value;
  }
  assent::LogInfo("options", {{"effective", all}});
}

}  // namespace

int main(int argc, char** argv) {
  assent::rpc::PrepareProcess();
  assent::coordinator::Options options;
  assent::OptionSet set("assentd", "coordinator node of Assent");
  assent::coordinator::DescribeOptions(set, options);
  if (std::optional<int> exit_code = set.ParseMain(argc, argv)) return *exit_code;
  assent::LogLevel level = assent::LogLevel::kInfo;
  if (assent::ParseLogLevel(options.log_level, &level)) assent::SetLogLevel(level);
  if (options.bootstrap) return Bootstrap(options);
  if (options.join) return Join(options);
  if (!options.restore.empty()) return Restore(options);

  sigset_t signals = BlockSignals();
  LogOptions(set);
  auto server = assent::coordinator::Server::Start(options, [](const Status& why) {
    // The records that can't be read may be decisions: nothing may be answered without them.
    std::_Exit(Fail(why));
  });
  if (!server.ok()) return Fail(server.status());
  int signal_number = 0;
  sigwait(&signals, &signal_number);
  assent::LogInfo("stopping", {{"signal", signal_number}});
  (*server)->HandOver();
  server->reset();
  assent::LogInfo("stopped");
  return 0;
}
