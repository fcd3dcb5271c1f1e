// The links of agents: takes in each stream that comes, keeps it alive, and ends it when its agent
// has fallen silent.
#pragma once

#include <atomic>
#include <chrono>
#include <set>
#include <thread>

#include "assent/v1/agent_link.grpc.pb.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/rpc/link_metrics.h"
#include "coordinator/server/agent_link.h"
#include "coordinator/server/driver.h"

namespace assent::coordinator {

struct LinkTimes {
  // Something is said at least so often, if only a heartbeat.
  std::chrono::milliseconds heartbeat{300};
  // A link on which nothing was heard for so long is closed.
  std::chrono::milliseconds silence_max{3'000};
};

class AgentLinks final : public v1::AgentLink::CallbackService {
 public:
  // All must outlive this object, and it the gRPC server.
  AgentLinks(Driver& driver, uint64_t node_id, const Clock& clock, LinkTimes times);
  ~AgentLinks() override;

  grpc::ServerBidiReactor<v1::AgentMessage, v1::CoordinatorMessage>* Connect(
      grpc::CallbackServerContext* context) override EXCLUDES(mutex_);

  const rpc::LinkMetrics& metrics() const { return metrics_; }

 private:
  void Watch() EXCLUDES(mutex_);

  Driver& driver_;
  const uint64_t node_id_;
  const Clock& clock_;
  const LinkTimes times_;
  std::atomic<LinkId> next_id_{1};
  rpc::LinkMetrics metrics_;

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::set<AgentLink*> open_ GUARDED_BY(mutex_);
  std::thread watcher_;
};

}  // namespace assent::coordinator
