// Backups as the driver gives them, and a driver that goes on from one.
#include <gmock/gmock.h>

#include "base/mutant.h"
#include "coordinator/core/restore.h"
#include "tests/coordinator/driver_fixture.h"

namespace assent::coordinator {
namespace {

using testing::HasSubstr;

constexpr uint64_t kRestored = 78;

class BackupTest : public DriverTest {
 protected:
  Pending<BackupAnswer> Backup() {
    Pending<BackupAnswer> answer;
    driver_->Post(BackupCall{answer.reply()});
    Pump();
    return answer;
  }
  // Asked for when the END of a transaction that both databases have done is due, and is held.
  Pending<BackupAnswer> BackupBeforeEnd() {
    Boot();
    const Pair done = Committed();
    Report(*pg_, done.pg);
    Report(*my_, done.my);
    log_.mode = FakeLog::Mode::kHold;
    return Backup();
  }
  // The log that a restored node begins with.
  void GoOnFrom(const BackupAnswer& backup) {
    auto state = codec_.DecodeState(backup.state);
    ASSERT_TRUE(state.ok());
    auto restored = RestoredState(std::move(*state), kRestored);
    ASSERT_TRUE(restored.ok()) << restored.status().ToString();
    driver_.reset();
    pg_.reset();
    my_.reset();
    log_ = FakeLog();
    driver_ = std::make_unique<Driver>(limits_, clock_, codec_, [](Status) { FAIL(); });
    driver_->Attach(log_);
    log_.Begin(codec_.EncodeState(*restored));
    log_.Start(*driver_);
    Pump();
    pg_ = Connect("pg-1", {"pg"}, 2);
    my_ = Connect("my-1", {"my"}, 2);
  }
  Pair Committed() {
    Pair pair = BeginPair();
    CommitPair(pair);
    return pair;
  }
  void Finish(const Pair& pair) {
    Report(*pg_, pair.pg);
    Report(*my_, pair.my);
    Pass(limits_.end_delay * 2);
  }
};

TEST_F(BackupTest, HoldsWhatIsDecidedAndNothingElse) {
  Boot();
  const Pair ended = Committed();
  Finish(ended);
  const Pair unfinished = Committed();
  Begin();
  auto backup = Backup();
  ASSERT_TRUE(backup.answered() && !backup.refused());
  EXPECT_EQ(backup->group.incarnation, kIncarnation);
  EXPECT_EQ(backup->term, log_.term());
  EXPECT_EQ(backup->index, GetStatus().applied_index);
  EXPECT_EQ(backup->decisions, 2u);
  EXPECT_EQ(backup->unfinished, 1u);
  auto state = codec_.DecodeState(backup->state);
  ASSERT_TRUE(state.ok());
  EXPECT_TRUE(state->unfinished.contains(unfinished.gtrid));
}

TEST_F(BackupTest, OnlyALeaderThatProvesItsLeadGivesOne) {
  Boot();
  Committed();
  log_.barrier = Unavailable("this node does not lead the log");
  auto unproved = Backup();
  EXPECT_EQ(unproved.code(), Code::kUnavailable);
  EXPECT_EQ(unproved.refusal().reason, Reason::kNotLeader);
  log_.barrier = Ok();
  EXPECT_EQ(Backup().code(), Code::kOk);
  log_.Lose(log_.term() + 1);
  Pump();
  EXPECT_EQ(Backup().refusal().reason, Reason::kNotLeader);
}

TEST_F(BackupTest, WhatIsDoneInTheDatabasesIsOverInTheBackup) {
  Boot();
  const Pair done = Committed();
  Report(*pg_, done.pg);
  Report(*my_, done.my);  // END would wait for more to end.
  log_.mode = FakeLog::Mode::kHold;
  auto backup = Backup();
  ASSERT_EQ(log_.held.size(), 1u);
  EXPECT_FALSE(backup.answered()) << "END is not applied yet";
  log_.ApplyHeld();
  Pump();
  ASSERT_TRUE(backup.answered() && !backup.refused());
  EXPECT_EQ(backup->unfinished, 0u);
  EXPECT_EQ(backup->decisions, 1u);
}

TEST_F(BackupTest, ALogWithoutRoomForEndKeepsNoBackupBack) {
  auto backup = BackupBeforeEnd();
  log_.DropHeld(txlog::Fate::kRefused);
  Pump();
  ASSERT_TRUE(backup.answered() && !backup.refused());
  EXPECT_EQ(backup->unfinished, 1u);
}

TEST_F(BackupTest, OneThatWaitsHearsThatTheLeadIsLost) {
  auto backup = BackupBeforeEnd();
  EXPECT_FALSE(backup.answered());
  log_.Lose(log_.term() + 1);
  Pump();
  ASSERT_TRUE(backup.answered());
  EXPECT_EQ(backup.refusal().reason, Reason::kNotLeader);
}

TEST_F(BackupTest, OneThatWaitsHearsThatTheNodeStops) {
  auto backup = BackupBeforeEnd();
  driver_->Stop();
  driver_->Run();
  EXPECT_EQ(backup.code(), Code::kUnavailable);
}

#if defined(ASSENT_FAILPOINTS)
TEST_F(BackupTest, ALeaderThatProvesNothingIsCaught) {
  Boot();
  log_.barrier = Unavailable("this node does not lead the log");
  ScopedMutant mutant(Mutant::kBackupUnproved);
  EXPECT_EQ(Backup().code(), Code::kOk);
}
#endif

TEST_F(BackupTest, ARestoredGroupFinishesWhatItsBackupDecided) {
  Boot();
  const Pair ended = Committed();
  Finish(ended);
  const Pair decided = Committed();
  const Pair open = BeginPair();
  auto backup = Backup();
  ASSERT_TRUE(backup.answered() && !backup.refused());
  // Decided, and ended, after the backup: lost with the old group.
  const Pair later = Committed();
  GoOnFrom(*backup);

  EXPECT_EQ(GetStatus().incarnation, kRestored);
  // Told by itself, as after any change of leader.
  EXPECT_EQ(pg_->ToldToCommit(decided.pg), 1u);
  EXPECT_EQ(my_->ToldToCommit(decided.my), 1u);
  EXPECT_EQ(Ask(*pg_, decided.pg), AgentAnswer::kCommit);
  EXPECT_EQ(Ask(*pg_, ended.pg), AgentAnswer::kCommit) << "a database came back with it prepared";
  EXPECT_EQ(Ask(*pg_, open.pg), AgentAnswer::kHazard);
  EXPECT_EQ(Ask(*pg_, later.pg), AgentAnswer::kHazard);
  EXPECT_EQ(Get(decided.gtrid)->outcome, Outcome::kCommitted);
  EXPECT_EQ(Get(ended.gtrid)->outcome, Outcome::kCommitted);
  EXPECT_EQ(Get(open.gtrid)->outcome, Outcome::kUnknown);
  EXPECT_EQ(Commit(later.gtrid)->outcome, Outcome::kUnknown);

  // What nobody can tell waits for an operator.
  Pump();
  ListAnswer list = List();
  std::vector<Gtrid> hazards;
  for (const TransactionView& view : list.transactions) {
    if (view.state == ViewState::kHeuristic) hazards.push_back(view.gtrid);
  }
  EXPECT_THAT(hazards, testing::UnorderedElementsAre(open.gtrid, later.gtrid));
  EXPECT_EQ(Forget(open.gtrid).code(), Code::kOk);
  EXPECT_EQ(Forget(later.gtrid).code(), Code::kOk);

  Finish(decided);
  EXPECT_EQ(Get(decided.gtrid)->state, ViewState::kEnded);
  EXPECT_EQ(GetStatus().unfinished, 0u);
  const Pair fresh = Committed();
  EXPECT_EQ(fresh.gtrid.incarnation, kRestored);
  EXPECT_EQ(Get(fresh.gtrid)->outcome, Outcome::kCommitted);
}

TEST_F(BackupTest, AnAgentThatSaysDoneOfTheLostTimeMayForget) {
  Boot();
  auto backup = Backup();
  const Pair later = Committed();
  GoOnFrom(*backup);
  Report(*pg_, later.pg);
  EXPECT_TRUE(pg_->ToldToForget(later.pg));
  EXPECT_NE(Get(later.gtrid)->state, ViewState::kHeuristic) << "nobody has a question";
}

// It proves to the operator how the other branch, whose outcome nobody knows, has to end.
TEST_F(BackupTest, ADoneOfTheLostTimeStandsBesideTheHazard) {
  Boot();
  auto backup = Backup();
  const Pair later = Committed();
  GoOnFrom(*backup);
  Report(*my_, later.my, BranchViewState::kHazard);
  Report(*pg_, later.pg);
  auto view = Get(later.gtrid);
  ASSERT_EQ(view.code(), Code::kOk);
  ASSERT_EQ(view->branches.size(), 2u);
  Report(*pg_, later.pg);
  EXPECT_TRUE(pg_->ToldToForget(later.pg));
}

TEST_F(BackupTest, AnAgentOfTheGroupBeforeIsRefused) {
  Boot();
  auto backup = Backup();
  GoOnFrom(*backup);
  const AgentHello hello{.agent_id = "other",
                         .incarnation = 5,
                         .cluster_uuid = kUuid,
                         .group_incarnation = kIncarnation,
                         .peer = "test"};
  auto agent = Dial(hello);
  ASSERT_TRUE(agent->welcome && std::holds_alternative<Refusal>(*agent->welcome));
  EXPECT_THAT(std::get<Refusal>(*agent->welcome).status.message(), HasSubstr("--repin"));
}

}  // namespace
}  // namespace assent::coordinator
