// Every message comes back as it went, and nothing else is taken for one.
#include "txlog/replicated/wire.h"

#include <gtest/gtest.h>

#include <set>

#include "txlog/replicated/members.h"

namespace assent::txlog {
namespace {

raft::Payload Bytes(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

std::vector<raft::Message> OneOfEach() {
  using namespace raft;
  const SnapshotMeta meta{9, 4, {{{1, true, "a:1 a:2"}, {7, false, "b:1 b:2"}}}};
  std::vector<Body> bodies = {
      RequestVote{true, true, 5, 10, 4},
      VoteReply{true, 6, true},
      AppendEntries{10, 4, 9, {}},
      AppendEntries{10,
                    4,
                    9,
                    {{11, 5, EntryType::kNoop, nullptr},
                     {12, 5, EntryType::kRecord, Bytes(std::string(3000, 'x'))},
                     {13, 5, EntryType::kConfig, Bytes(EncodeConfig(meta.config))}}},
      AppendReply{true, 10, 13, true, 3, 8},
      Heartbeat{9, 77, 13},
      HeartbeatReply{77, 13, 12, 11},
      InstallSnapshot{meta, 4096, Bytes(std::string("\0binary\xff", 8)), true},
      InstallSnapshot{meta, 0, nullptr, false},
      InstallSnapshotReply{9, 8192, true},
      TimeoutNow{},
  };
  std::vector<Message> messages;
  for (Body& body : bodies) messages.push_back({.term = 5, .body = std::move(body)});
  return messages;
}

TEST(Wire, EveryKindComesBack) {
  std::set<size_t> kinds;
  for (const raft::Message& message : OneOfEach()) {
    kinds.insert(message.body.index());
    const std::string bytes = EncodeMessage(message);
    Result<raft::Message> back = DecodeMessage(bytes);
    ASSERT_TRUE(back.ok()) << back.status().ToString();
    EXPECT_EQ(back->term, message.term);
    ASSERT_EQ(back->body.index(), message.body.index());
    EXPECT_EQ(EncodeMessage(*back), bytes);
    if (const auto* append = std::get_if<raft::AppendEntries>(&message.body)) {
      const auto& got = std::get<raft::AppendEntries>(back->body);
      ASSERT_EQ(got.entries.size(), append->entries.size());
      for (size_t i = 0; i < got.entries.size(); ++i) {
        EXPECT_EQ(got.entries[i].index, append->entries[i].index);
        EXPECT_EQ(got.entries[i].type, append->entries[i].type);
        EXPECT_EQ(got.entries[i].view(), append->entries[i].view());
      }
    }
    if (const auto* install = std::get_if<raft::InstallSnapshot>(&message.body)) {
      EXPECT_EQ(std::get<raft::InstallSnapshot>(back->body).meta, install->meta);
    }
  }
  EXPECT_EQ(kinds.size(), std::variant_size_v<raft::Body>);
}

TEST(Wire, NoPieceOfAMessageIsOne) {
  for (const raft::Message& message : OneOfEach()) {
    const std::string bytes = EncodeMessage(message);
    for (size_t length = 0; length < bytes.size(); length += 1 + length / 40) {
      EXPECT_EQ(DecodeMessage(bytes.substr(0, length)).status().code(), Code::kInvalidArgument);
    }
    EXPECT_EQ(DecodeMessage(bytes + '\0').status().code(), Code::kInvalidArgument);
  }
}

TEST(Wire, ACountThatTheBytesCannotHoldIsRefusedBeforeRoomIsMade) {
  std::string bytes =
      EncodeMessage({.term = 5, .body = raft::AppendEntries{.prev_index = 1, .prev_term = 1}});
  for (size_t i = bytes.size() - 4; i < bytes.size(); ++i) bytes[i] = '\xff';
  EXPECT_EQ(DecodeMessage(bytes).status().code(), Code::kInvalidArgument);
}

TEST(Wire, AnotherVersionIsNamed) {
  std::string bytes = EncodeMessage({.term = 5, .body = raft::TimeoutNow{}});
  bytes[0] = 2;
  EXPECT_EQ(DecodeMessage(bytes).status().message(),
            "a message of version 2, this program speaks version 1");
}

TEST(Members, BothAddressesComeBack) {
  const Member member{3, "10.0.0.3:7401", "db.example.org:7400", false};
  const raft::Config config = ToConfig({member, {1, "a:1", "", true}});
  EXPECT_EQ(config.members[0].id, 1u);
  EXPECT_EQ(ToMember(config.members[1]), member);
  EXPECT_EQ(ToMember(config.members[0]), (Member{1, "a:1", "", true}));
}

TEST(Members, ASnapshotCarriesThem) {
  const raft::Config config = ToConfig({{1, "a:1", "a:2"}, {2, "b:1", "b:2", false}});
  Result<UnpackedSnapshot> back = UnpackSnapshot(PackSnapshot(config, "the state"));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->config, config);
  EXPECT_EQ(back->state, "the state");
  using namespace std::string_literals;
  for (const std::string& bad : {"\x05\0\0\0"s, "\xff\xff\0\0abc"s, "\1\0\0\0\2"s}) {
    EXPECT_EQ(UnpackSnapshot(bad).status().code(), Code::kDataLoss);
  }
}

}  // namespace
}  // namespace assent::txlog
