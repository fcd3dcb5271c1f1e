// A group that is new: its first leader draws the incarnation, and before that nothing is begun.
#include "tests/coordinator/driver_fixture.h"

namespace assent::coordinator {
namespace {

using namespace std::chrono_literals;

class NewGroupTest : public DriverTest {
 protected:
  NewGroupTest() {
    log_.Clear();
    log_.Append(1, codec_.Encode(GroupStart{.cluster = "bank", .cluster_uuid = kUuid}));
    limits_.draw = [this] { return draws_++; };  // 0 at first, which is none.
  }
  std::shared_ptr<FakeAgent> DialOnce() {
    return Dial({.agent_id = "a",
                 .incarnation = 1,
                 .resources = {{.name = "pg", .kind = "postgresql", .identity = "id"}}});
  }

  uint64_t draws_ = 0;
};

TEST_F(NewGroupTest, ItsFirstLeaderDrawsTheIncarnation) {
  log_.mode = FakeLog::Mode::kHold;
  Boot();
  EXPECT_EQ(TryBegin().code(), Code::kUnavailable);
  EXPECT_EQ(std::get<Refusal>(*DialOnce()->welcome).status.code(), Code::kUnavailable);
  log_.SayDurable();
  Pump();
  EXPECT_EQ(TryBegin().code(), Code::kUnavailable) << "durable is not decided";
  log_.ApplyHeld();
  Pump();
  EXPECT_EQ(Begin().incarnation, 1u);
  EXPECT_EQ(std::get<AgentWelcome>(*DialOnce()->welcome).group.incarnation, 1u);
}

TEST_F(NewGroupTest, AFullDiskOnlyDelaysIt) {
  log_.mode = FakeLog::Mode::kRefuse;
  Boot();
  EXPECT_EQ(TryBegin().code(), Code::kUnavailable);
  log_.mode = FakeLog::Mode::kApply;
  Pass(1s);
  EXPECT_EQ(Begin().incarnation, 2u);
}

TEST_F(NewGroupTest, WhatIsOnRecordIsNotDrawnAgain) {
  log_.mode = FakeLog::Mode::kHold;
  Boot();
  log_.Lose(log_.term() + 1);
  log_.DropHeld(txlog::Fate::kInDoubt);
  log_.ApplyFromOther(log_.term(),
                      codec_.Encode(GroupStart{
                          .cluster = "bank", .cluster_uuid = kUuid, .incarnation = kIncarnation}));
  Pump();
  log_.mode = FakeLog::Mode::kApply;
  log_.Win(log_.term() + 1);
  log_.ApplyNoop();
  Pump();
  EXPECT_EQ(Begin().incarnation, kIncarnation);
}

}  // namespace
}  // namespace assent::coordinator
