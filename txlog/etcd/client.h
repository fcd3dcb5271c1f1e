// etcd's services for the core: performs the actions that concern etcd, and posts what comes back.
// Decides nothing but which member of etcd is asked.
#pragma once

#include <grpcpp/completion_queue.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "etcd/rpc.grpc.pb.h"
#include "txlog/etcd/core/actions.h"
#include "txlog/etcd/core/events.h"
#include "txlog/etcd/endpoints.h"

namespace assent::txlog::etcd {

// Thread-safe. `post` runs on any thread, the caller's included, and must not block.
class Client {
 public:
  Client(std::unique_ptr<Endpoints> endpoints, std::function<void(Event)> post);
  // Gives up whatever is under way; what that was is not posted any more.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Each is answered once, within request_timeout.
  void Send(const SendTxn& action);
  void Send(const GrantLease& action);
  void Send(const KeepLease& action);
  // In place of the one before; its end is posted unless it is stopped.
  void Watch(const StartWatch& action);
  void StopWatching();

  // Where requests go now, for people.
  std::string endpoint() const;
  const Endpoints& endpoints() const { return *endpoints_; }

 private:
  struct Call;
  template <typename Response>
  struct Unary;
  struct LeaseCall;
  struct WatchCall;

  void Begin(Call* call);  // Keeps it until End.
  void End(Call* call);
  // True: nobody wants it any more.
  bool Forget(WatchCall* call);
  void Post(Event event);
  void Authenticate();
  // Finds the member of etcd that leads, so that requests go there. And the watch: one that hangs
  // while the others have another leader brings nothing, and does not say so.
  void AskWhoLeads();
  void EndWatchElsewhere();
  // What the call says of the member it asked, and of the token.
  void Judge(const grpc::Status& status, size_t endpoint);
  void Run();

  const std::unique_ptr<Endpoints> endpoints_;
  std::vector<std::unique_ptr<etcdserverpb::KV::Stub>> kv_;  // Of each endpoint.
  const std::function<void(Event)> post_;
  grpc::CompletionQueue queue_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::set<Call*> calls_ GUARDED_BY(mutex_);
  WatchCall* watch_ GUARDED_BY(mutex_) = nullptr;
  bool authenticating_ GUARDED_BY(mutex_) = false;
  bool closing_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace assent::txlog::etcd
