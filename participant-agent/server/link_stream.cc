#include "participant-agent/server/link_stream.h"

#include <algorithm>
#include <utility>

#include "base/failpoint.h"

namespace assent::agent {
namespace {

size_t Items(const v1::AgentMessage& message) {
  return static_cast<size_t>(message.registers_size() + message.votes_size() +
                             message.finished_size() + message.inquiries_size() +
                             message.lost_size());
}

bool IsHeartbeat(const v1::CoordinatorMessage& message) {
  return message.registered_size() == 0 && message.prepares_size() == 0 &&
         message.finishes_size() == 0 && message.answers_size() == 0 &&
         message.forget_size() == 0 && !message.has_leadership() && !message.has_members();
}

// Cuts a message into ones that any coordinator takes: one that is too large ends the link, and it
// would be said again after the next hello, for ever.
class Pieces {
 public:
  explicit Pieces(std::deque<v1::AgentMessage>* pieces) : pieces_(*pieces) {}

  void Add(v1::AgentMessage message) {
    if (message.ByteSizeLong() <= kBytesMax) {
      pieces_.push_back(std::move(message));
      return;
    }
    bytes_ = kBytesMax + 1;  // Full: there is none yet.
    Move(message.mutable_registers(), &v1::AgentMessage::add_registers);
    Move(message.mutable_votes(), &v1::AgentMessage::add_votes);
    Move(message.mutable_finished(), &v1::AgentMessage::add_finished);
    Move(message.mutable_inquiries(), &v1::AgentMessage::add_inquiries);
    Move(message.mutable_lost(), &v1::AgentMessage::add_lost);
  }

 private:
  static constexpr size_t kBytesMax = 256 << 10;

  template <typename Item, typename Add>
  void Move(google::protobuf::RepeatedPtrField<Item>* items, Add add) {
    for (Item& item : *items) {
      const size_t bytes = item.ByteSizeLong();
      if (bytes_ + bytes > kBytesMax) {
        pieces_.emplace_back();
        bytes_ = 0;
      }
      bytes_ += bytes;
      *(pieces_.back().*add)() = std::move(item);
    }
  }

  std::deque<v1::AgentMessage>& pieces_;
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

}  // namespace

std::shared_ptr<LinkStream> LinkStream::Start(v1::AgentLink::Stub& stub, const v1::Hello& hello,
                                              Link* link, EventInbox& driver,
                                              rpc::LinkMetrics& metrics) {
  std::shared_ptr<LinkStream> stream(new LinkStream(link, driver, metrics));
  stub.async()->Connect(&stream->context_, stream.get());
  stream->AddHold();  // Until nobody writes any more: the driver does so from outside.
  stream->outgoing_.emplace_back();
  *stream->outgoing_.back().mutable_hello() = hello;
  stream->StartWrite(&stream->outgoing_.front());
  stream->StartRead(&stream->incoming_);
  stream->StartCall();
  return stream;
}

LinkStream::LinkStream(Link* link, EventInbox& driver, rpc::LinkMetrics& metrics)
    : link_(link), driver_(driver), metrics_(metrics), heard_(std::chrono::steady_clock::now()) {}

// ---- Reading ------------------------------------------------------------------------------------

void LinkStream::OnReadDone(bool ok) {
  if (ok && (welcomed_ || incoming_.has_welcome())) {
    heard_.store(std::chrono::steady_clock::now(), std::memory_order_relaxed);
    Hear();
    incoming_ = {};
    StartRead(&incoming_);
    return;
  }
  // A write that blocks must not outlive what it writes to. Who is refused shall hear why.
  if (ok || welcomed_) context_.TryCancel();
  if (welcomed_) driver_.Post(LinkDown{.link = link_});
  MutexLock lock(mutex_);
  open_ = false;
  read_all_ = true;
  if (!writing_) RemoveHold();
}

void LinkStream::Hear() {
  if (!welcomed_) {
    welcomed_ = true;
    {
      MutexLock lock(mutex_);
      open_ = true;
    }
    driver_.Post(LinkWelcomed{.link = link_, .welcome = incoming_.welcome()});
    incoming_.clear_welcome();
  }
  metrics_.Received(incoming_);
  if (IsHeartbeat(incoming_)) return;
  driver_.Post(LinkSaid{.link = link_, .message = std::move(incoming_)});
}

// ---- Writing ------------------------------------------------------------------------------------

void LinkStream::Send(v1::AgentMessage* message) {
  const size_t items = Items(*message);
  {
    MutexLock lock(mutex_);
    if (!open_ || gathered_items_ + items > kOutgoingItemsMax) {
      message->Clear();
      return;
    }
    if (gathered_items_ == 0) {
      gathered_.Swap(message);
    } else {
      gathered_.MergeFrom(*message);
    }
    message->Clear();
    gathered_items_ += items;
    if (std::exchange(writing_, true)) return;
  }
  Write();
}

MonotonicTime LinkStream::KeepAlive(Duration heartbeat) {
  const MonotonicTime now = std::chrono::steady_clock::now();
  {
    MutexLock lock(mutex_);
    if (!open_) return now + heartbeat;
    if (said_ + heartbeat > now) return said_ + heartbeat;
    if (std::exchange(writing_, true)) return now + heartbeat;
  }
  Write();
  return now + heartbeat;
}

void LinkStream::Write() {
  if (outgoing_.empty()) {
    v1::AgentMessage message;
    {
      MutexLock lock(mutex_);
      message.Swap(&gathered_);
      gathered_items_ = 0;
    }
    Pieces(&outgoing_).Add(std::move(message));
  }
  outgoing_.front().set_heartbeat(true);
  StopBefore(outgoing_.front());
  StartWrite(&outgoing_.front());
}

void LinkStream::OnWriteDone(bool ok) {
  if (ok) {
    metrics_.Sent(outgoing_.front());
    StopAfter(outgoing_.front());
  }
  outgoing_.pop_front();
  {
    MutexLock lock(mutex_);
    said_ = std::chrono::steady_clock::now();
    if (!ok) open_ = false;  // The read under way fails too, and says so.
    const bool more = open_ && (!outgoing_.empty() || gathered_items_ > 0);
    if (!more) {
      writing_ = false;
      if (read_all_) RemoveHold();
      return;
    }
  }
  Write();
}

// ---- The end ------------------------------------------------------------------------------------

void LinkStream::Cancel() {
  MutexLock lock(mutex_);
  if (!end_.has_value()) context_.TryCancel();
}

void LinkStream::OnDone(const grpc::Status& status) {
  MutexLock lock(mutex_);
  end_ = status;
  changed_.NotifyAll();
}

std::optional<grpc::Status> LinkStream::WaitEnd(MonotonicTime until) {
  MutexLock lock(mutex_);
  while (!end_.has_value() && changed_.WaitUntil(mutex_, until)) {
  }
  return end_;
}

}  // namespace assent::agent
