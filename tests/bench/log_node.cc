#include "tests/bench/log_node.h"

#include <grpcpp/grpcpp.h>

#include <csignal>
#include <memory>

#include "base/log.h"
#include "etcd/rpc.grpc.pb.h"
#include "log_bench.grpc.pb.h"
#include "tests/bench/log_driver.h"
#include "txlog/etcd/etcd_log.h"
#include "txlog/etcd/group.h"
#include "txlog/replicated/replicated_log.h"
#include "txlog/storage/posix_disk.h"

namespace assent::bench {
namespace {

constexpr char kCluster[] = "bench";
constexpr char kUuid[] = "6f1d1a52-3c0b-4c6e-9a57-0d6c7a1be001";

grpc::Status ToGrpc(const Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), status.message()};
}

class KvDoor final : public etcdserverpb::KV::CallbackService {
 public:
  explicit KvDoor(LogDriver& driver) : driver_(driver) {}

  grpc::ServerUnaryReactor* Put(grpc::CallbackServerContext* context,
                                const etcdserverpb::PutRequest* request,
                                etcdserverpb::PutResponse*) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    driver_.Put(request->key() + request->value(),
                [reactor](const Status& status) { reactor->Finish(ToGrpc(status)); });
    return reactor;
  }

 private:
  LogDriver& driver_;
};

class StatusDoor final : public etcdserverpb::Maintenance::CallbackService {
 public:
  StatusDoor(const LogDriver& driver, uint64_t id) : driver_(driver), id_(id) {}

  grpc::ServerUnaryReactor* Status(grpc::CallbackServerContext* context,
                                   const etcdserverpb::StatusRequest*,
                                   etcdserverpb::StatusResponse* response) override {
    response->mutable_header()->set_member_id(id_);
    response->set_leader(driver_.leader());
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

 private:
  const LogDriver& driver_;
  const uint64_t id_;
};

class LoadDoor final : public v1::LogLoad::CallbackService {
 public:
  explicit LoadDoor(LogDriver& driver) : driver_(driver) {}

  grpc::ServerUnaryReactor* Run(grpc::CallbackServerContext* context,
                                const v1::LoadRequest* request, v1::LoadReply* reply) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    const Load load = {.in_flight = request->in_flight(),
                       .warm_up = std::chrono::milliseconds(request->warm_up_ms()),
                       .length = std::chrono::milliseconds(request->length_ms()),
                       .proposer = request->by_log_thread() ? Proposer::kLog : Proposer::kDriver};
    driver_.Run(load, [reactor, reply](const Result<Rates>& rates) {
      if (!rates.ok()) return reactor->Finish(ToGrpc(rates.status()));
      reply->set_per_second(rates->per_second);
      reply->set_p50_us(rates->p50.count());
      reply->set_p99_us(rates->p99.count());
      reply->set_p999_us(rates->p999.count());
      reactor->Finish(grpc::Status::OK);
    });
    return reactor;
  }

 private:
  LogDriver& driver_;
};

Status Bootstrap(const LogNodeOptions& options) {
  txlog::PosixDisk disk;
  std::vector<txlog::Member> members;
  for (size_t i = 0; i < options.peers.size(); ++i) {
    members.push_back({.id = i + 1, .peer_address = options.peers[i]});
  }
  Status s = txlog::BootstrapGroup(
      disk, options.directory, {.cluster = kCluster, .cluster_uuid = kUuid, .node_id = options.id},
      "bench", members);
  // At a later start it is there.
  return s.code() == Code::kFailedPrecondition ? Ok() : s;
}

Result<std::unique_ptr<txlog::DecisionLog>> OpenReplicated(const LogNodeOptions& options,
                                                           txlog::Listener& listener) {
  if (Status s = Bootstrap(options); !s.ok()) return s;
  txlog::TransportOptions transport;
  transport.listen = options.peers[options.id - 1];
  auto log = txlog::ReplicatedLog::Open({.directory = options.directory,
                                         .cluster = kCluster,
                                         .node_id = options.id,
                                         .segment_bytes = options.segment_bytes,
                                         .snapshot_after_bytes = options.snapshot_after_bytes},
                                        options.peers.size() > 1 ? &transport : nullptr, listener);
  if (!log.ok()) return log.status();
  return std::unique_ptr<txlog::DecisionLog>(std::move(*log));
}

Result<std::unique_ptr<txlog::DecisionLog>> OpenInEtcd(const LogNodeOptions& options,
                                                       txlog::Listener& listener) {
  const txlog::etcd::ClientOptions client = {.endpoints = options.etcd};
  const std::string prefix = "bench";
  Status made = txlog::etcd::BootstrapGroup(client, prefix, {kUuid, kCluster}, "bench");
  if (!made.ok() && made.code() != Code::kAlreadyExists) return made;
  auto log = txlog::EtcdLog::Open({.client = client,
                                   .prefix = prefix,
                                   .cluster = kCluster,
                                   .address = options.door,
                                   .id = options.id,
                                   .snapshot_after_bytes = options.snapshot_after_bytes},
                                  listener);
  if (!log.ok()) return log.status();
  return std::unique_ptr<txlog::DecisionLog>(std::move(*log));
}

int Fail(const Status& status) {
  LogError("bench_node_failed", {{"reason", status.message()}});
  return 1;
}

}  // namespace

int RunLogNode(const LogNodeOptions& options) {
  SetLogLevel(LogLevel::kWarning);
  // Before any thread: all of them leave the signal to this one.
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  LogDriver driver(options.snapshot_bytes);
  auto log = options.etcd.empty() ? OpenReplicated(options, driver) : OpenInEtcd(options, driver);
  if (!log.ok()) return Fail(log.status());
  driver.Start(**log);

  KvDoor kv(driver);
  StatusDoor status(driver, options.id);
  LoadDoor load(driver);
  grpc::ServerBuilder builder;
  builder.AddListeningPort(options.door, grpc::InsecureServerCredentials());
  builder.RegisterService(&kv);
  builder.RegisterService(&status);
  builder.RegisterService(&load);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return Fail(Unavailable("can't listen on " + options.door));
  int signal = 0;
  sigwait(&ends, &signal);
  driver.Stop();
  server->Shutdown();
  return 0;
}

}  // namespace assent::bench
