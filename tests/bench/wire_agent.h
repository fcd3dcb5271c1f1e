// An agent without databases: the real link, and behind it a thread that says yes to everything.
#pragma once

#include <grpcpp/security/credentials.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/mutex.h"
#include "base/rpc/keep_awake.h"
#include "participant-agent/server/link.h"
#include "tests/bench/histogram.h"

namespace assent::bench {

class WireAgent {
 public:
  // What it serves.
  static constexpr const char* kResource = "wire";

  // Dials; use it once WaitWelcomed has answered true.
  explicit WireAgent(
      const std::string& coordinator,
      std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials());
  ~WireAgent();
  WireAgent(const WireAgent&) = delete;
  WireAgent& operator=(const WireAgent&) = delete;

  bool WaitWelcomed(std::chrono::milliseconds most) EXCLUDES(mutex_);

  // Registers one branch of the transaction and waits for the answer: its gid, or the error.
  Status Register(const std::string& gtrid) EXCLUDES(mutex_);

  // Registers the same branch of each transaction again and again, one request of each under way at
  // a time, until `length` has passed; answers how many answers came and how long each took.
  struct Echo {
    uint64_t answers = 0;
    Histogram latency;
  };
  Result<Echo> EchoRegistrations(const std::vector<std::string>& gtrids,
                                 std::chrono::milliseconds length) EXCLUDES(mutex_);

 private:
  struct Loop {  // One request that is sent anew when it is answered.
    std::string gtrid;
    MonotonicTime sent{};
  };

  void Run();
  void Hear(const v1::CoordinatorMessage& message, v1::AgentMessage* reply) EXCLUDES(mutex_);
  void Hear(const v1::BranchRegistered& registered, v1::AgentMessage* reply) REQUIRES(mutex_);
  static void Ask(uint64_t request, const std::string& gtrid, v1::AgentMessage* message);

  rpc::KeepAwake keep_awake_;
  agent::EventInbox inbox_{agent::kInboxMax};
  Mutex mutex_;
  CondVar changed_;
  bool welcomed_ GUARDED_BY(mutex_) = false;
  uint64_t next_request_ GUARDED_BY(mutex_) = 1;
  std::unordered_map<uint64_t, Status> answers_ GUARDED_BY(mutex_);
  std::unordered_map<uint64_t, Loop> loops_ GUARDED_BY(mutex_);
  MonotonicTime loops_end_ GUARDED_BY(mutex_){};
  Echo echo_ GUARDED_BY(mutex_);
  Status echo_failed_ GUARDED_BY(mutex_);
  agent::Link link_;
  std::thread thread_;
};

}  // namespace assent::bench
