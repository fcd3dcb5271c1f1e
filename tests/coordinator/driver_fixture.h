// A driver with fakes all around it: the test is its clock, its log, its agents and its clients.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/server/driver.h"
#include "tests/coordinator/fake_log.h"

namespace assent::coordinator {

class ManualClock final : public Clock {
 public:
  MonotonicTime Now() const override { return now; }
  MonotonicTime now{std::chrono::hours(1000)};
};

// The agent's end of a link: keeps what it was told.
class FakeAgent final : public AgentOutbox {
 public:
  void Send(AgentOutput batch) override;
  void Close(Status why) override { closed = std::move(why); }
  MonotonicTime LastHeard() const override { return heard; }

  bool ToldToPrepare(const Gid& gid) const;
  // How often.
  size_t ToldToCommit(const Gid& gid) const;
  size_t ToldToAbort(const Gid& gid) const;
  bool ToldToForget(const Gid& gid) const;
  // Of the newest answer.
  std::optional<AgentAnswer> AnswerTo(const Gid& gid) const;

  AgentOutput told;  // Everything, in order.
  size_t batches = 0;
  std::optional<Status> closed;
  MonotonicTime heard{};
  LinkId link = 0;
  AgentHello hello;
  std::optional<Answer<AgentWelcome>> welcome;
};

// An answer that may not have come yet.
template <typename T>
class Pending {
 public:
  Reply<T> reply() {
    return [state = state_](Answer<T> answer) {
      EXPECT_FALSE(state->has_value()) << "answered twice";
      *state = std::move(answer);
    };
  }
  bool answered() const { return state_->has_value(); }
  bool refused() const { return answered() && std::holds_alternative<Refusal>(**state_); }
  const T& operator*() const { return std::get<T>(state_->value()); }
  const T* operator->() const { return &**this; }
  const Refusal& refusal() const { return std::get<Refusal>(state_->value()); }
  Code code() const { return refused() ? refusal().status.code() : Code::kOk; }

 private:
  std::shared_ptr<std::optional<Answer<T>>> state_ = std::make_shared<std::optional<Answer<T>>>();
};

class DriverTest : public ::testing::Test {
 protected:
  DriverTest();

  void Boot();     // Makes the driver and lets it lead.
  void Restart();  // A crash: memory is lost, the log stays, links are gone.
  void Pump() { driver_->HandlePending(); }
  void Pass(std::chrono::milliseconds time);

  std::shared_ptr<FakeAgent> Connect(const std::string& agent_id,
                                     std::vector<std::string> resources, uint64_t incarnation = 1);
  std::shared_ptr<FakeAgent> Dial(AgentHello hello);
  void Disconnect(FakeAgent& agent);

  Pending<BeginAnswer> TryBegin(const std::string& key = "", Duration timeout = {});
  Gtrid Begin(const std::string& key = "");
  // With branches to register.
  Pending<BeginAnswer> TryBeginWith(std::vector<BranchAsked> branches,
                                    std::vector<Gid> finished = {});
  // Expects each of them to be registered.
  std::vector<Gid> BeginWith(std::vector<BranchAsked> branches);
  // Registers a branch and expects it to be acknowledged.
  Gid Open(FakeAgent& agent, const Gtrid& gtrid, const std::string& resource);
  RegisterAnswer TryOpen(FakeAgent& agent, const Gtrid& gtrid, const std::string& resource,
                         uint64_t request);
  RegisterAnswer TryRegister(FakeAgent& agent, RegisterAsked asked);
  void Say(FakeAgent& agent, AgentInput input);
  void VoteOn(FakeAgent& agent, const Gid& gid, Vote vote, const std::string& evidence = "");
  void Report(FakeAgent& agent, const Gid& gid, BranchViewState state = BranchViewState::kCommitted,
              std::string detail = "");
  AgentAnswer Ask(FakeAgent& agent, const Gid& gid);

  Pending<CommitAnswer> Commit(const Gtrid& gtrid, bool for_applied = true,
                               std::vector<Ticket> tickets = {}, std::vector<Gid> finished = {});
  Pending<ReportAnswer> ReportFinished(std::vector<Gid> gids);
  Pending<RollbackAnswer> Rollback(const Gtrid& gtrid);
  Pending<TransactionView> Get(const Gtrid& gtrid);
  ListAnswer List();
  StatusAnswer GetStatus();
  Pending<ForgetAnswer> Forget(const Gtrid& gtrid);

  // Begin, two branches on pg and my, Commit asked, both voted yes: the decision is proposed.
  struct Pair {
    Gtrid gtrid;
    Gid pg;
    Gid my;
  };
  Pair BeginPair(const std::string& key = "");
  Pending<CommitAnswer> CommitPair(const Pair& pair, bool for_applied = true);

  Limits limits_;
  ManualClock clock_;
  FakeCodec codec_;
  FakeLog log_;
  std::optional<Status> fatal_;
  std::unique_ptr<Driver> driver_;
  std::shared_ptr<FakeAgent> pg_;  // Connected by BeginPair.
  std::shared_ptr<FakeAgent> my_;
  LinkId next_link_ = 1;
  uint64_t next_request_ = 1;
};

// The application's session 4711, and who ends the branch.
inline AppHeldNews EndedBy(Finisher finisher) {
  return {.connection_id = "4711", .finisher = finisher};
}

inline constexpr char kUuid[] = "11111111-2222-4333-8444-555555555555";
inline constexpr uint64_t kIncarnation = 77;

}  // namespace assent::coordinator
