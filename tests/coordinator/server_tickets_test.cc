// Branches that Begin names, and votes that ride in Commit.
#include "base/mutant.h"
#include "tests/coordinator/driver_fixture.h"

namespace assent::coordinator {
namespace {

class BranchesAtBeginTest : public DriverTest {
 protected:
  void ConnectBoth() {
    pg_ = Connect("agent-pg", {"pg"});
    my_ = Connect("agent-my", {"my"});
  }
};

TEST_F(BranchesAtBeginTest, EachIsRegisteredAndBelongsToTheTransaction) {
  Boot();
  ConnectBoth();
  auto begun = TryBeginWith({{"pg", EndedBy(Finisher::kApp)}, {"my", std::nullopt}});
  ASSERT_EQ(begun->branches.size(), 2u);
  for (uint32_t i = 0; i < 2; ++i) {
    const BegunBranch& branch = begun->branches[i];
    ASSERT_TRUE(branch.gid);
    EXPECT_EQ(branch.gid->gtrid, begun->gtrid);
    EXPECT_EQ(branch.gid->bqual.branch, i);
    EXPECT_EQ(branch.gid->bqual.resource, branch.resource);
    EXPECT_EQ(branch.kind, "postgresql");
  }
  EXPECT_TRUE(begun->branches[0].app_held);
  EXPECT_FALSE(begun->branches[1].app_held);
  // Nobody worked in `my`: its agent knows nothing to prepare.
  auto commit = Commit(begun->gtrid);
  VoteOn(*pg_, *begun->branches[0].gid, Vote::kYes);
  EXPECT_FALSE(commit.answered());
  ASSERT_TRUE(my_->ToldToPrepare(*begun->branches[1].gid));
  EXPECT_FALSE(my_->told.prepares[0].app_held);
  VoteOn(*my_, *begun->branches[1].gid, Vote::kNo);
  EXPECT_EQ(commit->abort->cause, AbortCause::kBranchVotedNo);
}

// Nobody can tell which of several agents will be asked to open it.
TEST_F(BranchesAtBeginTest, OneThatSeveralAgentsMightHoldIsLeftToOpen) {
  Boot();
  ConnectBoth();
  auto other = Connect("agent-pg-2", {"pg"});
  auto begun =
      TryBeginWith({{"pg", std::nullopt}, {"my", std::nullopt}, {"pg", EndedBy(Finisher::kAgent)}});
  ASSERT_EQ(begun->branches.size(), 3u);
  EXPECT_FALSE(begun->branches[0].gid);
  EXPECT_EQ(begun->branches[0].resource, "pg");
  EXPECT_EQ(begun->branches[1].gid->bqual.branch, 0u);
  EXPECT_EQ(begun->branches[1].gid->bqual.resource, "my");
  EXPECT_EQ(begun->branches[2].gid->bqual.branch, 1u);
  EXPECT_EQ(Open(*other, begun->gtrid, "pg").bqual.branch, 2u);
  Disconnect(*other);
  EXPECT_TRUE(TryBeginWith({{"pg", std::nullopt}})->branches[0].gid);
  Disconnect(*pg_);
  EXPECT_FALSE(TryBeginWith({{"pg", std::nullopt}})->branches[0].gid) << "no agent serves it now";
}

TEST_F(BranchesAtBeginTest, WhatCantBeRegisteredIsRefusedByName) {
  Boot();
  ConnectBoth();
  auto unknown = TryBeginWith({{"pg", std::nullopt}, {"orders", std::nullopt}});
  EXPECT_EQ(unknown.code(), Code::kNotFound);
  EXPECT_EQ(unknown.refusal().reason, Reason::kUnknownResource);
  EXPECT_NE(unknown.refusal().status.message().find("'orders'"), std::string::npos);
  EXPECT_NE(unknown.refusal().status.message().find("start its agent"), std::string::npos);

  auto many = TryBeginWith(std::vector<BranchAsked>(kBranchesMax + 1, {"pg", std::nullopt}));
  EXPECT_EQ(many.code(), Code::kInvalidArgument);
  EXPECT_NE(many.refusal().status.message().find("65"), std::string::npos);
  EXPECT_NE(many.refusal().status.message().find("64"), std::string::npos);

  // Where a prepared branch is tied to its session, the agent must be able to name that.
  Dial({.agent_id = "agent-maria",
        .incarnation = 1,
        .resources = {{.name = "maria", .kind = "mariadb", .identity = "m"}}});
  auto nameless = TryBeginWith({{"maria", AppHeldNews{}}});
  EXPECT_EQ(nameless.code(), Code::kInvalidArgument);
  EXPECT_NE(nameless.refusal().status.message().find("CONNECTION_ID()"), std::string::npos);
  EXPECT_FALSE(TryBeginWith({{"maria", EndedBy(Finisher::kAgent)}}).refused());

  EXPECT_EQ(List().transactions.size(), 1u) << "what is refused begins nothing";
  EXPECT_EQ(BeginWith(std::vector<BranchAsked>(kBranchesMax, {"pg", std::nullopt})).size(),
            kBranchesMax);
}

// From Begin on it is as if the agent had registered it.
TEST_F(BranchesAtBeginTest, AnAgentHeldOneDiesWithItsAgent) {
  Boot();
  ConnectBoth();
  std::vector<Gid> gids = BeginWith({{"pg", std::nullopt}, {"my", std::nullopt}});
  Disconnect(*pg_);
  pg_ = Connect("agent-pg", {"pg"}, /*incarnation=*/2);
  auto commit = Commit(gids[0].gtrid);
  EXPECT_EQ(commit->abort->cause, AbortCause::kBranchLost);
  EXPECT_EQ(commit->abort->gid, gids[0]);
  EXPECT_EQ(my_->ToldToAbort(gids[1]), 1u);
}

TEST_F(BranchesAtBeginTest, AnAgentHeldOneIsPreparedByItsHolderOnly) {
  Boot();
  ConnectBoth();
  std::vector<Gid> gids = BeginWith({{"pg", std::nullopt}});
  auto other = Connect("agent-pg-2", {"pg"}, /*incarnation=*/2);
  auto commit = Commit(gids[0].gtrid);
  EXPECT_TRUE(pg_->ToldToPrepare(gids[0]));
  EXPECT_FALSE(other->ToldToPrepare(gids[0]));
  VoteOn(*other, gids[0], Vote::kNo);
  VoteOn(*other, gids[0], Vote::kYes);
  EXPECT_EQ(codec_.Count<Decision>(), 0u);
  VoteOn(*pg_, gids[0], Vote::kYes);
  EXPECT_EQ(codec_.Count<Decision>(), 1u);
}

class TicketsTest : public BranchesAtBeginTest {
 protected:
  static Ticket Yes(const Gid& gid, uint64_t incarnation = 1, std::string evidence = "") {
    return {.gid = gid, .agent_incarnation = incarnation, .evidence = std::move(evidence)};
  }
};

TEST_F(TicketsTest, TicketsOfAllDecideWithoutAnyPrepare) {
  Boot();
  ConnectBoth();
  std::vector<Gid> gids =
      BeginWith({{"pg", std::nullopt}, {"my", EndedBy(Finisher::kAgent)}, {"pg", std::nullopt}});
  Ticket reader = Yes(gids[2]);
  reader.read_only = true;
  auto commit =
      Commit(gids[0].gtrid, true, {Yes(gids[0], 1, "xid:7"), Yes(gids[1], 1, "conn=4711"), reader});
  EXPECT_TRUE(pg_->told.prepares.empty());
  EXPECT_TRUE(my_->told.prepares.empty());
  ASSERT_EQ(pg_->told.finishes.size(), 1u) << "who only read hears nothing more";
  EXPECT_EQ(pg_->told.finishes[0].gid, gids[0]);
  EXPECT_EQ(pg_->told.finishes[0].evidence, "xid:7");
  ASSERT_EQ(my_->ToldToCommit(gids[1]), 1u);
  EXPECT_EQ(my_->told.finishes[0].evidence, "conn=4711");
  EXPECT_EQ(my_->told.finishes[0].app_held, EndedBy(Finisher::kAgent));
  EXPECT_FALSE(commit.answered());
  Report(*pg_, gids[0]);
  Report(*my_, gids[1]);
  EXPECT_TRUE(commit->applied);
  // No vote is awaited, so nothing times out.
  Pass(limits_.prepare_timeout);
  EXPECT_EQ(Commit(gids[0].gtrid)->outcome, Outcome::kCommitted);
}

TEST_F(TicketsTest, WhoHasNoneIsAskedAndARepeatedCommitMayBringIt) {
  Boot();
  ConnectBoth();
  std::vector<Gid> gids = BeginWith({{"pg", std::nullopt}, {"my", std::nullopt}});
  auto first = Commit(gids[0].gtrid, true, {Yes(gids[0])});
  EXPECT_TRUE(pg_->told.prepares.empty());
  EXPECT_TRUE(my_->ToldToPrepare(gids[1]));
  auto second = Commit(gids[0].gtrid, true, {Yes(gids[1])});
  EXPECT_EQ(codec_.Count<Decision>(), 1u);
  Report(*pg_, gids[0]);
  Report(*my_, gids[1]);
  EXPECT_TRUE(first->applied);
  EXPECT_TRUE(second->applied);
}

TEST_F(TicketsTest, OneOfAnotherLifeOfTheAgentIsIgnoredAndTheHolderAsked) {
  Boot();
  ConnectBoth();
  std::vector<Gid> gids = BeginWith({{"pg", std::nullopt}});
  Connect("agent-pg-2", {"pg"}, /*incarnation=*/2);
  auto commit = Commit(gids[0].gtrid, true, {Yes(gids[0], 2)});
  EXPECT_EQ(codec_.Count<Decision>(), 0u);
  ASSERT_TRUE(pg_->ToldToPrepare(gids[0]));
  VoteOn(*pg_, gids[0], Vote::kNo);  // It was never asked to open it.
  EXPECT_EQ(commit->outcome, Outcome::kAborted);
}

// The database is its journal: who looked does not matter. Phase two goes to that agent first.
TEST_F(TicketsTest, AnyAgentMayHaveSeenAnAppHeldBranch) {
  Boot();
  ConnectBoth();
  std::vector<Gid> gids = BeginWith({{"pg", EndedBy(Finisher::kAgent)}});
  auto other = Connect("agent-pg-2", {"pg"}, /*incarnation=*/2);
  Commit(gids[0].gtrid, true, {Yes(gids[0], 2)});
  EXPECT_EQ(other->ToldToCommit(gids[0]), 1u);
  EXPECT_EQ(pg_->ToldToCommit(gids[0]), 0u);

  std::vector<Gid> later = BeginWith({{"pg", EndedBy(Finisher::kAgent)}});
  Commit(later[0].gtrid, true, {Yes(later[0], 99)});
  EXPECT_EQ(pg_->ToldToCommit(later[0]), 1u) << "who looked is gone";
}

TEST_F(TicketsTest, NoTicketMakesABranchOrATransaction) {
  Boot();
  ConnectBoth();
  std::vector<Gid> gids = BeginWith({{"pg", std::nullopt}});
  Gid stranger = gids[0];
  stranger.bqual.branch = 7;
  Gid voided = gids[0];
  voided.bqual.attempt = 2;
  Commit(gids[0].gtrid, true, {Yes(stranger), Yes(voided), Yes(gids[0])});
  EXPECT_EQ(pg_->told.finishes.size(), 1u);
  EXPECT_EQ(pg_->ToldToCommit(gids[0]), 1u);

  std::vector<Gid> over = BeginWith({{"pg", std::nullopt}});
  Rollback(over[0].gtrid);
  EXPECT_EQ(Commit(over[0].gtrid, true, {Yes(over[0])})->outcome, Outcome::kAborted);
  EXPECT_EQ(codec_.Count<Decision>(), 1u);
  Restart();
  EXPECT_EQ(Commit(over[0].gtrid, true, {Yes(over[0])})->outcome, Outcome::kAborted);
  EXPECT_TRUE(log_.held.empty());
  EXPECT_EQ(codec_.Count<Decision>(), 1u);
}

}  // namespace
}  // namespace assent::coordinator
