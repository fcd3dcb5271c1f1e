// One stream to one coordinator node: dials, says hello, and keeps both directions moving. What it
// hears it posts to the driver; what it shall say the driver hands over in batches.
//
// Blocking streams with threads of their own: gRPC's callback threads may sleep for 100 ms after an
// idle second, which a commit must not wait out.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/security/credentials.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "assent/v1/agent_link.grpc.pb.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/rpc/link_metrics.h"
#include "participant-agent/server/events.h"

namespace assent::agent {

class Link {
 public:
  // Dials `target` ("host:port") once SetHello has been called, and again whenever the stream ends,
  // until destroyed.
  Link(std::string target, std::shared_ptr<grpc::ChannelCredentials> credentials,
       EventInbox& driver);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // What to say first on each stream from now on; a stream that said something else is dialled
  // anew. Thread-safe.
  void SetHello(const v1::Hello& hello) EXCLUDES(mutex_);

  // Sends what `message` holds, soon, and empties it. Dropped if the stream ends first: whatever
  // matters is repeated after the next hello. Thread-safe; never blocks on the network.
  void Send(v1::AgentMessage* message) EXCLUDES(mutex_);

  // Ends the stream if nothing was heard for too long. Call every now and then. Thread-safe.
  void CheckSilence(MonotonicTime now) EXCLUDES(mutex_);

  // Ends the stream, and waits long before dialling again: the two don't belong together.
  void Refuse() EXCLUDES(mutex_);

  void Stop() EXCLUDES(mutex_);
  const std::string& target() const { return target_; }
  const rpc::LinkMetrics& metrics() const { return metrics_; }

  // What waits to be written; more is dropped (and repeated by whoever needs it).
  static constexpr size_t kOutgoingItemsMax = 100'000;
  static constexpr auto kHeartbeat = std::chrono::milliseconds(300);
  static constexpr auto kSilenceMax = std::chrono::seconds(3);

 private:
  using Stream = grpc::ClientReaderWriter<v1::AgentMessage, v1::CoordinatorMessage>;

  void Run();
  // One stream, from dial to end.
  grpc::Status Converse() EXCLUDES(mutex_);
  void WriteUntilClosed(Stream& stream) EXCLUDES(mutex_);
  // False: stop.
  bool WaitForHello() EXCLUDES(mutex_);
  void BackOff(bool long_wait) EXCLUDES(mutex_);

  const std::string target_;
  EventInbox& driver_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::AgentLink::Stub> stub_;
  std::atomic<MonotonicTime> heard_;
  rpc::LinkMetrics metrics_;

  Mutex mutex_;
  CondVar changed_;
  v1::Hello hello_ GUARDED_BY(mutex_);
  uint64_t hello_version_ GUARDED_BY(mutex_) = 0;  // 0: none yet.
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool refused_ GUARDED_BY(mutex_) = false;
  bool closed_ GUARDED_BY(mutex_) = true;  // The writer of the present stream must end.
  v1::AgentMessage outgoing_ GUARDED_BY(mutex_);
  size_t outgoing_items_ GUARDED_BY(mutex_) = 0;
  grpc::ClientContext* context_ GUARDED_BY(mutex_) = nullptr;
  std::thread thread_;
};

}  // namespace assent::agent
