#include "coordinator/server/agent_link.h"

#include <utility>

#include "base/log.h"
#include "base/options.h"
#include "coordinator/server/proto_convert.h"

namespace assent::coordinator {

std::shared_ptr<AgentLink> AgentLink::Start(LinkId id, grpc::CallbackServerContext* context,
                                            Driver& driver, uint64_t node_id, const Clock& clock,
                                            rpc::LinkMetrics& metrics,
                                            std::function<void(AgentLink*)> gone) {
  std::shared_ptr<AgentLink> link(
      new AgentLink(id, context, driver, node_id, clock, metrics, std::move(gone)));
  link->self_ = link;
  link->StartRead(&link->incoming_);
  return link;
}

AgentLink::AgentLink(LinkId id, grpc::CallbackServerContext* context, Driver& driver,
                     uint64_t node_id, const Clock& clock, rpc::LinkMetrics& metrics,
                     std::function<void(AgentLink*)> gone)
    : id_(id),
      peer_(context->peer()),
      driver_(driver),
      node_id_(node_id),
      clock_(clock),
      metrics_(metrics),
      gone_(std::move(gone)),
      heard_(clock.Now()),
      context_(context) {}

// ---- Reading ------------------------------------------------------------------------------------

void AgentLink::OnReadDone(bool ok) {
  if (ok) heard_.store(clock_.Now(), std::memory_order_relaxed);
  if (!welcomed_) {
    ReadHello(ok);
  } else if (ok) {
    ReadMessage();
  } else {
    driver_.Post(LinkClosed{id_});
    End(grpc::Status::OK);
  }
}

void AgentLink::ReadHello(bool ok) {
  if (!ok || !incoming_.has_hello()) {
    Answered(Refusal{InvalidArgument("the first message of a link must carry hello")});
    return;
  }
  // Until it is answered no read is under way.
  LinkOpened opened{.link = id_,
                    .hello = FromProto(incoming_.hello(), peer_),
                    .outbox = self_,
                    .reply = [this](Answer<AgentWelcome> a) { Answered(std::move(a)); }};
  // Post takes it all or nothing, and the driver answers whatever it has taken.
  if (driver_.Post(std::move(opened))) return;
  Answered(Refusal{Unavailable("this coordinator is stopping"), Reason::kNotLeader, 200, {}});
}

void AgentLink::Answered(Answer<AgentWelcome> answer) {
  if (const auto* refusal = std::get_if<Refusal>(&answer)) {
    {
      MutexLock lock(mutex_);
      writing_ = false;
    }
    End(ToGrpc(*refusal));
    return;
  }
  welcomed_ = true;
  outgoing_.push_back(ToProto(std::get<AgentWelcome>(answer), node_id_));
  outgoing_.back().mutable_welcome()->set_version(std::string(Version()));
  Write();
  StartRead(&incoming_);
}

void AgentLink::ReadMessage() {
  metrics_.Received(incoming_);
  ReadInput read = FromProto(incoming_);
  for (const std::string& problem : read.problems) {
    LogWarning("agent_message_unreadable", {{"link", id_}, {"problem", problem}});
  }
  if (!read.refused.empty()) Send(std::move(read.refused));
  const AgentInput& in = read.input;
  const bool heartbeat = in.registers.empty() && in.votes.empty() && in.lost.empty() &&
                         in.finished.empty() && in.inquiries.empty();
  if (!heartbeat && !driver_.Post(LinkInput{id_, std::move(read.input)})) {
    MutexLock lock(mutex_);
    Cancel();
  }
  // Also when the stream is ending: that it can't be read any more is how we hear of its end.
  StartRead(&incoming_);
}

// ---- Writing ------------------------------------------------------------------------------------

void AgentLink::Send(AgentOutput batch) {
  {
    MutexLock lock(mutex_);
    if (closed_) return;
    if (gathered_.size() >= kBatchesMax) {
      Drop("agent_slow");
      return;
    }
    gathered_.push_back(std::move(batch));
    if (std::exchange(writing_, true)) return;
  }
  Write();
}

void AgentLink::KeepAlive(MonotonicTime said_before) {
  {
    MutexLock lock(mutex_);
    if (closed_ || said_ > said_before || std::exchange(writing_, true)) return;
  }
  Write();
}

void AgentLink::Write() {
  if (written_ == outgoing_.size()) {
    std::vector<AgentOutput> batches;
    {
      MutexLock lock(mutex_);
      batches.swap(gathered_);
    }
    written_ = 0;
    outgoing_ = ToProto(batches);
    if (outgoing_.empty()) outgoing_.emplace_back();
    outgoing_.back().set_heartbeat(true);
  }
  StartWrite(&outgoing_[written_++]);
}

void AgentLink::OnWriteDone(bool ok) {
  if (ok) metrics_.Sent(outgoing_[written_ - 1]);
  {
    MutexLock lock(mutex_);
    said_ = clock_.Now();
    if (!ok) Cancel();
    if (closed_ || (written_ == outgoing_.size() && gathered_.empty())) {
      writing_ = false;
      if (ending_) Finish(end_);
      return;
    }
  }
  Write();
}

// ---- The end ------------------------------------------------------------------------------------

void AgentLink::Close(Status) {
  MutexLock lock(mutex_);
  Cancel();
}

void AgentLink::CloseSilent() {
  MutexLock lock(mutex_);
  if (closed_) return;
  Drop("agent_silent");
}

void AgentLink::Drop(const char* why) {
  LogWarning(why, {{"link", id_}, {"peer", peer_}});
  // Before the agent can hear of it: when it dials again its place is free.
  driver_.PostAndWake(LinkClosed{id_});
  Cancel();
}

// Whatever is under way then fails, and what follows is as when the agent had gone.
void AgentLink::Cancel() {
  closed_ = true;
  gathered_.clear();
  if (context_ != nullptr) context_->TryCancel();
}

void AgentLink::End(grpc::Status status) {
  MutexLock lock(mutex_);
  closed_ = true;
  gathered_.clear();
  ending_ = true;
  end_ = std::move(status);
  if (!writing_) {
    Finish(end_);
  } else if (context_ != nullptr) {
    context_->TryCancel();  // An agent that does not read must not keep it.
  }
}

void AgentLink::OnDone() {
  {
    MutexLock lock(mutex_);
    context_ = nullptr;
  }
  gone_(this);
  // May be the last to hold it.
  const std::shared_ptr<AgentLink> self = std::move(self_);
}

}  // namespace assent::coordinator
