// The bytes of log records: round trips, golden bytes, and what must stop a node.
#include <gtest/gtest.h>

#include "assent/v1/log_records.pb.h"
#include "coordinator/server/record_codec.h"

namespace assent::coordinator {
namespace {

Gtrid SomeGtrid(uint64_t seq = 5) {
  return {.cluster = "bank", .incarnation = 0x1234, .group = 0, .epoch = 7, .seq = seq};
}

Decision SomeDecision() {
  return {.gtrid = SomeGtrid(),
          .branches = {{{.resource = "pg", .branch = 0, .attempt = 1}, "xid:731"},
                       {{.resource = "my", .branch = 1, .attempt = 2}, ""}},
          .client_key = "order-1"};
}

std::string Hex(const std::string& bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (unsigned char c : bytes) {
    hex += kDigits[c >> 4];
    hex += kDigits[c & 15];
  }
  return hex;
}

template <typename T>
T RoundTrip(const T& record) {
  RecordCodec codec;
  Result<Record> back = codec.Decode(codec.Encode(record));
  EXPECT_TRUE(back.ok()) << back.status().ToString();
  return std::get<T>(*back);
}

TEST(RecordCodecTest, EveryKindComesBackAsItWas) {
  const GroupStart group{
      .cluster = "bank", .cluster_uuid = "u-u-i-d", .group = 3, .incarnation = ~uint64_t{0}};
  EXPECT_EQ(RoundTrip(group), group);
  EXPECT_EQ(RoundTrip(SomeDecision()), SomeDecision());
  Decision with_reader = SomeDecision();
  with_reader.voided_readers = {2, 5};
  EXPECT_EQ(RoundTrip(with_reader), with_reader);
  const End end{.gtrids = {SomeGtrid(1), SomeGtrid(2)}};
  EXPECT_EQ(RoundTrip(end).gtrids, end.gtrids);
  for (BranchEnd how : {BranchEnd::kHazard, BranchEnd::kHeuristicRollback}) {
    const Heuristic heuristic{.gid = {SomeGtrid(), {.resource = "pg", .branch = 0, .attempt = 1}},
                              .end = how,
                              .detail = "gone"};
    EXPECT_EQ(RoundTrip(heuristic), heuristic);
  }
  EXPECT_EQ(RoundTrip(ForgetHeuristic{SomeGtrid()}).gtrid, SomeGtrid());
  RoundTrip(Tick{});
}

// Kept for ever: a change here makes logs of older versions unreadable.
TEST(RecordCodecTest, GoldenBytes) {
  RecordCodec codec;
  EXPECT_EQ(Hex(codec.Encode(GroupStart{
                .cluster = "bank", .cluster_uuid = "u", .group = 1, .incarnation = 300})),
            "0a0e0a0462616e6b120175180120ac02");
  EXPECT_EQ(
      Hex(codec.Encode(SomeDecision())),
      "125f0a2962616e6b2e3030303030303030303034686b2e303030302e30303030303030372e3030303030303035"
      "12180a0d412e70672e3030302e3030303112077869643a373331"
      "120f0a0d412e6d792e3030312e30303032"
      "1a076f726465722d31");
  EXPECT_EQ(
      Hex(codec.Encode(Decision{.gtrid = SomeGtrid(), .voided_readers = {2, 300}})),
      "12300a2962616e6b2e3030303030303030303034686b2e303030302e30303030303030372e3030303030303035"
      "220302ac02");
  EXPECT_EQ(
      Hex(codec.Encode(End{.gtrids = {SomeGtrid()}})),
      "1a2b0a2962616e6b2e3030303030303030303034686b2e303030302e30303030303030372e3030303030303035");
  EXPECT_EQ(
      Hex(codec.Encode(
          Heuristic{.gid = {SomeGtrid(), {.resource = "pg", .branch = 0, .attempt = 1}},
                    .end = BranchEnd::kHazard,
                    .detail = "gone"})),
      "22420a2962616e6b2e3030303030303030303034686b2e303030302e30303030303030372e3030303030303035"
      "120d412e70672e3030302e30303031"
      "180b"
      "2204676f6e65");
  EXPECT_EQ(
      Hex(codec.Encode(ForgetHeuristic{SomeGtrid()})),
      "2a2b0a2962616e6b2e3030303030303030303034686b2e303030302e30303030303030372e3030303030303035");
  EXPECT_EQ(Hex(codec.Encode(Tick{})), "3200");
}

TEST(RecordCodecTest, AnUnknownKindOrFieldIsARecordOfANewerVersion) {
  RecordCodec codec;
  for (const std::string& bytes : {std::string("\x7a\x00", 2),          // Field 15: a new kind.
                                   std::string("\x32\x02\x08\x01")}) {  // Tick with a field.
    Result<Record> record = codec.Decode(bytes);
    ASSERT_FALSE(record.ok());
    EXPECT_EQ(record.status().code(), Code::kFailedPrecondition);
    EXPECT_NE(record.status().message().find("newer"), std::string::npos);
  }
}

TEST(RecordCodecTest, BytesThatMakeNoRecordAreDamaged) {
  RecordCodec codec;
  v1::LogRecord bad_gtrid;
  bad_gtrid.mutable_decide_commit()->set_gtrid("nonsense");
  v1::LogRecord bad_state;
  bad_state.mutable_heuristic()->set_gtrid(ToString(SomeGtrid()));
  bad_state.mutable_heuristic()->set_bqual(ToString(Bqual{.resource = "pg", .attempt = 1}));
  bad_state.mutable_heuristic()->set_state(7);
  for (const std::string& bytes : {std::string(), std::string("\xff\xff\xff"),
                                   bad_gtrid.SerializeAsString(), bad_state.SerializeAsString()}) {
    Result<Record> record = codec.Decode(bytes);
    ASSERT_FALSE(record.ok()) << Hex(bytes);
    EXPECT_EQ(record.status().code(), Code::kDataLoss);
  }
  EXPECT_EQ(codec.DecodeState("\xff\xff").status().code(), Code::kDataLoss);
}

TEST(RecordCodecTest, TheTableComesBackAsItWas) {
  DecisionTable::State state;
  state.group =
      GroupStart{.cluster = "bank", .cluster_uuid = "u", .group = 0, .incarnation = 0x1234};
  state.ticks = 11;
  state.ended.watermark = Position{1, 2};
  state.ended.newest = Position{7, 5};
  const Heuristic report{.gid = {SomeGtrid(), SomeDecision().branches[0].bqual},
                         .end = BranchEnd::kHeuristicRollback,
                         .detail = "a DBA"};
  state.unfinished[SomeGtrid()] = {.decision = SomeDecision(), .heuristics = {report}};
  state.ended.bits[7] = {{0, 0xF0F0}, {9, ~uint64_t{0}}};
  state.ended.attempts[{7, 4}] = {{1, 2}, {3, 9}, {4, 0}};
  const Gid stray{{.cluster = "bank", .incarnation = 45, .group = 0, .epoch = 7, .seq = 5},
                  {.resource = "orders_pg", .branch = 0, .attempt = 1}};
  state.strays[stray.gtrid] = {
      {.gid = stray, .end = BranchEnd::kHeuristicCommit, .detail = "by hand"}};
  state.ended.marks[10] = {7, 3};
  state.keys["order-1"] = {.gtrid = SomeGtrid(), .tick = 10};
  state.older[44] = state.ended;
  state.older[45].bits[2] = {{1, 1}};
  RecordCodec codec;
  Result<DecisionTable::State> back = codec.DecodeState(codec.EncodeState(state));
  ASSERT_TRUE(back.ok()) << back.status().ToString();
  EXPECT_EQ(*back, state);
  Result<DecisionTable::State> empty = codec.DecodeState(codec.EncodeState({}));
  ASSERT_TRUE(empty.ok());
  EXPECT_EQ(*empty, DecisionTable::State{});
}

}  // namespace
}  // namespace assent::coordinator
