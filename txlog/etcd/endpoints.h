// How etcd is reached: its members, one of which is asked until it fails, and the user's token.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "base/tls/files.h"

namespace assent::txlog::etcd {

struct ClientOptions {
  std::vector<std::string> endpoints;  // "HOST:PORT" of etcd's members, or some of them.
  tls::TlsFiles tls;                   // Empty: without TLS.
  std::string user;                    // Empty: without authentication.
  std::string password;
  // A request without answer for so long counts as unanswered, and another member is asked next. A
  // log takes at most a quarter of its lease.
  std::chrono::milliseconds request_timeout{2000};
};

// Thread-safe.
class Endpoints {
 public:
  // FAILED_PRECONDITION: TLS files, as rpc::ChannelCredentials.
  static Result<std::unique_ptr<Endpoints>> Open(const ClientOptions& options);

  // Whom to ask now.
  std::shared_ptr<grpc::Channel> Current(size_t* which) const EXCLUDES(mutex_);
  const std::string& address(size_t which) const { return options_.endpoints[which]; }
  size_t size() const { return channels_.size(); }
  const std::shared_ptr<grpc::Channel>& channel(size_t which) const { return channels_[which]; }
  // That one did not answer: ask the next one, unless that is decided already.
  void Failed(size_t which) EXCLUDES(mutex_);
  // That one is in this Raft term of etcd, and leads it or not: what the leader is asked, it need
  // not pass on.
  void Heard(size_t which, uint64_t raft_term, bool leads) EXCLUDES(mutex_);

  bool uses_token() const { return !options_.user.empty(); }
  std::string token() const EXCLUDES(mutex_);
  void SetToken(std::string token) EXCLUDES(mutex_);
  // Deadline and token. False: there is no token yet, though one is needed.
  bool Prepare(grpc::ClientContext& context, bool deadline = true) const EXCLUDES(mutex_);

  const ClientOptions& options() const { return options_; }

 private:
  explicit Endpoints(const ClientOptions& options) : options_(options) {}

  const ClientOptions options_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  mutable Mutex mutex_;
  size_t current_ GUARDED_BY(mutex_) = 0;
  uint64_t raft_term_ GUARDED_BY(mutex_) = 0;  // The highest that is known.
  std::string token_ GUARDED_BY(mutex_);
};

}  // namespace assent::txlog::etcd
