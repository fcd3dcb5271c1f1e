// How etcd is, as its members tell: each is asked now and then, beside the log's own requests. For
// people and monitors; the log decides nothing by it.
#pragma once

#include <grpcpp/client_context.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "txlog/etcd/endpoints.h"

namespace assent::txlog::etcd {

// What a member answered when it was asked last.
struct ServerHealth {
  std::string address;
  bool answers = false;
  bool knows_leader = false;  // Without one it can neither read nor write.
  bool no_space = false;      // The alarm NOSPACE is raised, here or elsewhere: nothing is written.
  std::string problem;        // Why it does not answer, or what it complains of; empty: of nothing.
  std::string version;
  uint64_t database_bytes = 0;
};

class HealthWatch {
 public:
  // `endpoints` must outlive it.
  HealthWatch(const Endpoints& endpoints, std::chrono::milliseconds interval);
  ~HealthWatch();
  HealthWatch(const HealthWatch&) = delete;
  HealthWatch& operator=(const HealthWatch&) = delete;

  // Those that were asked yet, in the order of the options. Thread-safe.
  std::vector<ServerHealth> servers() const EXCLUDES(mutex_);

 private:
  void Run() EXCLUDES(mutex_);
  ServerHealth Ask(size_t which) EXCLUDES(mutex_);

  const Endpoints& endpoints_;
  const std::chrono::milliseconds interval_;
  mutable Mutex mutex_;
  CondVar changed_;
  bool closing_ GUARDED_BY(mutex_) = false;
  grpc::ClientContext* call_ GUARDED_BY(mutex_) = nullptr;  // Under way.
  std::vector<ServerHealth> servers_ GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace assent::txlog::etcd
