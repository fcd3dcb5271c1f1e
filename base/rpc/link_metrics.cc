#include "base/rpc/link_metrics.h"

#include <cstdint>
#include <vector>

namespace assent::rpc {
namespace {

using Kind = LinkMetrics::Kind;

// Adds items to their kinds; a batch counts if it held any.
class Tally {
 public:
  Tally(std::array<metrics::Counter, LinkMetrics::kKinds>& messages, metrics::Counter& batches)
      : messages_(messages), batches_(batches) {}
  ~Tally() {
    if (any_) batches_.Add();
  }
  void Add(Kind kind, int count = 1) {
    if (count == 0) return;
    any_ = true;
    messages_[static_cast<size_t>(kind)].Add(static_cast<uint64_t>(count));
  }

 private:
  std::array<metrics::Counter, LinkMetrics::kKinds>& messages_;
  metrics::Counter& batches_;
  bool any_ = false;
};

}  // namespace

const char* LinkMetrics::KindName(Kind kind) {
  switch (kind) {
    case Kind::kRegister:
      return "register";
    case Kind::kVote:
      return "vote";
    case Kind::kDone:
      return "done";
    case Kind::kWaiting:
      return "waiting";
    case Kind::kLost:
      return "lost";
    case Kind::kInquiry:
      return "inquiry";
    case Kind::kRegistered:
      return "registered";
    case Kind::kPrepare:
      return "prepare";
    case Kind::kCommit:
      return "commit";
    case Kind::kAbort:
      return "abort";
    case Kind::kAnswer:
      return "answer";
    case Kind::kForget:
      return "forget";
    case Kind::kLeadership:
      return "leadership";
  }
  return "";
}

bool LinkMetrics::SaidByAgent(Kind kind) {
  switch (kind) {
    case Kind::kRegister:
    case Kind::kVote:
    case Kind::kDone:
    case Kind::kWaiting:
    case Kind::kLost:
    case Kind::kInquiry:
      return true;
    case Kind::kRegistered:
    case Kind::kPrepare:
    case Kind::kCommit:
    case Kind::kAbort:
    case Kind::kAnswer:
    case Kind::kForget:
    case Kind::kLeadership:
      break;
  }
  return false;
}

void LinkMetrics::Count(const v1::AgentMessage& batch, OneWay& way) {
  Tally tally(way.messages, way.batches);
  tally.Add(Kind::kRegister, batch.registers_size());
  tally.Add(Kind::kVote, batch.votes_size());
  tally.Add(Kind::kLost, batch.lost_size());
  tally.Add(Kind::kInquiry, batch.inquiries_size());
  for (const v1::BranchFinished& finished : batch.finished()) {
    tally.Add(finished.state() == v1::BRANCH_STATE_COMMITTING ? Kind::kWaiting : Kind::kDone);
  }
}

void LinkMetrics::Count(const v1::CoordinatorMessage& batch, OneWay& way) {
  Tally tally(way.messages, way.batches);
  tally.Add(Kind::kRegistered, batch.registered_size());
  tally.Add(Kind::kPrepare, batch.prepares_size());
  tally.Add(Kind::kAnswer, batch.answers_size());
  tally.Add(Kind::kForget, batch.forget_size());
  tally.Add(Kind::kLeadership, batch.has_leadership() ? 1 : 0);
  for (const v1::FinishBranch& finish : batch.finishes()) {
    tally.Add(finish.commit() ? Kind::kCommit : Kind::kAbort);
  }
}

void LinkMetrics::Expose(End end, const std::vector<const LinkMetrics*>& links,
                         metrics::Page& page) {
  auto messages = page.Counters("assent_link_messages_total",
                                "Protocol messages between coordinator and agents, by kind.");
  auto batches = page.Counters("assent_link_batches_total",
                               "gRPC messages that carried them: each takes what had gathered.");
  for (const bool out : {false, true}) {
    const char* direction = out ? "out" : "in";
    const auto sum = [&](auto counter_of) {
      uint64_t total = 0;
      for (const LinkMetrics* link : links) {
        total += counter_of(out ? link->out_ : link->in_).value();
      }
      return static_cast<double>(total);
    };
    for (size_t i = 0; i < kKinds; ++i) {
      const Kind kind = static_cast<Kind>(i);
      if (SaidByAgent(kind) != ((end == End::kAgent) == out)) continue;
      messages.Series({{"direction", direction}, {"kind", KindName(kind)}},
                      sum([i](const OneWay& way) -> const auto& { return way.messages[i]; }));
    }
    batches.Series({{"direction", direction}},
                   sum([](const OneWay& way) -> const auto& { return way.batches; }));
  }
}

}  // namespace assent::rpc
