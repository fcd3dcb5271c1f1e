// The agent's end of AgentLink by itself: a stream to a coordinator that hears when it is told to.
#include "participant-agent/server/link.h"

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/rpc/keep_awake.h"

namespace assent::agent {
namespace {

LinkSecurity Plain() { return {grpc::InsecureChannelCredentials(), ""}; }

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kPatience{20};

// Welcomes whoever says hello, and reads on only while it listens.
class Coordinator final : public v1::AgentLink::Service {
 public:
  explicit Coordinator(bool listens = true) : listens_(listens) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~Coordinator() override {
    Listen();
    server_->Shutdown(std::chrono::system_clock::now());
  }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  void Listen() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    listens_ = true;
    changed_.NotifyAll();
  }
  // What hellos are answered with from now on.
  void Refuse(const grpc::Status& why) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    refusal_ = why;
  }
  void Drop() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    for (grpc::ServerContext* context : contexts_) context->TryCancel();
  }

  bool WaitHellos(size_t count) EXCLUDES(mutex_) {
    return WaitFor([&]() REQUIRES(mutex_) { return hellos_.size() >= count; });
  }
  bool WaitMessages(size_t count) EXCLUDES(mutex_) {
    return WaitFor([&]() REQUIRES(mutex_) { return messages_ >= count; });
  }
  // Waits until this registration was heard.
  bool WaitRequest(uint64_t request, milliseconds most = kPatience) EXCLUDES(mutex_) {
    return WaitFor(
        [&]() REQUIRES(mutex_) { return !requests_.empty() && requests_.back() == request; }, most);
  }
  std::vector<uint64_t> requests() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return requests_;
  }
  size_t messages() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return messages_;
  }
  std::string last_hello() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return hellos_.back();
  }

  grpc::Status Connect(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::AgentMessage>* stream) override {
    v1::AgentMessage said;
    if (!stream->Read(&said)) return grpc::Status::OK;
    {
      MutexLock lock(mutex_);
      hellos_.push_back(said.hello().agent_id());
      changed_.NotifyAll();
      if (!refusal_.ok()) return refusal_;
      contexts_.push_back(context);
    }
    v1::CoordinatorMessage welcome;
    welcome.mutable_welcome()->set_cluster("bank");
    welcome.add_forget("in the same message");
    stream->Write(welcome);
    {
      MutexLock lock(mutex_);
      while (!listens_) changed_.Wait(mutex_);
    }
    while (stream->Read(&said)) {
      MutexLock lock(mutex_);
      ++messages_;
      for (const auto& one : said.registers()) requests_.push_back(one.request_id());
      changed_.NotifyAll();
    }
    MutexLock lock(mutex_);
    std::erase(contexts_, context);
    return grpc::Status::OK;
  }

 private:
  template <typename Enough>
  bool WaitFor(const Enough& enough, milliseconds most = kPatience) EXCLUDES(mutex_) {
    const auto until = std::chrono::steady_clock::now() + most;
    MutexLock lock(mutex_);
    while (!enough()) {
      if (!changed_.WaitUntil(mutex_, until)) return enough();
    }
    return true;
  }

  Mutex mutex_;
  CondVar changed_;
  bool listens_ GUARDED_BY(mutex_);
  grpc::Status refusal_ GUARDED_BY(mutex_);
  std::vector<grpc::ServerContext*> contexts_ GUARDED_BY(mutex_);
  std::vector<std::string> hellos_ GUARDED_BY(mutex_);
  std::vector<uint64_t> requests_ GUARDED_BY(mutex_);
  size_t messages_ GUARDED_BY(mutex_) = 0;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

class LinkTest : public ::testing::Test {
 protected:
  static v1::Hello HelloOf(const std::string& agent_id) {
    v1::Hello hello;
    hello.set_agent_id(agent_id);
    return hello;
  }
  static v1::AgentMessage Asking(uint64_t request, const std::string& label = "") {
    v1::AgentMessage message;
    message.add_registers()->set_request_id(request);
    message.mutable_registers(0)->set_gtrid(label);
    return message;
  }

  // Far more than fits into the stream's window, however it grows: while the coordinator does not
  // listen, a write is under way, and Send must not wait for it.
  static void FillWindow(Link& link) {
    for (int i = 0; i < 64; ++i) {
      v1::AgentMessage message = Asking(0, std::string(500'000, 'g'));
      link.Send(&message);
    }
  }

  bool HasEvent() { return next_ < events_.size() || inbox_.size() > 0; }
  // The kind of the next event, in the order of their posting; empty if none comes.
  std::string NextEvent() {
    if (next_ == events_.size()) {
      events_ = inbox_.DrainUntil(std::chrono::steady_clock::now() + kPatience);
      next_ = 0;
      if (events_.empty()) return "";
    }
    const Event& event = events_[next_++];
    if (std::holds_alternative<LinkWelcomed>(event)) return "welcomed";
    if (std::holds_alternative<LinkSaid>(event)) return "said";
    if (std::holds_alternative<LinkDown>(event)) return "down";
    return "other";
  }

  rpc::KeepAwake keep_awake_;
  EventInbox inbox_{kInboxMax};
  std::vector<Event> events_;
  size_t next_ = 0;
};

TEST_F(LinkTest, TellsTheDriverOfEachStreamInOrder) {
  Coordinator coordinator;
  Link link(coordinator.address(), Plain(), inbox_);
  link.SetHello(HelloOf("a"));
  for (int stream = 0; stream < 3; ++stream) {
    EXPECT_EQ(NextEvent(), "welcomed");
    EXPECT_EQ(NextEvent(), "said");
    if (stream == 1) {
      coordinator.Drop();
    } else {
      link.SetHello(HelloOf("b"));
    }
    EXPECT_EQ(NextEvent(), "down");
  }
  EXPECT_EQ(NextEvent(), "welcomed");
  EXPECT_EQ(coordinator.last_hello(), "b");
}

TEST_F(LinkTest, WhoIsRefusedTellsNothingAndTriesANewHelloAtOnce) {
  Coordinator coordinator;
  coordinator.Refuse({grpc::StatusCode::FAILED_PRECONDITION, "another cluster"});
  Link link(coordinator.address(), Plain(), inbox_);
  link.SetHello(HelloOf("a"));
  ASSERT_TRUE(coordinator.WaitHellos(1));
  coordinator.Refuse(grpc::Status::OK);
  const auto since = std::chrono::steady_clock::now();
  link.SetHello(HelloOf("b"));
  EXPECT_EQ(NextEvent(), "welcomed");
  EXPECT_LT(std::chrono::steady_clock::now() - since, seconds(4));
  EXPECT_EQ(coordinator.last_hello(), "b");
}

TEST_F(LinkTest, ASilentLinkSaysHeartbeats) {
  Coordinator coordinator;
  Link link(coordinator.address(), Plain(), inbox_);
  link.SetHello(HelloOf("a"));
  const auto since = std::chrono::steady_clock::now();
  EXPECT_TRUE(coordinator.WaitMessages(3));
  EXPECT_GE(std::chrono::steady_clock::now() - since, 2 * Link::kHeartbeat);
}

TEST_F(LinkTest, WhatGathersDuringAWriteGoesTogetherAndInOrder) {
  constexpr uint64_t kRequests = 2000;
  Coordinator coordinator(/*listens=*/false);
  Link link(coordinator.address(), Plain(), inbox_);
  link.SetHello(HelloOf("a"));
  ASSERT_EQ(NextEvent(), "welcomed");
  FillWindow(link);
  for (uint64_t request = 1; request <= kRequests; ++request) {
    v1::AgentMessage message = Asking(request);
    link.Send(&message);
    EXPECT_EQ(message.registers_size(), 0);
  }
  coordinator.Listen();
  ASSERT_TRUE(coordinator.WaitRequest(kRequests));
  std::vector<uint64_t> heard = coordinator.requests();
  std::erase(heard, 0u);
  ASSERT_EQ(heard.size(), kRequests);
  for (uint64_t i = 0; i < kRequests; ++i) ASSERT_EQ(heard[i], i + 1);
  EXPECT_LT(coordinator.messages(), kRequests / 2);
}

TEST_F(LinkTest, ACoordinatorThatHearsNothingCostsBoundedMemory) {
  constexpr uint64_t kEach = 1000;
  constexpr uint64_t kSends = 4 * LinkStream::kOutgoingItemsMax / kEach;
  Coordinator coordinator(/*listens=*/false);
  Link link(coordinator.address(), Plain(), inbox_);
  link.SetHello(HelloOf("a"));
  ASSERT_EQ(NextEvent(), "welcomed");
  FillWindow(link);
  for (uint64_t send = 0; send < kSends; ++send) {
    v1::AgentMessage message;
    for (uint64_t i = 0; i < kEach; ++i) message.add_registers()->set_request_id(1);
    link.Send(&message);
    EXPECT_EQ(message.registers_size(), 0);
  }
  coordinator.Listen();
  // Whatever is said once there is room again is heard; what was too much is not.
  const auto until = std::chrono::steady_clock::now() + kPatience;
  do {
    v1::AgentMessage last = Asking(2);
    link.Send(&last);
  } while (!coordinator.WaitRequest(2, milliseconds(100)) &&
           std::chrono::steady_clock::now() < until);
  std::vector<uint64_t> heard = coordinator.requests();
  EXPECT_EQ(heard.back(), 2u);
  // As many as may gather, and as many under way.
  EXPECT_LE(std::count(heard.begin(), heard.end(), 1u), 2 * LinkStream::kOutgoingItemsMax);
  EXPECT_GE(std::count(heard.begin(), heard.end(), 1u), LinkStream::kOutgoingItemsMax / 2);
}

TEST_F(LinkTest, EndsThoughTheCoordinatorHearsNothing) {
  Coordinator coordinator(/*listens=*/false);
  std::optional<Link> link;
  link.emplace(coordinator.address(), Plain(), inbox_);
  link->SetHello(HelloOf("a"));
  ASSERT_EQ(NextEvent(), "welcomed");
  FillWindow(*link);
  const auto since = std::chrono::steady_clock::now();
  link.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - since, seconds(5));
  EXPECT_EQ(NextEvent(), "said");
  EXPECT_EQ(NextEvent(), "down");
}

TEST_F(LinkTest, EndsWhileOthersSpeak) {
  Coordinator coordinator;
  for (int round = 0; round < 20; ++round) {
    std::optional<Link> link;
    link.emplace(coordinator.address(), Plain(), inbox_);
    link->SetHello(HelloOf("a"));
    ASSERT_EQ(NextEvent(), "welcomed");
    ASSERT_EQ(NextEvent(), "said");
    std::thread speaker([&] {
      for (uint64_t i = 0; i < 200; ++i) {
        v1::AgentMessage message = Asking(i);
        link->Send(&message);
        if (i == 100) link->Stop();
      }
    });
    if (round % 2 == 0) coordinator.Drop();
    speaker.join();
    link.reset();
    // Dropped, it may have been welcomed anew before it was stopped.
    std::string last;
    while (HasEvent()) last = NextEvent();
    EXPECT_EQ(last, "down");
  }
}

}  // namespace
}  // namespace assent::agent
