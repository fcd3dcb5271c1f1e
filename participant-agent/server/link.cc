#include "participant-agent/server/link.h"

#include <grpcpp/create_channel.h>

#include <utility>

#include "base/log.h"
#include "base/rpc/connect_hint.h"
#include "base/rpc/proxy.h"
#include "base/rpc/status.h"

namespace assent::agent {
namespace {

constexpr auto kDialAgainMin = std::chrono::milliseconds(50);
constexpr auto kDialAgainRefused = std::chrono::seconds(5);

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target,
                                           const LinkSecurity& security) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  // Between two tries gRPC resolves the name anew, by default at most once in 30 s: an endpoint
  // that came back at once would be missed for that long.
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 100);
  // A connection of its own: channels to the same place would otherwise share one.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(64 << 20);
  rpc::GoStraightToLoopback(target, arguments);
  if (!security.server_name.empty()) arguments.SetSslTargetNameOverride(security.server_name);
  return grpc::CreateCustomChannel(target, security.credentials, arguments);
}

}  // namespace

Link::Link(std::string target, const LinkSecurity& security, EventInbox& driver)
    : target_(std::move(target)),
      driver_(driver),
      channel_(MakeChannel(target_, security)),
      stub_(v1::AgentLink::NewStub(channel_)),
      thread_([this] { Run(); }) {}

Link::~Link() {
  Stop();
  thread_.join();
}

void Link::Stop() {
  MutexLock lock(mutex_);
  stopping_ = true;
  if (stream_ != nullptr) stream_->Cancel();
  changed_.NotifyAll();
}

void Link::SetHello(const v1::Hello& hello) {
  MutexLock lock(mutex_);
  hello_ = hello;
  ++hello_version_;
  refused_ = false;
  if (stream_ != nullptr) stream_->Cancel();
  changed_.NotifyAll();
}

void Link::Refuse() {
  MutexLock lock(mutex_);
  refused_ = true;
  if (stream_ != nullptr) stream_->Cancel();
}

void Link::Send(v1::AgentMessage* message) {
  std::shared_ptr<LinkStream> stream;
  {
    MutexLock lock(mutex_);
    stream = stream_;
  }
  if (stream != nullptr) stream->Send(message);
  message->Clear();
}

void Link::CheckSilence(MonotonicTime now) {
  MutexLock lock(mutex_);
  if (stream_ == nullptr || now - stream_->LastHeard() < kSilenceMax) return;
  LogWarning("link_silent", {{"coordinator", target_}});
  stream_->Cancel();
}

bool Link::WaitForHello() {
  MutexLock lock(mutex_);
  while (!stopping_ && hello_version_ == 0) changed_.Wait(mutex_);
  return !stopping_;
}

void Link::BackOff(bool long_wait) {
  const MonotonicTime now = std::chrono::steady_clock::now();
  MutexLock lock(mutex_);
  const MonotonicTime until =
      now + (long_wait || refused_ ? Duration(kDialAgainRefused) : Duration(kDialAgainMin));
  while (!stopping_ && hello_version_ == said_version_ && changed_.WaitUntil(mutex_, until)) {
  }
  refused_ = false;
}

void Link::Run() {
  std::string complained;
  while (WaitForHello()) {
    const grpc::Status status = Converse();
    const bool refused = status.error_code() == grpc::StatusCode::FAILED_PRECONDITION ||
                         status.error_code() == grpc::StatusCode::ALREADY_EXISTS ||
                         status.error_code() == grpc::StatusCode::INVALID_ARGUMENT ||
                         status.error_code() == grpc::StatusCode::UNIMPLEMENTED;
    if (status.error_code() != grpc::StatusCode::CANCELLED &&
        status.error_message() != complained) {
      complained = status.error_message();
      Log(refused ? LogLevel::kError : LogLevel::kWarning, refused ? "link_refused" : "link_lost",
          {{"coordinator", target_},
           {"error", rpc::FromGrpc(status).ToString() + rpc::ConnectHint(status.error_message())}});
    }
    BackOff(refused);
  }
}

grpc::Status Link::Converse() {
  std::shared_ptr<LinkStream> stream;
  {
    MutexLock lock(mutex_);
    if (stopping_) return grpc::Status(grpc::StatusCode::CANCELLED, "stopping");
    said_version_ = hello_version_;
    stream = stream_ = LinkStream::Start(*stub_, hello_, this, driver_, metrics_);
  }
  // From here on a newer hello cancels the stream.
  std::optional<grpc::Status> end;
  while (!end.has_value()) end = stream->WaitEnd(stream->KeepAlive(kHeartbeat));
  MutexLock lock(mutex_);
  stream_ = nullptr;
  return *end;
}

}  // namespace assent::agent
