// The links of agents: a gRPC stream each, with a thread that reads and a thread that writes. They
// translate and queue; what a message means is the driver's business.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <set>
#include <thread>

#include "assent/v1/agent_link.grpc.pb.h"
#include "base/clock.h"
#include "base/inbox.h"
#include "base/mutex.h"
#include "base/rpc/link_metrics.h"
#include "coordinator/server/driver.h"

namespace assent::coordinator {

struct LinkTimes {
  // Something is said at least so often, if only a heartbeat.
  std::chrono::milliseconds heartbeat{300};
  // A link on which nothing was heard for so long is closed.
  std::chrono::milliseconds silence_max{3'000};
};

class AgentLinks final : public v1::AgentLink::Service {
 public:
  // All must outlive this object, and it the gRPC server.
  AgentLinks(Driver& driver, const Clock& clock, LinkTimes times);
  ~AgentLinks() override;

  grpc::Status Connect(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::AgentMessage>* stream) override;

  const rpc::LinkMetrics& metrics() const { return metrics_; }

 private:
  class Link;

  void WatchSilence() EXCLUDES(mutex_);
  void ReadUntilClosed(Link& link, LinkId id,
                       grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::AgentMessage>& stream);

  Driver& driver_;
  const Clock& clock_;
  const LinkTimes times_;
  rpc::LinkMetrics metrics_;
  std::atomic<LinkId> next_id_{1};

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::set<Link*> open_ GUARDED_BY(mutex_);
  std::thread watcher_;
};

}  // namespace assent::coordinator
