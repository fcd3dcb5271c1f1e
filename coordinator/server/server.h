// One coordinator node: owns everything. Members are destroyed in reverse order, which is the order
// of shutting down.
#pragma once

#include <grpcpp/server.h>

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
#include "txlog/local_log.h"

namespace assent::coordinator {

// Makes the empty (or absent) data_dir the home of a new group: draws the cluster's UUID and the
// group's incarnation. Answers the UUID. Errors: those of txlog::Bootstrap.
Result<std::string> BootstrapNode(const Options& options);

class Server {
 public:
  // Reads the log, takes the lead, and serves. `on_fatal` is called, on some thread, if the node
  // must not go on later; it should end the process.
  //
  // Errors: those of txlog::LocalLog::Open, rpc::StartServer and http::Server::Start, made to be
  // shown to people.
  static Result<std::unique_ptr<Server>> Start(const Options& options,
                                               std::function<void(Status)> on_fatal);
  // Waiting clients hear UNAVAILABLE, links are closed, the log is closed cleanly.
  ~Server();

  // Where it listens; the port is the real one if 0 was asked for.
  const std::string& address() const { return address_; }

 private:
  Server(const Options& options, std::function<void(Status)> on_fatal);
  Status OpenPages();
  Status OpenLog();
  Status Listen();
  void OnServing(bool serving);

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
  std::unique_ptr<txlog::LocalLog> log_;
  std::thread driver_thread_;
  TransactionService transactions_;
  AdminService admin_;
  AgentLinks links_;
  rpc::KeepAwake keep_awake_;
  std::unique_ptr<grpc::Server> grpc_;
  std::unique_ptr<http::Server> pages_;  // Only reads what the others count.
};

}  // namespace assent::coordinator
