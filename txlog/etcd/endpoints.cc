#include "txlog/etcd/endpoints.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include <utility>

#include "base/rpc/credentials.h"
#include "base/rpc/proxy.h"

namespace assent::txlog::etcd {
namespace {

// etcd refuses pings that come more often than every 5 s.
constexpr int kPingEveryMs = 10'000;
constexpr int kPingTimeoutMs = 3'000;

}  // namespace

Result<std::unique_ptr<Endpoints>> Endpoints::Open(const ClientOptions& options) {
  if (options.endpoints.empty()) return InvalidArgument("no endpoint of etcd is given");
  auto credentials = rpc::ChannelCredentials(options.tls);
  if (!credentials.ok()) return credentials.status();
  std::unique_ptr<Endpoints> made(new Endpoints(options));
  for (const std::string& address : options.endpoints) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kPingEveryMs);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPingTimeoutMs);
    arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);  // What was sent twice must be known to be.
    rpc::GoStraightToLoopback(address, arguments);
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetMaxSendMessageSize(-1);
    made->channels_.push_back(grpc::CreateCustomChannel(address, *credentials, arguments));
  }
  return made;
}

std::shared_ptr<grpc::Channel> Endpoints::Current(size_t* which) const {
  MutexLock lock(mutex_);
  *which = current_;
  return channels_[current_];
}

void Endpoints::Failed(size_t which) {
  MutexLock lock(mutex_);
  if (which == current_) current_ = (current_ + 1) % channels_.size();
}

void Endpoints::Heard(size_t which, uint64_t raft_term, bool leads) {
  MutexLock lock(mutex_);
  // One that was cut off may go on saying so for a while.
  if (raft_term < raft_term_) return;
  raft_term_ = raft_term;
  if (leads) current_ = which;
}

std::string Endpoints::token() const {
  MutexLock lock(mutex_);
  return token_;
}

void Endpoints::SetToken(std::string token) {
  MutexLock lock(mutex_);
  token_ = std::move(token);
}

bool Endpoints::Prepare(grpc::ClientContext& context, bool deadline) const {
  if (deadline) {
    context.set_deadline(std::chrono::system_clock::now() + options_.request_timeout);
  }
  if (!uses_token()) return true;
  const std::string current = token();
  if (current.empty()) return false;
  context.AddMetadata("token", current);
  return true;
}

}  // namespace assent::txlog::etcd
