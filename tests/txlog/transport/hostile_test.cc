// What no honest peer sends, or leaves out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "base/mutant.h"
#include "tests/txlog/transport/raw_peer.h"
#include "tests/txlog/transport/test_node.h"

namespace assent::txlog {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

const Peer kTwo = {.member = 2, .address = "127.0.0.1:1", .certificate_name = ""};

size_t CountOf(const std::string& what, const std::string& text) {
  size_t count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

std::string Text(const std::string& payload) { return EncodeFrame(FrameType::kMessage, payload); }

class HostileTest : public ::testing::Test {
 protected:
  // Member 1, which has member 2 in its list.
  static TransportOptions Options() {
    TransportOptions options = TestOptions(1);
    options.message_bytes_max = 100'000;
    return options;
  }
  void SetUp() override { Expect(kTwo); }
  void Expect(const Peer& peer) { ASSERT_TRUE(node_->SetPeers({peer}).ok()); }

  static Hello HelloOf(uint64_t attempt) {
    Hello hello = TestHello(kTestCluster);
    hello.attempt = attempt;
    return hello;
  }
  // What a Hello is answered with.
  std::optional<Refusal> RefusalOf(const Hello& hello) {
    RawPeer peer = RawPeer::Dial(node_->port());
    EXPECT_TRUE(peer.Write(EncodeFrame(FrameType::kHello, EncodeHello(hello))));
    const std::optional<Frame> answer = peer.Read();
    if (!answer || answer->type != FrameType::kRefusal) return std::nullopt;
    EXPECT_TRUE(peer.Ends());
    return *DecodeRefusal(answer->payload);
  }

  TestNode node_{Options()};
};

TEST_F(HostileTest, GarbageEndsTheConnectionAndNothingElse) {
  RawPeer good = Greeted(node_->port(), HelloOf(1));
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\nHost: here\r\n\r\n"), std::string(10'000, '\0'),
        std::string(10'000, '\xff'), EncodeFrame(FrameType::kHello, "not a hello, really not"),
        EncodeFrame(FrameType::kMessage, "before hello"), EncodeFrame(FrameType::kWelcome, ""),
        EncodeFrame(FrameType::kHello, std::string(kHandshakeBytesMax + 1, 'x'))}) {
    RawPeer bad = RawPeer::Dial(node_->port());
    bad.Write(bytes);
    EXPECT_TRUE(bad.Ends()) << bytes.substr(0, 20);
  }
  ASSERT_TRUE(good.Write(Text("still here")));
  ASSERT_TRUE(node_.owner().WaitMessages(1));
  EXPECT_EQ(node_.owner().Take()[0].bytes, "still here");
}

TEST_F(HostileTest, ABadFrameEndsTheConnectionBehindTheGoodOnes) {
  std::string changed = Text("changed");
  changed.back() = 'D';
  const std::string not_allowed[] = {changed, Text(std::string(100'001, 'x')),
                                     EncodeFrame(FrameType::kHello, EncodeHello(HelloOf(9))),
                                     EncodeFrame(FrameType::kRefusal, "")};
  uint64_t attempt = 0;
  for (const std::string& bad : not_allowed) {
    RawPeer peer = Greeted(node_->port(), HelloOf(++attempt));
    peer.Write(Text("good") + bad + Text("behind"));
    EXPECT_TRUE(peer.Ends());
    ASSERT_TRUE(node_.owner().WaitMessages(1));
    const auto messages = node_.owner().Take();
    ASSERT_EQ(messages.size(), 1u);
    EXPECT_EQ(messages[0].bytes, "good");
  }
}

TEST_F(HostileTest, FramesMayComeInAnyPieces) {
  RawPeer peer = RawPeer::Dial(node_->port());
  std::string stream = EncodeFrame(FrameType::kHello, EncodeHello(HelloOf(1)));
  for (char byte : stream) ASSERT_TRUE(peer.Write(std::string(1, byte)));
  ASSERT_EQ(peer.Read()->type, FrameType::kWelcome);
  stream.clear();
  for (int i = 0; i < 1000; ++i) stream += Text(std::to_string(i));
  ASSERT_TRUE(peer.Write(stream));
  for (char byte : Text("slowly")) ASSERT_TRUE(peer.Write(std::string(1, byte)));
  ASSERT_TRUE(node_.owner().WaitMessages(1001));
  const auto messages = node_.owner().Take();
  for (size_t i = 0; i < 1000; ++i) ASSERT_EQ(messages[i].bytes, std::to_string(i));
  EXPECT_EQ(messages[1000].bytes, "slowly");
}

TEST_F(HostileTest, WhoDoesNotBelongHereIsToldWhyAndLoggedOnce) {
  ::testing::internal::CaptureStderr();
  Hello hello = HelloOf(1);
  hello.cluster_uuid = "another-cluster";
  for (int i = 0; i < 3; ++i) {
    const auto refusal = RefusalOf(hello);
    ASSERT_TRUE(refusal);
    EXPECT_EQ(refusal->reason, RefusalReason::kCluster);
    EXPECT_THAT(refusal->text, HasSubstr("another-cluster"));
  }
  hello = HelloOf(1);
  hello.version = 9;
  EXPECT_EQ(RefusalOf(hello)->reason, RefusalReason::kVersion);
  hello = HelloOf(1);
  hello.to = 5;
  EXPECT_EQ(RefusalOf(hello)->reason, RefusalReason::kReceiver);
  hello = HelloOf(1);
  hello.from = 6;
  EXPECT_EQ(RefusalOf(hello)->reason, RefusalReason::kMember);
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(CountOf("reason=cluster", log), 1u) << log;
  EXPECT_EQ(CountOf("peer_refused", log), 4u) << log;
  EXPECT_EQ(node_->counters().refused().value(), 6u);
}

#if defined(ASSENT_FAILPOINTS)
TEST_F(HostileTest, ASeededBugThatTakesAnyClusterIsCaught) {
  ScopedMutant mutant(Mutant::kAnyCluster);
  Hello hello = HelloOf(1);
  hello.cluster_uuid = "another-cluster";
  EXPECT_FALSE(RefusalOf(hello));
}
#endif

// Whether what an older connection says is heard after a newer one has been welcomed.
bool OldConnectionIsHeard(TestNode& node, const Hello& first, const Hello& second) {
  RawPeer older = Greeted(node->port(), first);
  EXPECT_TRUE(older.Write(Text("first")));
  EXPECT_TRUE(node.owner().WaitMessages(1));
  RawPeer newer = Greeted(node->port(), second);
  older.Write(Text("late"));
  const bool ended = older.Ends(milliseconds(500));
  EXPECT_TRUE(newer.Write(Text("last")));
  while (true) {
    EXPECT_TRUE(node.owner().WaitMessages(1));
    for (const auto& message : node.owner().Take()) {
      if (message.bytes == "late") return true;
      if (message.bytes == "last") return !ended;
    }
  }
}

TEST_F(HostileTest, ANewerConnectionReplacesTheOlderOne) {
  EXPECT_FALSE(OldConnectionIsHeard(node_, HelloOf(1), HelloOf(2)));
  EXPECT_EQ(RefusalOf(HelloOf(2))->reason, RefusalReason::kOld) << "one that was on its way long";
  EXPECT_EQ(RefusalOf(HelloOf(1))->reason, RefusalReason::kOld);
  Hello next_life = HelloOf(1);
  next_life.incarnation = 78;
  EXPECT_FALSE(OldConnectionIsHeard(node_, HelloOf(3), next_life));
}

#if defined(ASSENT_FAILPOINTS)
TEST_F(HostileTest, ASeededBugThatKeepsTheOlderConnectionIsCaught) {
  ScopedMutant mutant(Mutant::kOldConnectionKept);
  EXPECT_TRUE(OldConnectionIsHeard(node_, HelloOf(1), HelloOf(2)));
}
#endif

class SilenceTest : public HostileTest {
 protected:
  static TransportOptions Impatient() {
    TransportOptions options = Options();
    options.silence_max = milliseconds(200);
    options.greeting_max = milliseconds(700);
    return options;
  }
  void SetUp() override { ASSERT_TRUE(impatient_->SetPeers({kTwo}).ok()); }
  void Dial(const RawListener& listener) {
    Peer peer = kTwo;
    peer.address = "127.0.0.1:" + std::to_string(listener.port());
    ASSERT_TRUE(impatient_->SetPeers({peer}).ok());
  }
  static std::string WelcomeOf(MemberId member) {
    Welcome welcome;
    welcome.cluster_uuid = kTestCluster;
    welcome.from = member;
    welcome.incarnation = 3;
    return EncodeFrame(FrameType::kWelcome, EncodeWelcome(welcome));
  }

  TestNode impatient_{Impatient()};
};

TEST_F(SilenceTest, WhoGoesSilentIsLeft) {
  RawPeer peer = Greeted(impatient_->port(), HelloOf(1));
  EXPECT_TRUE(peer.Ends());
}

TEST_F(SilenceTest, WhoIsSilentFromTheStartIsLeft) {
  RawPeer peer = RawPeer::Dial(impatient_->port());
  EXPECT_TRUE(peer.Ends());
}

TEST_F(SilenceTest, HeartbeatsKeepAConnection) {
  TransportOptions options = Options();
  options.silence_max = milliseconds(1000);
  options.peers = {kTwo};
  TestNode node(options);
  RawPeer peer = Greeted(node->port(), HelloOf(1));
  const auto until = std::chrono::steady_clock::now() + milliseconds(1500);
  while (std::chrono::steady_clock::now() < until) {
    ASSERT_TRUE(peer.Write(EncodeFrame(FrameType::kHeartbeat, "")));
    ASSERT_FALSE(peer.Ends(milliseconds(20)));
  }
}

TEST_F(SilenceTest, APeerThatGoesSilentIsDialledAgain) {
  RawListener listener;
  Dial(listener);
  for (size_t life = 1; life <= 2; ++life) {
    RawPeer peer = listener.Accept();
    ASSERT_EQ(peer.Read()->type, FrameType::kHello);
    ASSERT_TRUE(peer.Write(WelcomeOf(2)));
    ASSERT_TRUE(impatient_.owner().WaitUps(life));
    ASSERT_TRUE(impatient_.owner().WaitDowns(life));
    EXPECT_TRUE(peer.Ends());
  }
}

#if defined(ASSENT_FAILPOINTS)
TEST_F(SilenceTest, ASeededBugThatIgnoresSilenceIsCaught) {
  ScopedMutant mutant(Mutant::kSilenceIgnored);
  RawPeer peer = Greeted(impatient_->port(), HelloOf(1));
  EXPECT_FALSE(peer.Ends(milliseconds(1000)));
}
#endif

TEST_F(SilenceTest, WhoNeverAnswersIsDialledAgain) {
  RawListener listener;
  Dial(listener);
  RawPeer first = listener.Accept();
  RawPeer second = listener.Accept();
  EXPECT_EQ(first.Read()->type, FrameType::kHello);
  EXPECT_TRUE(first.Ends());
  EXPECT_EQ(DecodeHello(second.Read()->payload)->attempt, 2u);
  EXPECT_EQ(impatient_.owner().ups(), 0u);
}

TEST_F(SilenceTest, ABlackHoleIsGivenUpAndTriedAgain) {
  // One more connection than the backlog holds: the system answers nothing from then on.
  RawListener hole(0);
  RawPeer filler = RawPeer::Dial(hole.port());
  Dial(hole);
  const auto from = std::chrono::steady_clock::now();
  ASSERT_TRUE(Eventually([&] { return impatient_.counters(2).failures.value() >= 2; }));
  EXPECT_GE(std::chrono::steady_clock::now() - from, milliseconds(700));
  EXPECT_EQ(impatient_.owner().ups(), 0u);
}

TEST_F(SilenceTest, AnAnswerOfAnotherMemberIsNoPeer) {
  RawListener listener;
  Dial(listener);
  for (int i = 0; i < 2; ++i) {
    RawPeer peer = listener.Accept();
    ASSERT_EQ(peer.Read()->type, FrameType::kHello);
    ASSERT_TRUE(peer.Write(WelcomeOf(4)));
    EXPECT_TRUE(peer.Ends());
  }
  EXPECT_EQ(impatient_.owner().ups(), 0u);
}

TEST_F(SilenceTest, ARefusalIsLoggedOnceWithItsTextAndRetriedWithPatience) {
  ::testing::internal::CaptureStderr();
  RawListener listener;
  Dial(listener);
  for (int i = 0; i < 4; ++i) {
    RawPeer peer = listener.Accept();
    ASSERT_EQ(peer.Read()->type, FrameType::kHello);
    ASSERT_TRUE(peer.Write(EncodeFrame(
        FrameType::kRefusal, EncodeRefusal({RefusalReason::kMember, "who are you? Go away"}))));
    EXPECT_TRUE(peer.Ends());
  }
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(CountOf("who are you? Go away", log), 1u) << log;
}

TEST_F(HostileTest, ManyWhoSayNothingDoNotKeepAPeerOut) {
  std::vector<RawPeer> idle;
  for (int i = 0; i < 200; ++i) idle.push_back(RawPeer::Dial(node_->port()));
  RawPeer peer = Greeted(node_->port(), HelloOf(1));
  ASSERT_TRUE(peer.Write(Text("here")));
  EXPECT_TRUE(node_.owner().WaitMessages(1));
  EXPECT_TRUE(idle[0].Ends(milliseconds(1000))) << "the oldest ones make room";
}

TEST_F(HostileTest, APeerThatReadsNothingCostsBoundedMemory) {
  RawListener listener;
  Peer peer = kTwo;
  peer.address = "127.0.0.1:" + std::to_string(listener.port());
  TransportOptions options = Options();
  options.member = 3;
  options.queue_bytes_max = 1 << 20;
  TestNode node(options);
  ASSERT_TRUE(node->SetPeers({peer}).ok());
  RawPeer other = listener.Accept();
  ASSERT_EQ(other.Read()->type, FrameType::kHello);
  Welcome welcome;
  welcome.cluster_uuid = kTestCluster;
  welcome.from = 2;
  ASSERT_TRUE(other.Write(EncodeFrame(FrameType::kWelcome, EncodeWelcome(welcome))));
  ASSERT_TRUE(node.owner().WaitUp(2));
  // It says that it lives, and takes nothing.
  int queued = 0;
  for (int full = 0; full < 1000;) {
    if (node->Send(2, Message(std::string(50'000, 'x'))) == SendResult::kQueued) {
      ++queued;
      full = 0;
    } else {
      ++full;
    }
    ASSERT_LT(queued, 10'000) << "nothing bounds it";
  }
  EXPECT_LE(node.counters(2).queued_bytes.value(), 1 << 20);
}

}  // namespace
}  // namespace assent::txlog
