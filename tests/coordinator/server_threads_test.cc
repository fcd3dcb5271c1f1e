// The driver on its thread, with many others posting: what ThreadSanitizer is to watch.
#include <atomic>
#include <future>
#include <thread>
#include <vector>

#include "tests/coordinator/driver_fixture.h"

namespace assent::coordinator {
namespace {

// Votes yes and reports done on a thread of its own, as a link does.
class EagerAgent final : public AgentOutbox {
 public:
  explicit EagerAgent(Driver& driver) : driver_(driver), outgoing_(100'000) {}
  ~EagerAgent() override { Stop(); }

  void Start(LinkId link) {
    link_ = link;
    thread_ = std::thread([this] { Run(); });
  }
  void Stop() {
    outgoing_.Close();
    if (thread_.joinable()) thread_.join();
  }
  void Send(AgentOutput batch) override { outgoing_.TryPost(std::move(batch)); }
  void Close(Status) override { outgoing_.Close(); }
  MonotonicTime LastHeard() const override { return std::chrono::steady_clock::now(); }

 private:
  void Run() {
    while (true) {
      std::vector<AgentOutput> batches = outgoing_.Drain();
      if (batches.empty()) return;
      AgentInput said;
      for (const AgentOutput& batch : batches) {
        for (const RegisterAnswer& answer : batch.registered) {
          if (answer.gid) driver_.Post(CommitCall{.gtrid = answer.gid->gtrid, .reply = on_commit});
        }
        for (const PrepareOrder& order : batch.prepares) {
          said.votes.push_back({.gid = order.gid, .vote = Vote::kYes});
        }
        for (const FinishOrder& order : batch.finishes) {
          said.finished.push_back({.gid = order.gid, .state = BranchViewState::kCommitted});
        }
      }
      driver_.Post(LinkInput{link_, std::move(said)});
    }
  }

  Driver& driver_;
  Inbox<AgentOutput> outgoing_;
  LinkId link_ = 0;
  std::thread thread_;

 public:
  Reply<CommitAnswer> on_commit;
};

TEST(DriverThreadsTest, ManyClientsCommitAtOnce) {
  constexpr int kClients = 4;
  constexpr int kEach = 50;
  SystemClock clock;
  FakeCodec codec;
  FakeLog log;
  log.Append(1, codec.Encode(GroupStart{
                    .cluster = "bank", .cluster_uuid = kUuid, .incarnation = kIncarnation}));
  Driver driver(Limits{}, clock, codec, [](Status) { FAIL(); });
  driver.Attach(log);
  log.Start(driver);
  std::atomic<int> committed{0};
  std::promise<void> all;
  auto agent = std::make_shared<EagerAgent>(driver);
  agent->on_commit = [&](Answer<CommitAnswer> answer) {
    EXPECT_TRUE(std::get<CommitAnswer>(answer).applied);
    if (++committed == kClients * kEach) all.set_value();
  };
  agent->Start(1);
  std::thread thread([&] { driver.Run(); });
  driver.Post(
      LinkOpened{.link = 1,
                 .hello = {.agent_id = "a",
                           .incarnation = 1,
                           .resources = {{.name = "pg", .kind = "postgresql", .identity = "x"}}},
                 .outbox = agent,
                 .reply = [](Answer<AgentWelcome>) {}});
  std::atomic<uint64_t> request{1};
  std::vector<std::thread> clients;
  for (int i = 0; i < kClients; ++i) {
    clients.emplace_back([&] {
      for (int n = 0; n < kEach; ++n) {
        driver.Post(BeginCall{.reply = [&](Answer<BeginAnswer> answer) {
          AgentInput said;
          said.registers.push_back(
              {request.fetch_add(1), std::get<BeginAnswer>(answer).gtrid, "pg"});
          driver.Post(LinkInput{1, std::move(said)});
        }});
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(all.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  driver.Stop();
  thread.join();
  agent->Stop();
  EXPECT_EQ(committed, kClients * kEach);
}

}  // namespace
}  // namespace assent::coordinator
