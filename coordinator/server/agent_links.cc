#include "coordinator/server/agent_links.h"

#include <memory>

namespace assent::coordinator {
namespace {

// The watcher looks so many times in the time of a heartbeat.
constexpr int kLooks = 4;

}  // namespace

AgentLinks::AgentLinks(Driver& driver, uint64_t node_id, const Clock& clock, LinkTimes times)
    : driver_(driver), node_id_(node_id), clock_(clock), times_(times), watcher_([this] {
        Watch();
      }) {}

AgentLinks::~AgentLinks() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  watcher_.join();
}

grpc::ServerBidiReactor<v1::AgentMessage, v1::CoordinatorMessage>* AgentLinks::Connect(
    grpc::CallbackServerContext* context) {
  auto link = AgentLink::Start(next_id_.fetch_add(1), context, driver_, node_id_, clock_, metrics_,
                               [this](AgentLink* gone) {
                                 MutexLock lock(mutex_);
                                 open_.erase(gone);
                               });
  MutexLock lock(mutex_);
  open_.insert(link.get());
  return link.get();
}

void AgentLinks::Watch() {
  const auto look = times_.heartbeat / kLooks;
  MutexLock lock(mutex_);
  while (!stopping_) {
    const MonotonicTime now = clock_.Now();
    for (AgentLink* link : open_) {
      if (now - link->LastHeard() > times_.silence_max) link->CloseSilent();
      // At the next look it would be overdue.
      link->KeepAlive(now - times_.heartbeat + look);
    }
    changed_.WaitUntil(mutex_, std::chrono::steady_clock::now() + look);
  }
}

}  // namespace assent::coordinator
