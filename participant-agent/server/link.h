// The way to one coordinator node: dials, says hello, and dials again when the stream has ended.
// What it hears it posts to the driver; what it shall say the driver hands over in batches.
//
// A thread of its own dials, waits between two tries and keeps a silent stream alive; what is said
// and heard does not pass through it, see LinkStream.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/security/credentials.h>

#include <memory>
#include <string>
#include <thread>

#include "assent/v1/agent_link.grpc.pb.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "base/rpc/link_metrics.h"
#include "participant-agent/server/events.h"
#include "participant-agent/server/link_stream.h"

namespace assent::agent {

struct LinkSecurity {
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  std::string server_name;  // What certificates must carry. Empty: the host that is dialled.
};

class Link {
 public:
  // Dials `target` ("host:port") once SetHello has been called, and again whenever the stream ends,
  // until destroyed.
  Link(std::string target, const LinkSecurity& security, EventInbox& driver);
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

  static constexpr auto kHeartbeat = std::chrono::milliseconds(300);
  static constexpr auto kSilenceMax = std::chrono::seconds(3);

 private:
  void Run();
  // One stream, from dial to end; what it ended with.
  grpc::Status Converse() EXCLUDES(mutex_);
  // False: stop.
  bool WaitForHello() EXCLUDES(mutex_);
  void BackOff(bool long_wait) EXCLUDES(mutex_);

  const std::string target_;
  EventInbox& driver_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::AgentLink::Stub> stub_;
  rpc::LinkMetrics metrics_;

  Mutex mutex_;
  CondVar changed_;
  v1::Hello hello_ GUARDED_BY(mutex_);
  uint64_t hello_version_ GUARDED_BY(mutex_) = 0;  // 0: none yet.
  uint64_t said_version_ GUARDED_BY(mutex_) = 0;   // On the present stream, or the last.
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool refused_ GUARDED_BY(mutex_) = false;
  // The present stream, with whoever speaks on it just now.
  std::shared_ptr<LinkStream> stream_ GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace assent::agent
