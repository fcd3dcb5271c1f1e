// One stream to a coordinator, from its hello to its end.
//
// No thread waits on it. Reads and writes go on in gRPC's callbacks; what shall be said while a
// write is under way gathers, and goes out together when that write is done. A write that finds the
// line free starts on the thread that wants to speak: a hand-over would cost more than the write.
//
// gRPC's callback threads may sleep for 100 ms after an idle second, which a commit must not wait
// out: the process keeps them awake (base/rpc/keep_awake.h).
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <atomic>
#include <deque>
#include <memory>
#include <optional>

#include "assent/v1/agent_link.grpc.pb.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/rpc/link_metrics.h"
#include "participant-agent/server/events.h"

namespace assent::agent {

// Thread-safe.
class LinkStream final : public grpc::ClientBidiReactor<v1::AgentMessage, v1::CoordinatorMessage> {
 public:
  // What waits to be said; more is dropped (and repeated by whoever needs it).
  static constexpr size_t kOutgoingItemsMax = 100'000;

  // Dials. Tells the driver LinkWelcomed, then LinkSaid for each message with content, then
  // LinkDown; all of `link`, or nothing of it if it was not welcomed.
  static std::shared_ptr<LinkStream> Start(v1::AgentLink::Stub& stub, const v1::Hello& hello,
                                           Link* link, EventInbox& driver,
                                           rpc::LinkMetrics& metrics);
  // Only once it has ended.
  ~LinkStream() override = default;

  // As Link::Send; drops what is said before the welcome.
  void Send(v1::AgentMessage* message) EXCLUDES(mutex_);
  // Sends a heartbeat if nothing was said for so long. Answers when it is to be called again.
  MonotonicTime KeepAlive(Duration heartbeat) EXCLUDES(mutex_);
  // Ends it, from any thread.
  void Cancel() EXCLUDES(mutex_);
  MonotonicTime LastHeard() const { return heard_.load(std::memory_order_relaxed); }

  // Waits until it has ended, at most until `until`: what the coordinator ended it with, if it did.
  std::optional<grpc::Status> WaitEnd(MonotonicTime until) EXCLUDES(mutex_);

 private:
  LinkStream(Link* link, EventInbox& driver, rpc::LinkMetrics& metrics);

  void OnReadDone(bool ok) override EXCLUDES(mutex_);
  void OnWriteDone(bool ok) override EXCLUDES(mutex_);
  void OnDone(const grpc::Status& status) override EXCLUDES(mutex_);

  void Hear();
  // By whoever has the pen: starts the next write.
  void Write() EXCLUDES(mutex_);

  Link* const link_;
  EventInbox& driver_;
  rpc::LinkMetrics& metrics_;
  grpc::ClientContext context_;
  std::atomic<MonotonicTime> heard_;

  // Of the read that is under way, then of its callback.
  v1::CoordinatorMessage incoming_;
  bool welcomed_ = false;

  // Of whoever has the pen.
  std::deque<v1::AgentMessage> outgoing_;

  Mutex mutex_;
  CondVar changed_;
  // A write is under way or about to be: the pen is taken. From the start, for the hello.
  bool writing_ GUARDED_BY(mutex_) = true;
  bool open_ GUARDED_BY(mutex_) = false;  // Between the welcome and the end of reading.
  bool read_all_ GUARDED_BY(mutex_) = false;
  v1::AgentMessage gathered_ GUARDED_BY(mutex_);
  size_t gathered_items_ GUARDED_BY(mutex_) = 0;
  MonotonicTime said_ GUARDED_BY(mutex_){};
  std::optional<grpc::Status> end_ GUARDED_BY(mutex_);
};

}  // namespace assent::agent
