#include "tests/bench/wire_agent.h"

#include <utility>

namespace assent::bench {
namespace {

Status Refused(const v1::BranchRegistered& registered) {
  if (!registered.gid().empty()) return Ok();
  return Status(static_cast<Code>(registered.code()), registered.message());
}

}  // namespace

WireAgent::WireAgent(const std::string& coordinator,
                     std::shared_ptr<grpc::ChannelCredentials> credentials)
    : link_(coordinator, {.credentials = std::move(credentials)}, inbox_),
      thread_([this] { Run(); }) {
  v1::Hello hello;
  hello.set_agent_id("wire-agent");
  hello.set_agent_incarnation(1);
  v1::ServedResource* served = hello.add_resources();
  served->set_name(kResource);
  served->set_kind("postgresql");
  served->set_identity("none");
  link_.SetHello(hello);
}

WireAgent::~WireAgent() {
  link_.Stop();
  inbox_.Close();
  thread_.join();
}

bool WireAgent::WaitWelcomed(std::chrono::milliseconds most) {
  const auto until = std::chrono::steady_clock::now() + most;
  MutexLock lock(mutex_);
  while (!welcomed_ && changed_.WaitUntil(mutex_, until)) {
  }
  return welcomed_;
}

void WireAgent::Ask(uint64_t request, const std::string& gtrid, v1::AgentMessage* message) {
  v1::RegisterBranch* wanted = message->add_registers();
  wanted->set_request_id(request);
  wanted->set_gtrid(gtrid);
  wanted->set_resource(kResource);
}

Status WireAgent::Register(const std::string& gtrid) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  v1::AgentMessage message;
  MutexLock lock(mutex_);
  const uint64_t request = next_request_++;
  Ask(request, gtrid, &message);
  link_.Send(&message);
  while (!answers_.contains(request)) {
    if (!changed_.WaitUntil(mutex_, until)) return DeadlineExceeded("a registration is unanswered");
  }
  return answers_.extract(request).mapped();
}

Result<WireAgent::Echo> WireAgent::EchoRegistrations(const std::vector<std::string>& gtrids,
                                                     std::chrono::milliseconds length) {
  v1::AgentMessage message;
  MutexLock lock(mutex_);
  echo_ = {};
  echo_failed_ = Ok();
  const MonotonicTime now = std::chrono::steady_clock::now();
  loops_end_ = now + length;
  for (const std::string& gtrid : gtrids) {
    Ask(next_request_, gtrid, &message);
    loops_.emplace(next_request_++, Loop{gtrid, now});
  }
  link_.Send(&message);
  while (!loops_.empty()) {
    if (!changed_.WaitUntil(mutex_, loops_end_ + std::chrono::seconds(10))) {
      return DeadlineExceeded("a registration is unanswered");
    }
  }
  if (!echo_failed_.ok()) return echo_failed_;
  return std::exchange(echo_, {});
}

void WireAgent::Run() {
  inbox_.Run(
      [this](std::vector<agent::Event> events) {
        v1::AgentMessage reply;
        for (agent::Event& event : events) {
          if (const auto* said = std::get_if<agent::LinkSaid>(&event)) {
            Hear(said->message, &reply);
          } else if (std::holds_alternative<agent::LinkWelcomed>(event)) {
            MutexLock lock(mutex_);
            welcomed_ = true;
            changed_.NotifyAll();
          }
        }
        link_.Send(&reply);
        return std::chrono::steady_clock::now() + std::chrono::hours(1);
      },
      [] {});
}

void WireAgent::Hear(const v1::CoordinatorMessage& message, v1::AgentMessage* reply) {
  for (const v1::PrepareBranch& prepare : message.prepares()) {
    v1::BranchVote* vote = reply->add_votes();
    vote->set_gid(prepare.gid());
    vote->set_vote(v1::BranchVote::YES);
    vote->set_evidence("xid:1");
  }
  for (const v1::FinishBranch& finish : message.finishes()) {
    v1::BranchFinished* finished = reply->add_finished();
    finished->set_gid(finish.gid());
    finished->set_state(finish.commit() ? v1::BRANCH_STATE_COMMITTED
                                        : v1::BRANCH_STATE_ROLLED_BACK);
  }
  if (message.registered_size() == 0) return;
  MutexLock lock(mutex_);
  for (const v1::BranchRegistered& registered : message.registered()) Hear(registered, reply);
}

void WireAgent::Hear(const v1::BranchRegistered& registered, v1::AgentMessage* reply) {
  Status status = Refused(registered);
  auto it = loops_.find(registered.request_id());
  if (it == loops_.end()) {
    answers_.emplace(registered.request_id(), std::move(status));
    changed_.NotifyAll();
    return;
  }
  const MonotonicTime now = std::chrono::steady_clock::now();
  ++echo_.answers;
  echo_.latency.Add(now - it->second.sent);
  if (!status.ok()) echo_failed_ = std::move(status);
  if (now < loops_end_ && echo_failed_.ok()) {
    it->second.sent = now;
    Ask(it->first, it->second.gtrid, reply);
    return;
  }
  loops_.erase(it);
  if (loops_.empty()) changed_.NotifyAll();
}

}  // namespace assent::bench
