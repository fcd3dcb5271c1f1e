// One coordinator node: owns everything. Members are destroyed in reverse order, which is the order
// of shutting down.
#pragma once

#include <grpcpp/server.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/clock.h"
#include "base/http/http_server.h"
#include "base/mutex.h"
#include "base/rpc/keep_awake.h"
#include "base/status.h"
#include "coordinator/server/admin_service.h"
#include "coordinator/server/agent_links.h"
#include "coordinator/server/driver.h"
#include "coordinator/server/log_metrics.h"
#include "coordinator/server/options.h"
#include "coordinator/server/record_codec.h"
#include "coordinator/server/transaction_service.h"
#include "txlog/etcd/etcd_log.h"
#include "txlog/replicated/replicated_log.h"

namespace assent::coordinator {

// Makes the empty (or absent) data_dir the home of one of the first members of a new group. Answers
// the cluster's UUID, which is drawn if the options name none. Errors: those of
// txlog::BootstrapGroup.
Result<std::string> BootstrapNode(const Options& options);

// The same for a node that joins a group later. Errors: those of txlog::BootstrapJoining.
Status JoinNode(const Options& options);

class Server {
 public:
  // Reads the log, joins its group, and serves; alone in its group, it leads when this returns.
  // `on_fatal` is called, on some thread, if the node must not go on later; it should end the
  // process.
  //
  // Errors: those of txlog::ReplicatedLog::Open, rpc::StartServer and http::Server::Start, made to
  // be shown to people.
  static Result<std::unique_ptr<Server>> Start(const Options& options,
                                               std::function<void(Status)> on_fatal);
  // Waiting clients hear UNAVAILABLE, links are closed, the log is closed cleanly.
  ~Server();

  // Before the end of a leader: lets live transactions end and hands the lead over, both bounded by
  // transfer_drain and an election timeout. Does nothing where nobody could take it.
  void HandOver();

  // Where it listens; the port is the real one if 0 was asked for.
  const std::string& address() const { return address_; }

 private:
  Server(const Options& options, std::function<void(Status)> on_fatal);
  Status OpenPages();
  Status OpenLog();
  Status OpenEtcdLog();
  Status OpenRaftLog();
  Status Listen();
  void OnServing(bool serving);
  void TellLog(v1::LogStatus* status) const;

  const Options options_;
  const std::function<void(Status)> on_fatal_;
  std::string address_;
  SystemClock clock_;
  RecordCodec codec_;

  Mutex mutex_;
  CondVar changed_;
  bool serving_ GUARDED_BY(mutex_) = false;
  bool failed_ GUARDED_BY(mutex_) = false;
  Status failure_ GUARDED_BY(mutex_);
  // Set once gRPC runs; OnServing tells its health service.
  grpc::Server* health_ GUARDED_BY(mutex_) = nullptr;

  Driver driver_;
  LogMetrics log_metrics_;
  std::unique_ptr<txlog::DecisionLog> log_;
  std::atomic<const txlog::EtcdLog*> etcd_log_ = nullptr;  // Null with another engine.
  std::atomic<const txlog::TransportMetrics*> peer_metrics_ =
      nullptr;  // Null before the log is open.
  std::thread driver_thread_;
  TransactionService transactions_;
  AdminService admin_;
  AgentLinks links_;
  rpc::KeepAwake keep_awake_;
  std::unique_ptr<grpc::Server> grpc_;
  std::unique_ptr<http::Server> pages_;  // Only reads what the others count.
};

}  // namespace assent::coordinator
