// The day when all coordinators are gone, and the group that goes on from a backup.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/connect.h"
#include "tests/support/doc_page.h"
#include "tests/system/backup_fixture.h"
#include "tests/system/raw_node.h"

namespace assent::system_tests {
namespace {

using client::Outcome;
using std::chrono::seconds;
using test_support::AgentProcess;
using test_support::ReplaceAll;
using test_support::WaitUntil;
using testing::AllOf;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

class GroupBackup : public BackupTest {
 protected:
  // A transaction that is prepared in both databases, by work that was its last; the client holds
  // the votes.
  static Result<client::Transaction> Prepared(client::Client& coordinators) {
    auto transaction = coordinators.Begin();
    if (!transaction.ok()) return transaction.status();
    struct Work {
      const AgentProcess& agent;
      const char* resource;
      const char* sql;
    };
    for (const Work& work : {Work{House().postgres_agent(), Deployment::kPostgresResource,
                                  "INSERT INTO probe VALUES ($1)"},
                             Work{House().mariadb_agent(), Deployment::kMariadbResource,
                                  "INSERT INTO probe VALUES (?)"}}) {
      auto agent = client::Agent::Connect(ToAgent(House(), work.agent));
      if (!agent.ok()) return agent.status();
      auto branch =
          transaction->Open(*agent, work.resource,
                            {.statements = {{work.sql, {transaction->gtrid()}}}, .prepare = true});
      if (!branch.ok()) return branch.error().status;
    }
    return std::move(*transaction);
  }

  bool IsApplied(const client::Transaction& transaction) {
    auto applied = TheProbe().IsApplied(transaction.gtrid());
    return applied.ok() && *applied;
  }
};

TEST_F(GroupBackup, ARestoredGroupCommitsWhatItKnewAndReportsTheRest) {
  auto coordinators = client::Client::Connect(ToCoordinator(House()));
  ASSERT_TRUE(coordinators.ok());
  auto ended = TheProbe().CommitOne(seconds(20));
  ASSERT_TRUE(ended.ok()) << ended.status().ToString();
  auto open = Prepared(*coordinators);
  auto decided = Prepared(*coordinators);
  auto later = Prepared(*coordinators);
  for (auto* one : {&open, &decided, &later}) {
    ASSERT_TRUE(one->ok()) << one->status().ToString();
  }
  // Nobody carries a decision out from here on.
  KillAgents();
  const client::CommitOptions at_once{.ack = client::Acknowledgement::kDecided};
  ASSERT_EQ(decided->Commit(at_once).outcome, Outcome::kCommitted);
  SaveBackup();
  ASSERT_EQ(later->Commit(at_once).outcome, Outcome::kCommitted);
  const std::string before = Incarnation();
  LoseTheGroup();
  Restore();
  const std::string incarnation = Incarnation();
  EXPECT_NE(incarnation, before);

  // The agents let nobody in by themselves.
  StartAgents();
  EXPECT_TRUE(WaitUntil(seconds(20), [] { return BothAgentsLogged("link_refused"); }));
  EXPECT_THAT(House().postgres_agent().Log(), HasSubstr("--repin"));
  EXPECT_FALSE(BothAgentsLogged("link_up"));
  EXPECT_EQ(PreparedNow(), 6);
  Repin();
  StartAgents();  // For good.

  EXPECT_TRUE(WaitUntil(seconds(30), [&] { return IsApplied(*decided); })) << "the backup knows it";
  EXPECT_TRUE(WaitUntil(seconds(30), [&] { return Hazards().size() == 2; }));
  EXPECT_THAT(Hazards(), UnorderedElementsAre(open->gtrid(), later->gtrid()));
  EXPECT_EQ(PreparedNow(), 4) << "what nobody can tell is left alone";
  const RawNode node(Node(1), House().client_tls());
  EXPECT_EQ(node.Get(ended->gtrid, seconds(5)).outcome, v1::OUTCOME_COMMITTED);
  EXPECT_EQ(node.Get(decided->gtrid(), seconds(5)).outcome, v1::OUTCOME_COMMITTED);
  EXPECT_EQ(node.Get(open->gtrid(), seconds(5)).outcome, v1::OUTCOME_UNKNOWN);
  EXPECT_EQ(node.Commit(later->gtrid(), seconds(5)).outcome, v1::OUTCOME_UNKNOWN);
  auto fresh = TheProbe().CommitOne(seconds(20));
  ASSERT_TRUE(fresh.ok()) << fresh.status().ToString();

  // The operator, with the services' records at hand.
  const CtlAnswer list = Shell(CommandsUnder("Settle what nobody can tell").at(0));
  EXPECT_THAT(list.output, AllOf(HasSubstr(open->gtrid()), HasSubstr(later->gtrid())));
  const CtlAnswer shown = CtlAtFirst({"show", later->gtrid()});
  EXPECT_THAT(shown.output, AllOf(HasSubstr("COMMIT PREPARED"), HasSubstr("ROLLBACK PREPARED"),
                                  HasSubstr("end alike")));
  EndByHand(later->gtrid(), "commit");
  EndByHand(open->gtrid(), "rollback");
  EXPECT_TRUE(WaitUntil(seconds(20), [] { return PreparedNow() == 0; }));
  EXPECT_TRUE(IsApplied(*later));
  EXPECT_FALSE(IsApplied(*open));
  EXPECT_TRUE(WaitUntil(seconds(30), [] { return Hazards().empty(); }));

  // Two nodes of the group before come back, a majority of it: they lead among themselves, and
  // nobody listens.
  for (int id : {2, 3}) {
    std::filesystem::rename(Node(id).data_dir() + ".old", Node(id).data_dir());
    Status started = Node(id).Start();
    ASSERT_TRUE(started.ok()) << started.ToString();
  }
  EXPECT_TRUE(WaitUntil(seconds(20), [] {
    return MetricOf(Node(2), "assent_leader") + MetricOf(Node(3), "assent_leader") == 1;
  }));
  EXPECT_TRUE(WaitUntil(seconds(20), [] {
    return Node(2).Logged("peer_refused") && Node(3).Logged("peer_refused") &&
           BothAgentsLogged("link_refused");
  }));
  EXPECT_EQ(MetricOf(Node(1), "assent_leader"), 1);
  EXPECT_EQ(Incarnation(), incarnation);
  for (int id : {2, 3}) {
    EXPECT_TRUE(Node(id).Terminate().ok());
    std::filesystem::remove_all(Node(id).data_dir());
  }
  auto again = TheProbe().CommitOne(seconds(20));
  ASSERT_TRUE(again.ok()) << again.status().ToString();

  // The group grows under its old ids. Who was made without the incarnation stays a stranger.
  auto join = [](int id) {
    auto joined = Node(id).RunWith({"--config", Node(id).config_file(), "--join"});
    EXPECT_TRUE(joined.ok() && joined->status.ok());
    EXPECT_TRUE(Node(id).Start().ok());
  };
  join(2);
  const CtlAnswer added = CtlAt(
      Node(1).endpoint(), {"member", "add", "2", Node(2).peer_endpoint(), Node(2).endpoint()});
  EXPECT_EQ(added.code, 0) << added.output;
  EXPECT_TRUE(WaitUntil(seconds(20), [] { return Node(1).Logged("peer_refused"); }));
  EXPECT_THAT(Node(1).Log(), HasSubstr("group_incarnation"));
  EXPECT_NE(CtlAtFirst({"member", "promote", "2"}).code, 0);
  EXPECT_TRUE(Node(2).Terminate().ok());
  std::filesystem::remove_all(Node(2).data_dir());
  std::string line = BlockUnder("Grow again", "toml");
  ReplaceAll("11400714819323198485", incarnation, &line);
  for (int id : {2, 3}) {
    const std::string config = test_support::ReadFile(Node(id).config_file());
    ASSERT_TRUE(test_support::WriteFile(Node(id).config_file(), line + config).ok());
    join(id);
  }
  EXPECT_EQ(CtlAtFirst({"member", "add", "3", Node(3).peer_endpoint(), Node(3).endpoint()}).code,
            0);
  for (const char* id : {"2", "3"}) {
    CtlAnswer promoted;
    EXPECT_TRUE(WaitUntil(seconds(30), [&] {
      promoted = CtlAtFirst({"member", "promote", id});
      return promoted.code == 0;
    })) << promoted.output;
  }
  Node(1).Kill9();
  AssentdProcess* leader = Leader(&Node(1));
  ASSERT_NE(leader, nullptr);
  EXPECT_EQ(RawNode(*leader, House().client_tls()).Get(decided->gtrid(), seconds(5)).outcome,
            v1::OUTCOME_COMMITTED);
  EXPECT_EQ(RawNode(*leader, House().client_tls()).Get(ended->gtrid, seconds(5)).outcome,
            v1::OUTCOME_COMMITTED);
  auto last = TheProbe().CommitOne(seconds(20));
  EXPECT_TRUE(last.ok()) << last.status().ToString();
  ASSERT_TRUE(Node(1).Start().ok());
}

}  // namespace
}  // namespace assent::system_tests
