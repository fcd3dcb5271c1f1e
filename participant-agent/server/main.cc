// assent-agent: the sidecar beside one or more databases. Reads its options, starts the server, and
// waits for a signal.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <thread>

#include "adapters/resource_manager.h"
#include "base/log.h"
#include "base/rpc/process.h"
#include "participant-agent/server/options.h"
#include "participant-agent/server/server.h"

namespace assent {
namespace {

// A database call that hangs must not keep the process: whatever is unprepared rolls back with its
// connection, and the rest is asked about at the next start.
constexpr unsigned kExitSecondsMax = 10;

// The adapter of a resource, for gids of `cluster`.
std::unique_ptr<adapters::ResourceManager> MakeManager(const agent::ResourceOptions& resource,
                                                       const std::string& cluster) {
  auto password = agent::ReadPassword(resource);
  adapters::ConnectOptions connect{
      .cluster = cluster,
      .resource = resource.name,
      .host = resource.host,
      .port = static_cast<uint16_t>(resource.port),
      .database = resource.database,
      .user = resource.user,
      .password = password.ok() ? *password : "",  // The database will say what is missing.
      .tls_ca_file = resource.tls_ca_file,
      .identity = resource.identity};
  return resource.kind == "postgresql" ? adapters::MakePostgres(std::move(connect))
                                       : adapters::MakeMysql(std::move(connect));
}

}  // namespace
}  // namespace assent

int main(int argc, char** argv) {
  assent::rpc::PrepareProcess();
  using namespace assent;
  agent::Options options;
  OptionSet set("assent-agent", "participant agent of Assent, beside its databases");
  agent::AddOptions(set, &options);
  if (std::optional<int> exit_code = set.ParseMain(argc, argv)) return *exit_code;
  LogLevel level = LogLevel::kInfo;
  ParseLogLevel(options.log_level, &level);
  SetLogLevel(level);
  for (const auto& [name, value] : set.Effective()) {
    LogInfo("option", {{"name", name}, {"value", value}});
  }

  // Blocked before any thread starts, so that only sigwait below sees them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  auto server = agent::Server::Start(options, MakeManager);
  if (!server.ok()) {
    LogError("start_failed", {{"error", server.status().message()}});
    return 1;
  }
  LogInfo("ready", {{"agent", options.agent_id}, {"listen", options.listen}});
  int got = 0;
  sigwait(&signals, &got);
  LogInfo("stopping", {{"signal", got}});
  signal(SIGALRM, [](int) { _exit(0); });
  alarm(kExitSecondsMax);
  (*server).reset();
  LogInfo("stopped");
  return 0;
}
