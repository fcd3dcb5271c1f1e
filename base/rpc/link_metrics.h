// What crosses an AgentLink, counted where it is written and read, alike at both ends.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "assent/v1/agent_link.pb.h"
#include "base/metrics/counter.h"
#include "base/metrics/page.h"

namespace assent::rpc {

// Thread-safe, lock-free.
class LinkMetrics {
 public:
  // A message of protocols.md section 15 is an item; a batch is one gRPC message, which carries
  // what had gathered. Heartbeats and the first message of each side are not counted.
  void Sent(const v1::AgentMessage& batch) { Count(batch, out_); }
  void Sent(const v1::CoordinatorMessage& batch) { Count(batch, out_); }
  void Received(const v1::AgentMessage& batch) { Count(batch, in_); }
  void Received(const v1::CoordinatorMessage& batch) { Count(batch, in_); }

  enum class End { kAgent, kCoordinator };
  // Adds assent_link_messages_total and assent_link_batches_total to `page`: the sums over `links`,
  // seen from `end`.
  static void Expose(End end, const std::vector<const LinkMetrics*>& links, metrics::Page& page);

  enum class Kind {
    // What an agent says.
    kRegister,
    kVote,
    kDone,     // How a branch ended, heuristically or not.
    kWaiting,  // Told its decision, not done yet.
    kLost,
    kInquiry,
    // What a coordinator says.
    kRegistered,
    kPrepare,
    kCommit,
    kAbort,
    kAnswer,
    kForget,
    kLeadership,
  };
  static constexpr size_t kKinds = static_cast<size_t>(Kind::kLeadership) + 1;
  static const char* KindName(Kind kind);
  static bool SaidByAgent(Kind kind);

 private:
  struct OneWay {
    std::array<metrics::Counter, kKinds> messages;
    metrics::Counter batches;
  };
  static void Count(const v1::AgentMessage& batch, OneWay& way);
  static void Count(const v1::CoordinatorMessage& batch, OneWay& way);

  OneWay in_;
  OneWay out_;
};

}  // namespace assent::rpc
