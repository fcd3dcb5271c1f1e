#include "participant-agent/server/link.h"

#include <grpcpp/create_channel.h>

#include <algorithm>
#include <utility>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/rpc/status.h"

namespace assent::agent {
namespace {

constexpr auto kDialAgainMin = std::chrono::milliseconds(50);
constexpr auto kDialAgainRefused = std::chrono::seconds(5);

size_t Items(const v1::AgentMessage& message) {
  return static_cast<size_t>(message.registers_size() + message.votes_size() +
                             message.finished_size() + message.inquiries_size() +
                             message.lost_size());
}

// Messages that any coordinator takes: one that is too large ends the link, and it would be said
// again after the next hello, for ever.
class Pieces {
 public:
  explicit Pieces(v1::AgentMessage message) {
    Move(message.mutable_registers(), &v1::AgentMessage::add_registers);
    Move(message.mutable_votes(), &v1::AgentMessage::add_votes);
    Move(message.mutable_finished(), &v1::AgentMessage::add_finished);
    Move(message.mutable_inquiries(), &v1::AgentMessage::add_inquiries);
    Move(message.mutable_lost(), &v1::AgentMessage::add_lost);
    if (messages_.empty()) messages_.emplace_back();  // A heartbeat.
  }
  std::vector<v1::AgentMessage>& messages() { return messages_; }

 private:
  static constexpr size_t kBytesMax = 256 << 10;

  template <typename Item, typename Add>
  void Move(google::protobuf::RepeatedPtrField<Item>* items, Add add) {
    for (Item& item : *items) {
      const size_t bytes = item.ByteSizeLong();
      if (messages_.empty() || bytes_ + bytes > kBytesMax) {
        messages_.emplace_back();
        bytes_ = 0;
      }
      bytes_ += bytes;
      *(messages_.back().*add)() = std::move(item);
    }
  }

  std::vector<v1::AgentMessage> messages_;
  size_t bytes_ = 0;
};

bool TellsCommitted([[maybe_unused]] const v1::AgentMessage& message) {
  return std::any_of(message.finished().begin(), message.finished().end(),
                     [](const auto& f) { return f.state() == v1::BRANCH_STATE_COMMITTED; });
}

void StopBefore([[maybe_unused]] const v1::AgentMessage& message) {
  if (message.registers_size() > 0) ASSENT_FAILPOINT("agent.register.before_send");
  if (message.votes_size() > 0) ASSENT_FAILPOINT("agent.vote.before_send");
  if (TellsCommitted(message)) ASSENT_FAILPOINT("agent.done.before_send");
}

void StopAfter([[maybe_unused]] const v1::AgentMessage& message) {
  if (message.votes_size() > 0) ASSENT_FAILPOINT("agent.vote.after_send");
  if (TellsCommitted(message)) ASSENT_FAILPOINT("agent.done.after_send");
}

std::shared_ptr<grpc::Channel> MakeChannel(
    const std::string& target, const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
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
  return grpc::CreateCustomChannel(target, credentials, arguments);
}

}  // namespace

Link::Link(std::string target, std::shared_ptr<grpc::ChannelCredentials> credentials,
           EventInbox& driver)
    : target_(std::move(target)),
      driver_(driver),
      channel_(MakeChannel(target_, credentials)),
      stub_(v1::AgentLink::NewStub(channel_)),
      heard_(std::chrono::steady_clock::now()),
      thread_([this] { Run(); }) {}

Link::~Link() {
  Stop();
  thread_.join();
}

void Link::Stop() {
  MutexLock lock(mutex_);
  stopping_ = true;
  if (context_ != nullptr) context_->TryCancel();
  changed_.NotifyAll();
}

void Link::SetHello(const v1::Hello& hello) {
  MutexLock lock(mutex_);
  hello_ = hello;
  ++hello_version_;
  refused_ = false;
  if (context_ != nullptr) context_->TryCancel();
  changed_.NotifyAll();
}

void Link::Refuse() {
  MutexLock lock(mutex_);
  refused_ = true;
  if (context_ != nullptr) context_->TryCancel();
}

void Link::Send(v1::AgentMessage* message) {
  const size_t items = Items(*message);
  MutexLock lock(mutex_);
  if (!closed_ && outgoing_items_ + items <= kOutgoingItemsMax) {
    if (outgoing_items_ == 0) {
      outgoing_.Swap(message);
    } else {
      outgoing_.MergeFrom(*message);
    }
    outgoing_items_ += items;
    changed_.NotifyAll();
  }
  message->Clear();
}

void Link::CheckSilence(MonotonicTime now) {
  MutexLock lock(mutex_);
  if (context_ == nullptr || now - heard_.load() < kSilenceMax) return;
  LogWarning("link_silent", {{"coordinator", target_}});
  context_->TryCancel();
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
  const uint64_t version = hello_version_;
  while (!stopping_ && hello_version_ == version && changed_.WaitUntil(mutex_, until)) {
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
          {{"coordinator", target_}, {"error", rpc::FromGrpc(status).ToString()}});
    }
    BackOff(refused);
  }
}

grpc::Status Link::Converse() {
  grpc::ClientContext context;
  v1::AgentMessage first;
  {
    MutexLock lock(mutex_);
    if (stopping_) return grpc::Status(grpc::StatusCode::CANCELLED, "stopping");
    context_ = &context;
    *first.mutable_hello() = hello_;  // From here on a newer one cancels the stream.
    closed_ = true;
    outgoing_.Clear();
    outgoing_items_ = 0;
  }
  heard_ = std::chrono::steady_clock::now();
  std::unique_ptr<Stream> stream = stub_->Connect(&context);
  v1::CoordinatorMessage heard;
  const bool welcomed = stream->Write(first) && stream->Read(&heard) && heard.has_welcome();
  std::thread writer;
  if (welcomed) {
    {
      MutexLock lock(mutex_);
      closed_ = false;
    }
    heard_ = std::chrono::steady_clock::now();
    writer = std::thread([this, &stream] { WriteUntilClosed(*stream); });
    driver_.Post(LinkWelcomed{.link = this, .welcome = heard.welcome()});
    heard.clear_welcome();
    do {
      heard_ = std::chrono::steady_clock::now();
      metrics_.Received(heard);
      const bool only_heartbeat = heard.registered_size() == 0 && heard.prepares_size() == 0 &&
                                  heard.finishes_size() == 0 && heard.answers_size() == 0 &&
                                  heard.forget_size() == 0 && !heard.has_leadership();
      if (!only_heartbeat) driver_.Post(LinkSaid{.link = this, .message = std::move(heard)});
      heard = {};
    } while (stream->Read(&heard));
    {
      MutexLock lock(mutex_);
      closed_ = true;
      changed_.NotifyAll();
    }
    context.TryCancel();  // A write that blocks must not outlive what it writes to.
    writer.join();
    driver_.Post(LinkDown{.link = this});
  }
  // Returns what the coordinator ended the stream with, if it did.
  grpc::Status status = stream->Finish();
  MutexLock lock(mutex_);
  context_ = nullptr;
  return status;
}

void Link::WriteUntilClosed(Stream& stream) {
  while (true) {
    v1::AgentMessage message;
    {
      const MonotonicTime until = std::chrono::steady_clock::now() + kHeartbeat;
      MutexLock lock(mutex_);
      while (!closed_ && outgoing_items_ == 0 && changed_.WaitUntil(mutex_, until)) {
      }
      if (closed_) return;
      message.Swap(&outgoing_);
      outgoing_items_ = 0;
    }
    Pieces pieces(std::move(message));
    for (v1::AgentMessage& piece : pieces.messages()) {
      piece.set_heartbeat(true);
      StopBefore(piece);
      if (!stream.Write(piece)) return;
      metrics_.Sent(piece);
      StopAfter(piece);
    }
  }
}

}  // namespace assent::agent
