// Honest nodes, with and without TLS.
#include "txlog/transport/transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "base/mutant.h"
#include "tests/txlog/transport/test_certificates.h"
#include "tests/txlog/transport/test_node.h"

namespace assent::txlog {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::HasSubstr;

class TransportTest : public ::testing::TestWithParam<bool> {
 protected:
  TransportOptions Options(MemberId member) {
    TransportOptions options = TestOptions(member);
    if (!GetParam()) return options;
    if (!certificates_) certificates_.emplace();
    options.tls = certificates_->Node("IP:127.0.0.1,DNS:localhost");
    return options;
  }
  // Each knows the other, and is up at the other.
  static void Join(TestNode& a, TestNode& b) {
    ASSERT_TRUE(a->SetPeers({b.AsPeer()}).ok());
    ASSERT_TRUE(b->SetPeers({a.AsPeer()}).ok());
    ASSERT_TRUE(a.owner().WaitUp(b.AsPeer().member));
    ASSERT_TRUE(b.owner().WaitUp(a.AsPeer().member));
  }
  // Until there is room.
  static void SendSurely(TestNode& from, MemberId to, const std::string& text) {
    SendResult result = SendResult::kFull;
    ASSERT_TRUE(Eventually([&] {
      result = from->Send(to, Message(text));
      return result != SendResult::kFull;
    }));
    ASSERT_EQ(result, SendResult::kQueued);
  }

 private:
  std::optional<TestCertificates> certificates_;
};

INSTANTIATE_TEST_SUITE_P(All, TransportTest, ::testing::Bool(),
                         [](const auto& of) { return of.param ? "Tls" : "Plain"; });

TEST_P(TransportTest, MessagesGoBothWays) {
  TestNode a(Options(1));
  TestNode b(Options(2));
  Join(a, b);
  EXPECT_EQ(a.owner().incarnation_of(2), b->incarnation());
  EXPECT_EQ(a->Send(2, Message("ping")), SendResult::kQueued);
  ASSERT_TRUE(b.owner().WaitMessages(1));
  const auto ping = b.owner().Take();
  EXPECT_EQ(ping[0].from, 1u);
  EXPECT_EQ(ping[0].bytes, "ping");
  EXPECT_EQ(b->Send(1, Message({std::make_shared<const std::string>("po"),
                                std::make_shared<const std::string>("ng")})),
            SendResult::kQueued);
  EXPECT_EQ(b->Send(1, Message("")), SendResult::kQueued);
  ASSERT_TRUE(a.owner().WaitMessages(2));
  const auto pong = a.owner().Take();
  EXPECT_EQ(pong[0].bytes, "pong");
  EXPECT_EQ(pong[1].bytes, "");

  const PeerCounters& counters = b.counters(1);
  EXPECT_TRUE(Eventually([&] { return counters.messages_in.value() == 1; }));
  EXPECT_TRUE(Eventually([&] { return counters.messages_out.value() == 2; }))
      << "counted behind the write, so perhaps after its arrival";
  EXPECT_EQ(counters.connects.value(), 1u);
  EXPECT_EQ(counters.up.value(), 1);
  EXPECT_GE(counters.bytes_in.value(), 16u);
  EXPECT_EQ(a->Send(3, Message("nobody")), SendResult::kDown);
}

TEST_P(TransportTest, OrderIsKeptUnderLoad) {
  constexpr int kThreads = 3;
  const int kMessages = 10'000;
  TestNode a(Options(1));
  TestNode b(Options(2));
  Join(a, b);
  std::vector<std::thread> senders;
  for (int thread = 0; thread < kThreads; ++thread) {
    senders.emplace_back([&, thread] {
      for (int i = 0; i < kMessages; ++i) {
        std::string text = std::to_string(thread) + " " + std::to_string(i) + " ";
        // Mostly small ones, some larger than a record of TLS or the reader's buffer.
        text.append(i % 1000 == 999 ? 100'000 : i % 50, 'x');
        SendSurely(a, 2, text);
      }
    });
  }
  ASSERT_TRUE(b.owner().WaitMessages(size_t{kThreads} * kMessages));
  for (std::thread& sender : senders) sender.join();
  int next[kThreads] = {};
  for (const auto& message : b.owner().Take()) {
    int thread = 0;
    int number = 0;
    ASSERT_EQ(std::sscanf(message.bytes.c_str(), "%d %d", &thread, &number), 2);
    ASSERT_EQ(number, next[thread]++);
    ASSERT_EQ(message.bytes.size() - message.bytes.rfind(' ') - 1,
              static_cast<size_t>(number % 1000 == 999 ? 100'000 : number % 50));
  }
  EXPECT_EQ(a.owner().ups(), 1u) << "the connection never broke";
}

TEST_P(TransportTest, ALargeMessageArrivesWholeAndALargerOneIsNotSent) {
  TransportOptions options = Options(1);
  TestNode a(options);
  TestNode b(Options(2));
  Join(a, b);
  std::string large(options.message_bytes_max, '\0');
  for (size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 31 >> 3);
  EXPECT_EQ(a->Send(2, Message(large + "x")), SendResult::kTooLarge);
  EXPECT_EQ(a->Send(2, Message(large)), SendResult::kQueued);
  EXPECT_EQ(a->Send(2, Message("behind it")), SendResult::kQueued);
  ASSERT_TRUE(b.owner().WaitMessages(2));
  const auto messages = b.owner().Take();
  EXPECT_TRUE(messages[0].bytes == large);
  EXPECT_EQ(messages[1].bytes, "behind it");
}

TEST_P(TransportTest, ANodeThatComesBackIsConnectedAgain) {
  TestNode a(Options(1));
  TransportOptions options = Options(2);
  auto b = std::make_unique<TestNode>(options);
  Join(a, *b);
  const uint64_t first_life = a.owner().incarnation_of(2);
  options.listen = b->AsPeer().address;
  b.reset();
  ASSERT_TRUE(a.owner().WaitDown(2));
  EXPECT_EQ(a->Send(2, Message("lost")), SendResult::kDown);
  ASSERT_TRUE(Eventually([&] { return a.counters(2).failures.value() >= 3; }))
      << "it must go on trying";
  options.peers = {a.AsPeer()};
  TestNode again(options);
  ASSERT_TRUE(a.owner().WaitUp(2));
  EXPECT_NE(a.owner().incarnation_of(2), first_life);
  EXPECT_EQ(a->Send(2, Message("welcome back")), SendResult::kQueued);
  ASSERT_TRUE(again.owner().WaitMessages(1));
  EXPECT_EQ(again.owner().Take()[0].bytes, "welcome back");
}

TEST_P(TransportTest, APeerThatIsHeardOfIsDialledAtOnce) {
  TransportOptions patient = Options(1);
  patient.backoff_min = patient.backoff_max = std::chrono::minutes(2);
  TestNode a(patient);
  TestNode b(Options(2));
  ASSERT_TRUE(a->SetPeers({b.AsPeer()}).ok());
  ASSERT_TRUE(Eventually([&] { return a.counters(2).failures.value() == 1; })) << "b knows no a";
  ASSERT_TRUE(b->SetPeers({a.AsPeer()}).ok());
  EXPECT_TRUE(a.owner().WaitUp(2)) << "long before its next attempt is due";
}

TEST_P(TransportTest, WhatWaitsForASlowPeerIsBoundedAndNothingQueuedIsLost) {
  TransportOptions options = Options(1);
  options.queue_bytes_max = 1 << 20;
  options.message_bytes_max = 64 << 10;
  options.silence_max = milliseconds(1000);
  TransportOptions other = Options(2);
  other.message_bytes_max = 64 << 10;
  other.silence_max = milliseconds(1000);
  TestNode a(options);
  TestNode b(other);
  Join(a, b);
  b.owner().SetRoom(5);

  // Until the sockets' own buffers and ours are full, and stay so.
  int queued = 0;
  int full = 0;
  const std::string padding(10'000, 'x');
  while (full < 100) {
    switch (a->Send(2, Message(std::to_string(queued) + " " + padding))) {
      case SendResult::kQueued:
        ++queued;
        full = 0;
        break;
      case SendResult::kFull:
        ++full;
        std::this_thread::yield();
        break;
      case SendResult::kDown:
      case SendResult::kTooLarge:
        FAIL();
    }
    ASSERT_LT(queued, 20'000) << "nothing bounds it";
    ASSERT_LE(a.counters(2).queued_bytes.value(), 1 << 20);
  }
  const uint64_t refused = a.counters(2).messages_dropped.value();
  EXPECT_GE(refused, 100u);
  ASSERT_TRUE(b.owner().WaitRefused());

  // A peer that reads nothing is no dead peer, however long it takes.
  const auto until = std::chrono::steady_clock::now() + milliseconds(1500);
  ASSERT_TRUE(Eventually([&] { return std::chrono::steady_clock::now() > until; }));
  ASSERT_TRUE(b.owner().WaitMessages(5));
  int next = 0;
  b.owner().SetRoom(SIZE_MAX);
  b->Resume();
  ASSERT_TRUE(b.owner().WaitMessages(static_cast<size_t>(queued)));
  for (const auto& message : b.owner().Take()) {
    ASSERT_EQ(std::stoi(message.bytes), next++);
  }
  EXPECT_EQ(a.owner().ups(), 1u);
  ASSERT_TRUE(Eventually([&] { return a.counters(2).queued_bytes.value() == 0; }));
  EXPECT_TRUE(Eventually(
      [&] { return a.counters(2).messages_out.value() == static_cast<uint64_t>(queued); }));
  EXPECT_EQ(a.counters(2).messages_dropped.value(), refused);
}

TEST_P(TransportTest, WhatABrokenConnectionHeldIsCountedAsDropped) {
  TestNode a(Options(1));
  auto b = std::make_unique<TestNode>(Options(2));
  Join(a, *b);
  b->owner().SetRoom(0);
  uint64_t sent = 0;
  while (a.counters(2).queued_bytes.value() < 20 << 20) {
    if (a->Send(2, Message(std::string(1 << 20, 'x'))) == SendResult::kQueued) ++sent;
    ASSERT_LT(sent, 1000u);
  }
  b.reset();
  ASSERT_TRUE(a.owner().WaitDown(2));
  const PeerCounters& counters = a.counters(2);
  EXPECT_GE(counters.messages_dropped.value(), 10u);
  EXPECT_EQ(counters.messages_out.value() + counters.messages_dropped.value(), sent);
  EXPECT_EQ(counters.queued_bytes.value(), 0);
}

TEST_P(TransportTest, OwnersThatAreFullAgainAndAgainLoseNothing) {
  TestNode a(Options(1));
  TestNode b(Options(2));
  Join(a, b);
  b.owner().SetRoom(1);
  constexpr int kMessages = 2'000;
  for (int i = 0; i < kMessages; ++i) SendSurely(a, 2, std::to_string(i));
  for (int next = 0; next < kMessages;) {
    ASSERT_TRUE(b.owner().WaitMessages(1)) << next;
    for (const auto& message : b.owner().Take()) ASSERT_EQ(message.bytes, std::to_string(next++));
    b->Resume();
  }
}

#if defined(ASSENT_FAILPOINTS)
TEST_P(TransportTest, ASeededBugThatDropsWhatTheOwnerRefusesIsCaught) {
  TestNode a(Options(1));
  TestNode b(Options(2));
  Join(a, b);
  ScopedMutant mutant(Mutant::kFullOwnerIgnored);
  b.owner().SetRoom(1);
  for (int i = 0; i < 100; ++i) SendSurely(a, 2, std::to_string(i));
  ASSERT_TRUE(Eventually([&] { return b.counters(1).messages_in.value() == 100; }));
  EXPECT_EQ(b.owner().Take().size(), 1u) << "the test above waits for the others in vain";
}
#endif

TEST_P(TransportTest, PeersComeAndGoAndOthersStay) {
  TestNode a(Options(1));
  TestNode b(Options(2));
  TestNode c(Options(3));
  Join(a, b);
  ASSERT_TRUE(c->SetPeers({a.AsPeer()}).ok());
  ASSERT_TRUE(Eventually([&] { return c.counters(1).failures.value() > 0; }))
      << "a does not know c";
  EXPECT_GT(a->counters().refused().value(), 0u);
  ASSERT_TRUE(a->SetPeers({b.AsPeer(), c.AsPeer()}).ok());
  ASSERT_TRUE(a.owner().WaitUp(3));
  ASSERT_TRUE(c.owner().WaitUp(1));
  ASSERT_TRUE(a->SetPeers({b.AsPeer()}).ok());
  ASSERT_TRUE(a.owner().WaitDown(3));
  ASSERT_TRUE(c.owner().WaitDown(1)) << "its own connection ends too";
  EXPECT_EQ(a->Send(3, Message("x")), SendResult::kDown);
  EXPECT_EQ(a->Send(2, Message("x")), SendResult::kQueued);
  EXPECT_EQ(b.owner().ups(), 1u);
}

TEST_P(TransportTest, AMemberNobodyToldUsOfIsHeardIfThatIsWanted) {
  TransportOptions options = Options(1);
  options.accept_strangers = true;
  options.stranger_certificate_name = "127.0.0.1";
  TestNode a(options);
  TransportOptions theirs = Options(2);
  theirs.advertise = "node-2.example:7401";
  TestNode b(theirs);
  ASSERT_TRUE(b->SetPeers({a.AsPeer()}).ok());
  ASSERT_TRUE(b.owner().WaitUp(1));
  ASSERT_TRUE(a.owner().WaitStranger(2));
  EXPECT_EQ(a.owner().stranger(2), "node-2.example:7401");
  EXPECT_EQ(b->Send(1, Message("I lead")), SendResult::kQueued);
  ASSERT_TRUE(a.owner().WaitMessages(1));
  EXPECT_EQ(a->Send(2, Message("x")), SendResult::kDown) << "until it is a peer";
  ASSERT_TRUE(a->SetPeers({b.AsPeer()}).ok());
  ASSERT_TRUE(b->SetPeers({a.AsPeer()}).ok());
  ASSERT_TRUE(a.owner().WaitUp(2));
}

TEST_P(TransportTest, HostsWithNamesAreLookedUp) {
  TestNode a(Options(1));
  TestNode b(Options(2));
  Peer by_name = b.AsPeer();
  by_name.address = "localhost:" + std::to_string(b->port());
  ASSERT_TRUE(b->SetPeers({a.AsPeer()}).ok());
  ASSERT_TRUE(a->SetPeers({by_name}).ok());
  EXPECT_TRUE(a.owner().WaitUp(2));
}

TEST_P(TransportTest, PeersThatCannotBeAreNamed) {
  TestNode a(Options(1));
  const auto problem = [&](std::vector<Peer> peers) {
    return a->SetPeers(std::move(peers)).message();
  };
  EXPECT_THAT(problem({{0, "127.0.0.1:1", ""}}), HasSubstr("member 0"));
  EXPECT_THAT(problem({{1, "127.0.0.1:1", ""}}), HasSubstr("our own"));
  EXPECT_THAT(problem({{2, "127.0.0.1:1", ""}, {2, "127.0.0.1:2", ""}}), HasSubstr("twice"));
  EXPECT_THAT(problem({{2, "127.0.0.1", ""}}), HasSubstr("HOST:PORT"));
  EXPECT_THAT(problem({{2, "127.0.0.1:0", ""}}), HasSubstr("1 to 65535"));
}

TEST(TransportOptionsTest, WithoutCertificatesNothingLeavesLoopback) {
  Owner owner;
  TransportOptions options = TestOptions(1);
  options.listen = "0.0.0.0:0";
  const auto refused = Transport::Start(options, owner);
  EXPECT_EQ(refused.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(refused.status().message(),
              AllOf(HasSubstr("peer_listen"), HasSubstr("0.0.0.0:0"), HasSubstr("tls_cert_file")));
  TestNode a(TestOptions(1));
  const Status far = a->SetPeers({{2, "10.1.2.3:7401", ""}});
  EXPECT_EQ(far.code(), Code::kFailedPrecondition);
  EXPECT_THAT(far.message(), AllOf(HasSubstr("10.1.2.3:7401"), HasSubstr("tls_cert_file")));
}

TEST(TransportOptionsTest, WhatCannotWorkIsNamed) {
  Owner owner;
  const auto problem = [&](void (*change)(TransportOptions&)) {
    TransportOptions options = TestOptions(1);
    change(options);
    return Transport::Start(options, owner).status().message();
  };
  EXPECT_THAT(problem([](TransportOptions& o) { o.member = 0; }), HasSubstr("member"));
  EXPECT_THAT(problem([](TransportOptions& o) { o.cluster_uuid = ""; }), HasSubstr("cluster_uuid"));
  EXPECT_THAT(problem([](TransportOptions& o) { o.queue_bytes_max = 1; }),
              HasSubstr("queue_bytes"));
  EXPECT_THAT(problem([](TransportOptions& o) { o.silence_max = o.heartbeat_interval; }),
              HasSubstr("silence_max"));
  EXPECT_THAT(problem([](TransportOptions& o) {
                o.peers = {{1, "127.0.0.1:1", ""}};
              }),
              HasSubstr("our own"));
  EXPECT_THAT(problem([](TransportOptions& o) { o.listen = "unix:/tmp/x"; }), HasSubstr("unix"));
  TestNode first(TestOptions(1));
  TransportOptions taken = TestOptions(2);
  taken.listen = first.AsPeer().address;
  EXPECT_EQ(Transport::Start(taken, owner).status().code(), Code::kAlreadyExists);
}

}  // namespace
}  // namespace assent::txlog
