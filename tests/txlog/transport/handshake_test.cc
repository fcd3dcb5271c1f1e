#include "txlog/transport/handshake.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/txlog/transport/raw_peer.h"

namespace assent::txlog {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const LocalNode kUs = {"cluster-a", 1, 5, {.first_members = 123, .directory = 7}};

TEST(HandshakeTest, WhatIsWrittenIsRead) {
  Hello hello = TestHello("cluster-a");
  hello.origin = {.first_members = 0xffff'ffff, .directory = ~uint64_t{0}};
  EXPECT_EQ(*DecodeHello(EncodeHello(hello)), hello);
  Welcome welcome;
  welcome.cluster_uuid = "cluster-a";
  welcome.from = 3;
  welcome.incarnation = ~uint64_t{0};
  welcome.origin = {.first_members = 1, .directory = 2};
  EXPECT_EQ(*DecodeWelcome(EncodeWelcome(welcome)), welcome);
  const Refusal refusal{RefusalReason::kCertificate, "why, and what to do"};
  EXPECT_EQ(*DecodeRefusal(EncodeRefusal(refusal)), refusal);
}

// docs/transport.md: what every version writes alike. If this fails, old releases can't read it.
TEST(HandshakeTest, TheBytesOfVersion2NeverChange) {
  using std::string_literals::operator""s;
  const std::string refusal =
      "ASNTPEER"
      "\x02\0\0\0"
      "\x02"
      "\x03\0"
      "why"s;
  EXPECT_EQ(EncodeRefusal({RefusalReason::kCluster, "why"}), refusal);
  Hello hello = TestHello("ab");
  hello.attempt = 0x0102;
  hello.address = "h:1";
  hello.origin = {.first_members = 0x0304, .directory = 5};
  EXPECT_EQ(EncodeHello(hello),
            "ASNTPEER"
            "\x02\0\0\0"
            "\x02\0"
            "ab"
            "\x02\0\0\0\0\0\0\0"
            "\x4d\0\0\0\0\0\0\0"
            "\x01\0\0\0\0\0\0\0"
            "\x02\x01\0\0\0\0\0\0"
            "\x03\0"
            "h:1"
            "\x04\x03\0\0\0\0\0\0"
            "\x05\0\0\0\0\0\0\0"s);
  EXPECT_EQ(EncodeFrame(FrameType::kHeartbeat, ""),
            "\xc1\x29\x4f\x2a"
            "\0\0\0\0"
            "\x05\0\0\0"s);
}

TEST(HandshakeTest, WhatIsCutShortOrTooLongIsNothing) {
  const std::string hello = EncodeHello(TestHello("cluster-a"));
  for (size_t bytes = 0; bytes < hello.size(); ++bytes) {
    EXPECT_EQ(DecodeHello(hello.substr(0, bytes)).status().code(), Code::kInvalidArgument) << bytes;
  }
  EXPECT_FALSE(DecodeHello(hello + "x").ok());
  EXPECT_FALSE(DecodeWelcome("").ok());
  EXPECT_FALSE(DecodeRefusal("ASNTPEER").ok());
}

TEST(HandshakeTest, AnotherVersionIsToldWhateverFollows) {
  Hello later = TestHello("cluster-a");
  later.version = 9;
  const std::string bytes = EncodeHello(later).substr(0, 12) + "fields of the future";
  const Result<Hello> hello = DecodeHello(bytes);
  ASSERT_TRUE(hello.ok());
  const auto refusal = JudgeHello(*hello, kUs, true);
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->reason, RefusalReason::kVersion);
  EXPECT_THAT(refusal->text, AllOf(HasSubstr("version 9"), HasSubstr("version 2")));
}

TEST(HandshakeTest, TextsOfOthersArePrintable) {
  const std::string bytes = EncodeRefusal({RefusalReason::kOld, "a\n\x1b[31mb\xff"});
  EXPECT_EQ(DecodeRefusal(bytes)->text, "a??[31mb?");
}

TEST(HandshakeTest, TheRightOnesAreWelcome) {
  EXPECT_FALSE(JudgeHello(TestHello("cluster-a"), kUs, true));
}

struct Case {
  const char* why;
  void (*change)(Hello&);
  bool is_peer;
  RefusalReason reason;
  const char* named;
};

class WrongHelloTest : public ::testing::TestWithParam<Case> {};

TEST_P(WrongHelloTest, IsRefusedByName) {
  Hello hello = TestHello("cluster-a");
  GetParam().change(hello);
  const auto refusal = JudgeHello(hello, kUs, GetParam().is_peer);
  ASSERT_TRUE(refusal) << GetParam().why;
  EXPECT_EQ(refusal->reason, GetParam().reason) << GetParam().why;
  EXPECT_THAT(refusal->text, HasSubstr(GetParam().named)) << GetParam().why;
}

INSTANTIATE_TEST_SUITE_P(
    All, WrongHelloTest,
    ::testing::Values(
        Case{"another cluster", [](Hello& h) { h.cluster_uuid = "cluster-b"; }, true,
             RefusalReason::kCluster, "cluster cluster-b meets cluster cluster-a"},
        Case{"meant for another node", [](Hello& h) { h.to = 3; }, true, RefusalReason::kReceiver,
             "member 3 was dialled, but member 1 answers"},
        Case{"a node with our own id", [](Hello& h) { h.from = 1; }, true, RefusalReason::kMember,
             "member 1, which is the receiver itself"},
        Case{"no id", [](Hello& h) { h.from = 0; }, true, RefusalReason::kMember, "member 0"},
        Case{"bootstrapped with others", [](Hello& h) { h.origin.first_members = 124; }, true,
             RefusalReason::kFirstMembers,
             "member 2 and member 1 were bootstrapped with different members"},
        Case{"none of ours", [](Hello& h) { h.from = 9; }, false, RefusalReason::kMember,
             "member 9 is not in the list of members"}));

TEST(HandshakeTest, WhoeverAnswersMustBeWhomWeDialled) {
  Welcome welcome;
  welcome.cluster_uuid = "cluster-a";
  welcome.from = 2;
  EXPECT_FALSE(JudgeWelcome(welcome, kUs, 2));
  EXPECT_EQ(JudgeWelcome(welcome, kUs, 3)->reason, RefusalReason::kReceiver);
  welcome.origin.first_members = 123;
  EXPECT_FALSE(JudgeWelcome(welcome, kUs, 2));
  welcome.origin.first_members = 124;
  EXPECT_EQ(JudgeWelcome(welcome, kUs, 2)->reason, RefusalReason::kFirstMembers);
  welcome.cluster_uuid = "cluster-b";
  EXPECT_EQ(JudgeWelcome(welcome, kUs, 2)->reason, RefusalReason::kCluster);
  welcome.version = 3;
  EXPECT_EQ(JudgeWelcome(welcome, kUs, 2)->reason, RefusalReason::kVersion);
}

TEST(HandshakeTest, WhoeverComesBackWithAnotherDirectoryIsRefused) {
  PeerDirectories directories;
  const Origin first{.first_members = 123, .directory = 1};
  const Origin again{.first_members = 123, .directory = 2};
  EXPECT_FALSE(directories.Judge(2, first)) << "nothing is known of it";
  directories.Remember(2, first);
  EXPECT_FALSE(directories.Judge(2, first));
  EXPECT_FALSE(directories.Judge(3, again)) << "another member";
  const auto refusal = directories.Judge(2, again);
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->reason, RefusalReason::kDirectory);
  EXPECT_THAT(refusal->text, HasSubstr("assentctl member remove 2"));
  // It ends by itself, with a better reason.
  EXPECT_FALSE(directories.Judge(2, {.first_members = 0, .directory = 3}));
}

}  // namespace
}  // namespace assent::txlog
