// What an agent exposes: every verb once under its class of answer, gauges that come back to 0, and
// a health that names its reasons.
#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "participant-agent/server/measured_manager.h"
#include "tests/agent/agent_fixture.h"
#include "tests/support/process.h"
#include "tests/support/scrape.h"

namespace assent::agent {
namespace {

using adapters::Cause;
using adapters::Finish;
using adapters::JournalWord;
using test_support::Scrape;
using ::testing::AllOf;
using ::testing::HasSubstr;

// ---- Verbs and answers --------------------------------------------------------------------------

class MeasuredManagerTest : public ::testing::Test {
 protected:
  MeasuredManagerTest()
      : metrics_({"orders_pg"}, 8),
        manager_(Measured(database_.MakeManager("test", "orders_pg"), metrics_.Of("orders_pg"))) {}

  Gid NextGid() {
    return {.gtrid = {.cluster = "test", .incarnation = 1, .group = 0, .epoch = 5, .seq = ++seq_},
            .bqual = {.resource = "orders_pg", .branch = 1, .attempt = 1}};
  }
  std::unique_ptr<adapters::WorkSession> Work() { return std::get<0>(manager_->OpenWorkSession()); }
  std::unique_ptr<adapters::FinishSession> Finisher() {
    return std::get<0>(manager_->OpenFinishSession());
  }
  Gid Prepared(adapters::WorkSession& session) {
    const Gid gid = NextGid();
    EXPECT_FALSE(session.Start(gid, {}).has_value());
    EXPECT_EQ(session.Execute("write " + ToString(gid), {}, false).index(), 0u);
    EXPECT_EQ(session.Prepare().vote, adapters::Vote::kYes);
    return gid;
  }
  double Count(const std::string& verb, const std::string& answer) {
    return Page().Sum("assent_agent_verbs_total", {{"verb", verb}, {"answer", answer}});
  }
  double Timed(const std::string& verb) {
    return Page().Sum("assent_agent_verb_seconds_count", {{"verb", verb}});
  }
  Scrape Page() {
    metrics::Page page;
    metrics_.Expose(page);
    return Scrape::Parse(page.Text()).value();
  }

  FakeDatabase database_;
  AgentMetrics metrics_;
  std::unique_ptr<adapters::ResourceManager> manager_;
  uint64_t seq_ = 0;
};

TEST_F(MeasuredManagerTest, EveryVerbIsCountedOnceAndPassedOn) {
  auto work = Work();
  const Gid committed = Prepared(*work);
  EXPECT_FALSE(work->AttachedWhenPrepared());
  auto finisher = Finisher();
  EXPECT_EQ(finisher->Commit(committed, "fake=1", JournalWord::kWill).finish, Finish::kDone);
  const Gid aborted = Prepared(*work);
  EXPECT_EQ(finisher->Recover()->size(), 1u);
  EXPECT_EQ(finisher->Rollback(aborted, "fake=1").finish, Finish::kDone);
  EXPECT_FALSE(work->Start(NextGid(), {.read_only = true}).has_value());
  EXPECT_EQ(work->Prepare().vote, adapters::Vote::kReadOnly);
  EXPECT_TRUE(work->Rollback());
  EXPECT_EQ(manager_->Probe()->identity, "fake-1");
  EXPECT_EQ(*manager_->Identity(), "fake-1");
  EXPECT_EQ(manager_->HandSql(committed).commit, "commit " + ToString(committed));
  EXPECT_TRUE(finisher->LookUp({})->empty());
  EXPECT_EQ(database_.look_counts().looks, 1);
  EXPECT_EQ(finisher->CheckRole("nobody").code(), Code::kInvalidArgument);

  EXPECT_EQ(Count("connect", "done"), 2);
  EXPECT_EQ(Count("start", "done"), 3);
  EXPECT_EQ(Count("execute", "done"), 2);
  EXPECT_EQ(Count("prepare", "done"), 2);
  EXPECT_EQ(Count("prepare", "read_only"), 1);
  EXPECT_EQ(Count("commit", "done"), 1);
  EXPECT_EQ(Count("rollback", "done"), 2);
  EXPECT_EQ(Count("recover", "done"), 1);
  EXPECT_EQ(Count("probe", "done"), 1);
  EXPECT_EQ(Count("look_up", "done"), 1);
  EXPECT_EQ(Timed("prepare"), 3);
  EXPECT_EQ(Timed("commit"), 1);
}

TEST_F(MeasuredManagerTest, AnAttachedBranchIsFinishedOnItsSession) {
  database_.SetAttached(true);
  auto work = Work();
  Prepared(*work);
  EXPECT_TRUE(work->AttachedWhenPrepared());
  EXPECT_EQ(work->FinishPrepared(adapters::Decision::kCommit, "fake=1", JournalWord::kWill).finish,
            Finish::kDone);
  Prepared(*work);
  EXPECT_EQ(
      work->FinishPrepared(adapters::Decision::kAbort, "fake=1", JournalWord::kNothing).finish,
      Finish::kDone);
  EXPECT_EQ(Count("commit", "done"), 1);
  EXPECT_EQ(Count("rollback", "done"), 1);
}

TEST_F(MeasuredManagerTest, AnswersFallIntoTheirClasses) {
  struct Case {
    Cause cause;
    bool session_lost;
    const char* answer;
  };
  for (const Case& c :
       {Case{Cause::kDeadlock, false, "conflict"}, Case{Cause::kLockTimeout, false, "conflict"},
        Case{Cause::kConnectionLost, true, "transient"},
        Case{Cause::kNotPrimary, false, "transient"}, Case{Cause::kPreparedLimit, false, "refused"},
        Case{Cause::kPermission, false, "refused"}, Case{Cause::kNotPreparable, false, "failed"},
        Case{Cause::kNotPreparable, true, "transient"}}) {
    auto work = Work();
    const double before = Count("prepare", c.answer);
    database_.FailPrepares(
        1, {.cause = c.cause, .code = "x", .detail = "x", .session_lost = c.session_lost});
    ASSERT_FALSE(work->Start(NextGid(), {}).has_value());
    work->Execute("write a", {}, false);
    EXPECT_EQ(work->Prepare().vote, adapters::Vote::kNo);
    EXPECT_EQ(Count("prepare", c.answer), before + 1) << adapters::CauseName(c.cause);
  }
  auto finisher = Finisher();
  for (const auto& [finish, answer] :
       {std::pair{Finish::kTransient, "transient"}, std::pair{Finish::kRefused, "refused"},
        std::pair{Finish::kHeuristicRollback, "heuristic"}, std::pair{Finish::kHazard, "hazard"}}) {
    auto work = Work();
    const Gid gid = Prepared(*work);
    adapters::FinishAnswer failure;
    failure.finish = finish;
    database_.FailCommits(1, failure);
    EXPECT_EQ(finisher->Commit(gid, "fake=1", JournalWord::kWill).finish, finish);
    EXPECT_EQ(Count("commit", answer), 1) << answer;
  }
  EXPECT_EQ(Count("commit", "done"), 0);
  database_.SetDown(true);
  EXPECT_EQ(manager_->OpenWorkSession().index(), 1u);
  EXPECT_EQ(Count("connect", "transient"), 1);
  EXPECT_FALSE(manager_->Probe().ok());
  EXPECT_EQ(Count("probe", "transient"), 1);
}

// ---- The agent as a whole -----------------------------------------------------------------------

class AgentMetricsTest : public AgentFixture {
 protected:
  AgentMetricsTest() {
    options_.http_listen = "127.0.0.1:" + std::to_string(test_support::PickFreePort());
    // Nothing is said twice here, however slow this machine is.
    options_.inquiry_age = std::chrono::minutes(5);
  }

  Scrape Page() {
    auto page = Scrape::From(options_.http_listen);
    EXPECT_TRUE(page.ok()) << page.status().ToString();
    return page.ok() ? *page : Scrape();
  }
  // Gauges are published when the driver's round is over, which may be after its messages.
  bool Becomes(const std::string& name, const Scrape::Labels& labels, double value) {
    return Eventually([&] { return Page().Sum(name, labels) == value; });
  }
  std::string HealthNow(int status) {
    std::string body;
    EXPECT_TRUE(Eventually([&] {
      auto answer = test_support::HttpGet(options_.http_listen, "/healthz");
      if (!answer.ok() || answer->status != status) return false;
      body = answer->body;
      return true;
    }));
    return body;
  }
};

TEST_F(AgentMetricsTest, ABranchIsSeenInItsStatesAndLeavesItsCounts) {
  StartServing();
  ASSERT_TRUE(Becomes("assent_agent_branches", {{"state", "open"}}, 1)) << "WaitWelcomed's own";
  const Scrape before = Page();
  const std::string gid = Opened({"write a"});
  EXPECT_TRUE(Becomes("assent_agent_branches", {{"state", "open"}}, 2));
  EXPECT_TRUE(Becomes("assent_agent_sessions_in_use", {}, 2));
  coordinator_->Prepare(gid);
  auto vote = coordinator_->NextVote();
  ASSERT_TRUE(vote.has_value());
  EXPECT_TRUE(Becomes("assent_agent_branches", {{"state", "prepared"}}, 1));
  EXPECT_TRUE(Becomes("assent_agent_listed_branches", {}, 1)) << "the scan sees it";
  coordinator_->Finish(gid, true, vote->evidence());
  ASSERT_TRUE(coordinator_->NextFinished().has_value());
  EXPECT_TRUE(Becomes("assent_agent_branches", {{"state", "prepared"}}, 0));
  EXPECT_TRUE(Becomes("assent_agent_listed_branches", {}, 0));
  coordinator_->Forget(gid);
  EXPECT_TRUE(Becomes("assent_agent_journal_words_total", {{"kind", "forget"}}, 1));

  const Scrape after = Page();
  auto moved = [&](const std::string& name, const Scrape::Labels& labels = {}) {
    return after.Sum(name, labels) - before.Sum(name, labels);
  };
  for (const char* kind : {"register", "vote", "done"}) {
    EXPECT_EQ(moved("assent_link_messages_total", {{"direction", "out"}, {"kind", kind}}), 1)
        << kind;
  }
  for (const char* kind : {"registered", "prepare", "commit", "forget"}) {
    EXPECT_EQ(moved("assent_link_messages_total", {{"direction", "in"}, {"kind", kind}}), 1)
        << kind;
  }
  EXPECT_EQ(moved("assent_link_messages_total"), 7) << "nothing else was said";
  EXPECT_EQ(moved("assent_agent_journal_words_total", {{"kind", "will"}}), 1);
  EXPECT_EQ(moved("assent_agent_journal_words_total", {{"kind", "done"}}), 1);
  EXPECT_EQ(moved("assent_agent_journal_forced_writes_total"), 0);
  EXPECT_GE(after.Sum("assent_agent_journal_forced_writes_total"), 2) << "the start and the pin";
  EXPECT_EQ(moved("assent_agent_verbs_total", {{"verb", "commit"}, {"answer", "done"}}), 1);
}

TEST_F(AgentMetricsTest, HealthNamesWhatIsMissing) {
  coordinator_->Lead(1, false);
  database_.SetDown(true);
  StartAgent();
  EXPECT_THAT(HealthNow(503), HasSubstr("no link to a coordinator that leads"));
  EXPECT_TRUE(Becomes("assent_agent_link_up", {{"coordinator", coordinator_->address()}}, 1));
  EXPECT_EQ(Page().Sum("assent_agent_linked_to_leader"), 0);
  EXPECT_EQ(Page().Sum("assent_agent_resource_served"), 0);
  coordinator_->Lead(7, true);
  ASSERT_TRUE(Becomes("assent_agent_linked_to_leader", {}, 1));
  EXPECT_THAT(HealthNow(503), AllOf(HasSubstr("orders_pg"), Not(HasSubstr("no link"))));
  database_.SetDown(false);
  EXPECT_EQ(HealthNow(200), "{\"status\":\"serving\"}\n");
  EXPECT_EQ(Page().Sum("assent_agent_resource_served"), 1);
  coordinator_.reset();
  EXPECT_THAT(HealthNow(503), HasSubstr("no link to a coordinator that leads"));
  EXPECT_EQ(Page().Sum("assent_agent_link_up"), 0);
}

TEST_F(AgentMetricsTest, ATakenPortIsNamedWithItsKey) {
  StartAgent();
  Options second = options_;
  second.data_dir = directory_ + "/second";
  second.listen = "unix:" + directory_ + "/second.sock";
  auto refused =
      Server::Start(second, [this](const ResourceOptions& resource, const std::string& cluster) {
        return database_.MakeManager(cluster, resource.name);
      });
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().message(),
            "http_listen " + options_.http_listen +
                ": in use by another process; stop that one or choose another address");
}

}  // namespace
}  // namespace assent::agent
