#include "coordinator/server/agent_links.h"

#include <future>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/options.h"
#include "coordinator/server/proto_convert.h"

namespace assent::coordinator {
namespace {

// Batches that wait for a slow agent; then its link is closed, and everything is said anew when it
// dials again.
constexpr size_t kBatchesMax = 10'000;

}  // namespace

// The driver may hold on to it longer than the stream lives, hence the care with `context_`.
class AgentLinks::Link final : public AgentOutbox {
 public:
  Link(LinkId id, grpc::ServerContext* context, const Clock& clock)
      : id_(id), peer_(context->peer()), clock_(clock), outgoing_(kBatchesMax), context_(context) {
    Heard();
  }

  void Send(AgentOutput batch) override {
    if (!outgoing_.TryPost(std::move(batch))) Cancel();
  }
  void Close(Status) override { Cancel(); }
  MonotonicTime LastHeard() const override {
    return MonotonicTime(Duration(heard_.load(std::memory_order_relaxed)));
  }

  void Heard() { heard_.store(clock_.Now().time_since_epoch().count(), std::memory_order_relaxed); }
  // Ends the stream from any thread: whoever reads or writes it returns.
  void Cancel() EXCLUDES(mutex_) {
    outgoing_.Close();
    MutexLock lock(mutex_);
    if (context_ != nullptr) context_->TryCancel();
  }
  void CancelSilent() {
    if (outgoing_.closed()) return;
    LogWarning("agent_silent", {{"link", id_}, {"peer", peer_}});
    Cancel();
  }
  // The stream is about to go.
  void Detach() EXCLUDES(mutex_) {
    outgoing_.Close();
    MutexLock lock(mutex_);
    context_ = nullptr;
  }
  // Writes what gathers until the link is closed.
  void WriteUntilClosed(grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::AgentMessage>& stream,
                        std::chrono::milliseconds heartbeat, rpc::LinkMetrics& metrics) {
    while (true) {
      std::vector<AgentOutput> batches = outgoing_.DrainUntil(clock_.Now() + heartbeat);
      if (batches.empty() && outgoing_.closed()) return;
      std::vector<v1::CoordinatorMessage> messages = ToProto(batches);
      if (messages.empty()) messages.emplace_back();
      messages.back().set_heartbeat(true);
      for (const v1::CoordinatorMessage& message : messages) {
        if (!stream.Write(message)) return Cancel();
        metrics.Sent(message);
      }
    }
  }

 private:
  const LinkId id_;
  const std::string peer_;
  const Clock& clock_;
  Inbox<AgentOutput> outgoing_;
  std::atomic<Duration::rep> heard_{0};
  Mutex mutex_;
  grpc::ServerContext* context_ GUARDED_BY(mutex_);
};

AgentLinks::AgentLinks(Driver& driver, const Clock& clock, LinkTimes times)
    : driver_(driver), clock_(clock), times_(times), watcher_([this] { WatchSilence(); }) {}

AgentLinks::~AgentLinks() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.NotifyAll();
  }
  watcher_.join();
}

grpc::Status AgentLinks::Connect(
    grpc::ServerContext* context,
    grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::AgentMessage>* stream) {
  const LinkId id = next_id_.fetch_add(1);
  auto link = std::make_shared<Link>(id, context, clock_);
  {
    MutexLock lock(mutex_);
    open_.insert(link.get());
  }
  grpc::Status result = grpc::Status::OK;
  v1::AgentMessage first;
  if (!stream->Read(&first) || !first.has_hello()) {
    result = rpc::ToGrpc(InvalidArgument("the first message of a link must carry hello"));
  } else {
    link->Heard();
    std::promise<Answer<AgentWelcome>> answered;
    LinkOpened opened{.link = id,
                      .hello = FromProto(first.hello(), context->peer()),
                      .outbox = link,
                      .reply = [&](Answer<AgentWelcome> a) { answered.set_value(std::move(a)); }};
    // Post takes it all or nothing, and the driver answers whatever it has taken.
    Answer<AgentWelcome> answer =
        Refusal{Unavailable("this coordinator is stopping"), Reason::kNotLeader, 200, {}};
    if (driver_.Post(std::move(opened))) answer = answered.get_future().get();
    if (const auto* refusal = std::get_if<Refusal>(&answer)) {
      result = ToGrpc(*refusal);
    } else {
      v1::CoordinatorMessage welcome = ToProto(std::get<AgentWelcome>(answer));
      welcome.mutable_welcome()->set_version(std::string(Version()));
      std::thread writer([&] {
        if (stream->Write(welcome)) link->WriteUntilClosed(*stream, times_.heartbeat, metrics_);
      });
      ReadUntilClosed(*link, id, *stream);
      driver_.Post(LinkClosed{id});
      link->Cancel();
      writer.join();
    }
  }
  {
    MutexLock lock(mutex_);
    open_.erase(link.get());
  }
  link->Detach();
  return result;
}

void AgentLinks::ReadUntilClosed(
    Link& link, LinkId id,
    grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::AgentMessage>& stream) {
  v1::AgentMessage message;
  while (stream.Read(&message)) {
    link.Heard();
    metrics_.Received(message);
    ReadInput read = FromProto(message);
    for (const std::string& problem : read.problems) {
      LogWarning("agent_message_unreadable", {{"link", id}, {"problem", problem}});
    }
    if (!read.refused.empty()) link.Send(std::move(read.refused));
    const AgentInput& in = read.input;
    if (in.registers.empty() && in.votes.empty() && in.lost.empty() && in.finished.empty() &&
        in.inquiries.empty()) {
      continue;  // A heartbeat.
    }
    if (!driver_.Post(LinkInput{id, std::move(read.input)})) return;
  }
}

void AgentLinks::WatchSilence() {
  MutexLock lock(mutex_);
  while (!stopping_) {
    const MonotonicTime now = clock_.Now();
    for (Link* link : open_) {
      if (now - link->LastHeard() > times_.silence_max) link->CancelSilent();
    }
    changed_.WaitUntil(mutex_, std::chrono::steady_clock::now() + times_.heartbeat);
  }
}

}  // namespace assent::coordinator
