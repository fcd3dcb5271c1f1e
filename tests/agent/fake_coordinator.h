// The coordinator's end of AgentLink, played by a test: registers branches, remembers all that an
// agent said, and says what the test wants.
#pragma once

#include <grpcpp/server.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "assent/v1/agent_link.grpc.pb.h"
#include "base/ids.h"
#include "base/mutex.h"

namespace assent::agent {

// Thread-safe.
class FakeCoordinator final : public v1::AgentLink::Service {
 public:
  // Listens on `port` (0: any free one).
  explicit FakeCoordinator(int port = 0);
  ~FakeCoordinator() override;

  int port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  // What it is; before an agent connects, or followed by DropLinks.
  v1::Welcome welcome() EXCLUDES(mutex_);
  void SetWelcome(const v1::Welcome& welcome) EXCLUDES(mutex_);
  // Registrations are answered with this refusal.
  void RefuseRegistrations(std::optional<v1::BranchRegistered> refusal) EXCLUDES(mutex_);
  void IgnoreRegistrations(bool ignore) EXCLUDES(mutex_);
  // Hears, but says nothing any more by itself.
  void FallSilent(bool silent) EXCLUDES(mutex_);
  void SetRemaining(uint32_t remaining_ms) EXCLUDES(mutex_);

  Gtrid NextGtrid() EXCLUDES(mutex_);

  // To every stream that exists.
  void Say(const v1::CoordinatorMessage& message) EXCLUDES(mutex_);
  // `app_held`: as such a branch is told; null: it is the agent's.
  void Prepare(const std::string& gid, const v1::AppHeld* app_held = nullptr);
  void Finish(const std::string& gid, bool commit, const std::string& evidence = "",
              const v1::AppHeld* app_held = nullptr);
  void Forget(const std::string& gid);
  void Answer(const std::string& gid, v1::InquiryAnswer::Answer answer);
  void Lead(uint64_t term, bool leader) EXCLUDES(mutex_);

  // Ends every stream; agents dial again.
  void DropLinks() EXCLUDES(mutex_);

  // The oldest thing of its kind that was said and not taken yet; waits for it. Nothing after 10 s.
  std::optional<v1::BranchVote> NextVote() { return Next(votes_); }
  std::optional<v1::BranchFinished> NextFinished() { return Next(finished_); }
  std::optional<v1::Inquiry> NextInquiry() { return Next(inquiries_); }
  std::optional<v1::BranchLost> NextLost() { return Next(lost_); }
  std::optional<v1::Hello> NextHello() { return Next(hellos_); }
  std::optional<v1::RegisterBranch> NextRegister() { return Next(registers_); }
  // Of the agent that said hello last; 0: none has.
  uint64_t agent_incarnation() EXCLUDES(mutex_);
  // Drops what was said until now.
  void Disregard() EXCLUDES(mutex_);
  size_t inquiries_waiting() EXCLUDES(mutex_);
  size_t registers_waiting() EXCLUDES(mutex_);
  // Of votes and losses.
  size_t verdicts_waiting() EXCLUDES(mutex_);
  // Messages heard so far, heartbeats included.
  int messages_heard() EXCLUDES(mutex_);
  // Streams that exist.
  size_t agents() EXCLUDES(mutex_);
  // Waits until an agent with this many resources has been welcomed.
  bool WaitServed(int resources) EXCLUDES(mutex_);

  grpc::Status Connect(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::AgentMessage>* stream) override;

 private:
  struct Peer {
    grpc::ServerContext* context = nullptr;
    grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::AgentMessage>* stream = nullptr;
    int resources = 0;
  };

  template <typename T>
  std::optional<T> Next(std::vector<T>& list) EXCLUDES(mutex_) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    MutexLock lock(mutex_);
    while (list.empty() && changed_.WaitUntil(mutex_, until)) {
    }
    if (list.empty()) return std::nullopt;
    T first = std::move(list.front());
    list.erase(list.begin());
    return first;
  }
  void Register(const v1::RegisterBranch& wanted, v1::CoordinatorMessage* reply) REQUIRES(mutex_);

  Mutex mutex_;
  CondVar changed_;
  v1::Welcome welcome_ GUARDED_BY(mutex_);
  std::optional<v1::BranchRegistered> refusal_ GUARDED_BY(mutex_);
  bool ignore_registrations_ GUARDED_BY(mutex_) = false;
  bool silent_ GUARDED_BY(mutex_) = false;
  uint32_t remaining_ms_ GUARDED_BY(mutex_) = 60'000;
  uint64_t next_seq_ GUARDED_BY(mutex_) = 0;
  uint32_t next_branch_ GUARDED_BY(mutex_) = 1;
  int messages_heard_ GUARDED_BY(mutex_) = 0;
  std::vector<Peer*> peers_ GUARDED_BY(mutex_);
  // Under the mutex too; passed by reference to Next, where clang can't follow.
  std::vector<v1::BranchVote> votes_;
  std::vector<v1::BranchFinished> finished_;
  std::vector<v1::Inquiry> inquiries_;
  std::vector<v1::BranchLost> lost_;
  uint64_t agent_incarnation_ GUARDED_BY(mutex_) = 0;
  std::vector<v1::Hello> hellos_;
  std::vector<v1::RegisterBranch> registers_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace assent::agent
