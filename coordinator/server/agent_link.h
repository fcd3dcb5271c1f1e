// One link of an agent: translates and queues; what a message means is the driver's business.
//
// No thread waits on it. Reads and writes go on in gRPC's callbacks; what shall be said while a
// write is under way gathers, and goes out together when that write is done. A write that finds the
// line free starts on the thread that wants to speak: a hand-over would cost more than the write.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "assent/v1/agent_link.pb.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/rpc/link_metrics.h"
#include "coordinator/server/driver.h"

namespace assent::coordinator {

// Owns itself, together with the driver that may hold on to it longer than the stream lives.
// Thread-safe.
class AgentLink final : public AgentOutbox,
                        public grpc::ServerBidiReactor<v1::AgentMessage, v1::CoordinatorMessage>,
                        public std::enable_shared_from_this<AgentLink> {
 public:
  // Batches that wait for a slow agent; then its link is closed, and everything is said anew when
  // it dials again.
  static constexpr size_t kBatchesMax = 10'000;

  // For a stream that has just come in; `context` is that of its call. `gone` is called last, when
  // the stream is over. `driver`, `clock` and `metrics` must outlive the stream.
  static std::shared_ptr<AgentLink> Start(LinkId id, grpc::CallbackServerContext* context,
                                          Driver& driver, uint64_t node_id, const Clock& clock,
                                          rpc::LinkMetrics& metrics,
                                          std::function<void(AgentLink*)> gone);

  // AgentOutbox
  void Send(AgentOutput batch) override EXCLUDES(mutex_);
  void Close(Status why) override EXCLUDES(mutex_);
  MonotonicTime LastHeard() const override { return heard_.load(std::memory_order_relaxed); }

  // Sends a heartbeat if nothing was said since `said_before`.
  void KeepAlive(MonotonicTime said_before) EXCLUDES(mutex_);
  // Ends a link on which nothing is heard any more.
  void CloseSilent() EXCLUDES(mutex_);

 private:
  AgentLink(LinkId id, grpc::CallbackServerContext* context, Driver& driver, uint64_t node_id,
            const Clock& clock, rpc::LinkMetrics& metrics, std::function<void(AgentLink*)> gone);

  void OnReadDone(bool ok) override EXCLUDES(mutex_);
  void OnWriteDone(bool ok) override EXCLUDES(mutex_);
  void OnDone() override EXCLUDES(mutex_);

  void ReadHello(bool ok);
  void Answered(Answer<AgentWelcome> answer);
  void ReadMessage();
  // Says goodbye: at once, or when the write that is under way is done.
  void End(grpc::Status status) EXCLUDES(mutex_);
  void Drop(const char* why) REQUIRES(mutex_);
  void Cancel() REQUIRES(mutex_);
  // By whoever has the pen: starts the next write.
  void Write() EXCLUDES(mutex_);

  const LinkId id_;
  const std::string peer_;
  Driver& driver_;
  const uint64_t node_id_;
  const Clock& clock_;
  rpc::LinkMetrics& metrics_;
  const std::function<void(AgentLink*)> gone_;
  std::atomic<MonotonicTime> heard_;

  // Of the read that is under way, then of its callback.
  v1::AgentMessage incoming_;
  bool welcomed_ = false;

  // Of whoever has the pen.
  std::vector<v1::CoordinatorMessage> outgoing_;
  size_t written_ = 0;

  Mutex mutex_;
  // A write is under way or about to be: the pen is taken. From the start, as the welcome comes
  // first.
  bool writing_ GUARDED_BY(mutex_) = true;
  bool closed_ GUARDED_BY(mutex_) = false;  // Nothing more is to be said.
  bool ending_ GUARDED_BY(mutex_) = false;  // `end_` is to be said once the pen is free.
  grpc::Status end_ GUARDED_BY(mutex_);
  MonotonicTime said_ GUARDED_BY(mutex_){};
  std::vector<AgentOutput> gathered_ GUARDED_BY(mutex_);
  grpc::CallbackServerContext* context_ GUARDED_BY(mutex_);  // Null once the stream is over.
  std::shared_ptr<AgentLink> self_;                          // As long as the stream lives.
};

}  // namespace assent::coordinator
