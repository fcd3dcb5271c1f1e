#include "tests/bench/log_group.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "log_bench.grpc.pb.h"
#include "tests/bench/kv_load.h"
#include "tests/support/temp_dir.h"

namespace assent::bench {
namespace {

using test_support::Argv;

constexpr std::chrono::seconds kPatience{60};

std::string Loopback() { return "127.0.0.1:" + std::to_string(test_support::PickFreePort()); }

}  // namespace

LogGroup::LogGroup(const LogGroupOptions& options) : nodes_(options.nodes) {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    nodes_[i].directory = options.directory + "/" + std::to_string(i + 1);
    nodes_[i].door = Loopback();
    nodes_[i].peer = Loopback();
  }
}

Status LogGroup::Spawn(Node& node, const Argv& argv) {
  const std::string output = node.directory + ".log";
  auto process = test_support::Process::Spawn(
      argv, {}, {.inherit_environment = false, .stdout_file = output, .stderr_file = output});
  if (!process.ok()) return process.status();
  node.process = std::move(*process);
  return Ok();
}

Status LogGroup::SpawnOurs(const LogGroupOptions& options, const std::string& etcd) {
  std::string peers;
  for (const Node& node : nodes_) peers += (peers.empty() ? "" : ",") + node.peer;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    Node& node = nodes_[i];
    Argv argv = {options.program,
                 "node",
                 "--id",
                 std::to_string(i + 1),
                 "--directory",
                 node.directory,
                 "--door",
                 node.door,
                 "--peers",
                 peers,
                 "--snapshot-after-bytes",
                 std::to_string(options.snapshot_after_bytes)};
    if (!etcd.empty()) argv.insert(argv.end(), {"--etcd", etcd});
    if (Status s = Spawn(node, argv); !s.ok()) return s;
  }
  return Ok();
}

Result<std::unique_ptr<LogGroup>> LogGroup::StartOnEtcd(const LogGroupOptions& options,
                                                        const std::vector<std::string>& etcd) {
  std::unique_ptr<LogGroup> group(new LogGroup(options));
  std::string endpoints;
  for (const std::string& one : etcd) endpoints += (endpoints.empty() ? "" : ",") + one;
  if (Status s = group->SpawnOurs(options, endpoints); !s.ok()) return s;
  if (auto leader = group->Leader(); !leader.ok()) return leader.status();
  return group;
}

Result<std::unique_ptr<LogGroup>> LogGroup::StartOurs(const LogGroupOptions& options) {
  std::unique_ptr<LogGroup> group(new LogGroup(options));
  if (Status s = group->SpawnOurs(options, ""); !s.ok()) return s;
  if (auto leader = group->Leader(); !leader.ok()) return leader.status();
  return group;
}

Result<std::unique_ptr<LogGroup>> LogGroup::StartEtcd(const LogGroupOptions& options,
                                                      const std::string& etcd) {
  std::unique_ptr<LogGroup> group(new LogGroup(options));
  const std::string http = "http://";
  std::string cluster;
  for (size_t i = 0; i < group->nodes_.size(); ++i) {
    cluster +=
        (cluster.empty() ? "n" : ",n") + std::to_string(i + 1) + "=" + http + group->nodes_[i].peer;
  }
  for (size_t i = 0; i < group->nodes_.size(); ++i) {
    Node& node = group->nodes_[i];
    const Argv argv = {etcd,
                       "--name",
                       "n" + std::to_string(i + 1),
                       "--data-dir",
                       node.directory,
                       "--listen-client-urls",
                       http + node.door,
                       "--advertise-client-urls",
                       http + node.door,
                       "--listen-peer-urls",
                       http + node.peer,
                       "--initial-advertise-peer-urls",
                       http + node.peer,
                       "--initial-cluster",
                       cluster,
                       "--initial-cluster-state",
                       "new",
                       "--initial-cluster-token",
                       "bench",
                       "--quota-backend-bytes",
                       std::to_string(int64_t{8} << 30),
                       "--log-level",
                       "error",
                       "--logger",
                       "zap"};
    if (Status s = group->Spawn(node, argv); !s.ok()) return s;
  }
  if (auto leader = group->Leader(); !leader.ok()) return leader.status();
  return group;
}

std::vector<std::string> LogGroup::doors() const {
  std::vector<std::string> doors;
  for (const Node& node : nodes_) doors.push_back(node.door);
  return doors;
}

Result<size_t> LogGroup::Leader() const {
  auto leader = FindLeader(doors(), kPatience);
  if (leader.ok()) return leader;
  std::string logs;
  for (const Node& node : nodes_) {
    logs += "\n" + node.directory + ".log: " + test_support::Tail(node.directory + ".log");
  }
  return Unavailable(leader.status().message() + logs);
}

Result<Rates> LogGroup::LoadThroughSocket(const Load& load) {
  auto leader = Leader();
  if (!leader.ok()) return leader.status();
  return LoadKv(nodes_[*leader].door, load);
}

Result<Rates> LogGroup::LoadInside(const Load& load) {
  auto leader = Leader();
  if (!leader.ok()) return leader.status();
  auto stub = v1::LogLoad::NewStub(
      grpc::CreateChannel(nodes_[*leader].door, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  v1::LoadRequest request;
  request.set_in_flight(static_cast<uint32_t>(load.in_flight));
  request.set_warm_up_ms(static_cast<uint32_t>(load.warm_up.count()));
  request.set_length_ms(static_cast<uint32_t>(load.length.count()));
  request.set_by_log_thread(load.proposer == Proposer::kLog);
  v1::LoadReply reply;
  const grpc::Status status = stub->Run(&context, request, &reply);
  if (!status.ok()) return Unavailable("load from within: " + status.error_message());
  using std::chrono::microseconds;
  return Rates{reply.per_second(), microseconds(reply.p50_us()), microseconds(reply.p99_us()),
               microseconds(reply.p999_us())};
}

uint64_t ResidentBytes(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
  uint64_t all = 0, resident = 0;
  file >> all >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

uint64_t DirectoryBytes(const std::string& directory) {
  uint64_t bytes = 0;
  std::error_code gone;  // Files come and go meanwhile.
  for (const auto& entry : std::filesystem::directory_iterator(directory, gone)) {
    if (const auto size = entry.file_size(gone); !gone) bytes += size;
  }
  return bytes;
}

}  // namespace assent::bench
