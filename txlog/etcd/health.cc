#include "txlog/etcd/health.h"

#include <utility>

#include "base/rpc/connect_hint.h"
#include "etcd/rpc.grpc.pb.h"

namespace assent::txlog::etcd {

HealthWatch::HealthWatch(const Endpoints& endpoints, std::chrono::milliseconds interval)
    : endpoints_(endpoints), interval_(interval), thread_([this] { Run(); }) {}

HealthWatch::~HealthWatch() {
  {
    MutexLock lock(mutex_);
    closing_ = true;
    if (call_ != nullptr) call_->TryCancel();
    changed_.NotifyAll();
  }
  thread_.join();
}

std::vector<ServerHealth> HealthWatch::servers() const {
  MutexLock lock(mutex_);
  return servers_;
}

void HealthWatch::Run() {
  while (true) {
    for (size_t which = 0; which < endpoints_.size(); ++which) {
      ServerHealth one = Ask(which);
      MutexLock lock(mutex_);
      if (closing_) return;
      if (servers_.size() == which) servers_.emplace_back();
      servers_[which] = std::move(one);
    }
    const auto next = std::chrono::steady_clock::now() + interval_;
    MutexLock lock(mutex_);
    while (!closing_ && changed_.WaitUntil(mutex_, next)) {
    }
    if (closing_) return;
  }
}

ServerHealth HealthWatch::Ask(size_t which) {
  ServerHealth health{.address = endpoints_.address(which)};
  grpc::ClientContext context;
  // Members tell this to whoever may connect: no token is needed.
  (void)endpoints_.Prepare(context);
  {
    MutexLock lock(mutex_);
    if (closing_) return health;
    call_ = &context;
  }
  etcdserverpb::StatusResponse response;
  const grpc::Status status = etcdserverpb::Maintenance::NewStub(endpoints_.channel(which))
                                  ->Status(&context, {}, &response);
  {
    MutexLock lock(mutex_);
    call_ = nullptr;
  }
  if (!status.ok()) {
    health.problem = status.error_message() + rpc::ConnectHint(status.error_message());
    return health;
  }
  health.answers = true;
  health.knows_leader = response.leader() != 0;
  health.version = response.version();
  health.database_bytes = static_cast<uint64_t>(response.db_size());
  for (const std::string& error : response.errors()) {
    health.no_space = health.no_space || error.find("NOSPACE") != std::string::npos;
    health.problem += (health.problem.empty() ? "" : "; ") + error;
  }
  return health;
}

}  // namespace assent::txlog::etcd
