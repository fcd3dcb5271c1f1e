// What a transaction costs, counted by the programs themselves on real databases and compared with
// docs/protocols.md section 15: protocol messages, records and forced writes, exactly. A flow is a
// way to run a transaction and its row of that table; another flow is a few lines.
//
// One transaction at a time; each is over everywhere before the next begins, so that nothing is
// batched and every forced write is somebody's.
#include <gmock/gmock.h>

#include <functional>
#include <map>
#include <pqxx/pqxx>
#include <string>
#include <vector>

#include "base/rpc/link_metrics.h"
#include "tests/support/process.h"
#include "tests/support/scrape.h"
#include "tests/system/system_fixture.h"

namespace assent::system_tests {
namespace {

using client::Outcome;
using rpc::LinkMetrics;
using std::chrono::seconds;
using test_support::DifferencesFromDocs;
using test_support::Scrape;
using test_support::WaitUntil;
using testing::IsEmpty;

// By name, without what is 0. Messages have the names of LinkMetrics.
using Cost = std::map<std::string, int>;

Cost operator*(int times, Cost cost) {
  for (auto& [name, count] : cost) count *= times;
  return cost;
}

Cost operator+(Cost cost, const Cost& more) {
  for (const auto& [name, count] : more) cost[name] += count;
  return cost;
}

// ---- The rows of section 15, mode A, for n branches that wrote and m that only read -------------

// A branch that an agent holds is registered before it begins.
Cost Registration(int branches) { return {{"register", branches}, {"registered", branches}}; }

// 2PC-PA: 4n + 2m messages, one record on the path and END lazily behind it, 2n forced writes of
// databases, none of the journal. Afterwards the agents forget the branches that were committed.
Cost Committed(int n, int m) {
  const Cost written = {{"prepare", 1},         {"vote", 1},
                        {"commit", 1},          {"done", 1},
                        {"forget", 1},          {"database prepare", 1},
                        {"database commit", 1}, {"journal will", 1},
                        {"journal done", 1},    {"journal forget", 1}};
  const Cost read = {{"prepare", 1}, {"vote", 1}};
  const Cost log = {{"record decision", 1}, {"record end", 1}, {"log forced write", 2}};
  return n * written + (m > 0 ? m * read : Cost{}) + log;
}

// Registered with Begin and prepared with their last work, the votes handed in with Commit: 2n.
Cost PreparedEarly(int n) {
  Cost cost = Committed(n, 0);
  for (const char* saved : {"prepare", "vote"}) cost.erase(saved);
  return cost;
}

// App-held, registered with Begin, ended by the application: the agent only looks; 2n. The database
// is told to prepare and to commit as ever, but not by the agent, which writes nothing down.
Cost EndedByTheApplication(int n) {
  return n * Cost{{"prepare", 1}, {"vote", 1}, {"forget", 1}} +
         Cost{{"record decision", 1}, {"record end", 1}, {"log forced write", 2}};
}

// Read-only: 2m messages and nothing else.
Cost ReadOnly(int m) { return {{"prepare", m}, {"vote", m}}; }

// Rolled back before Commit: no branch is asked to prepare; each is told, and says when it is over.
Cost RolledBack(int n) { return {{"abort", n}, {"done", n}, {"database rollback", n}}; }

// ---- The measurement ----------------------------------------------------------------------------

// The pages of the whole house at one moment.
struct Pages {
  Scrape coordinator;
  std::vector<Scrape> agents;

  double AtAgents(const std::string& name, const Scrape::Labels& labels) const {
    double sum = 0;
    for (const Scrape& agent : agents) sum += agent.Sum(name, labels);
    return sum;
  }
};

// What both ends of the links must agree on.
std::map<std::string, double> Messages(const Pages& pages, bool at_coordinator) {
  std::map<std::string, double> messages;
  for (size_t i = 0; i < LinkMetrics::kKinds; ++i) {
    const auto kind = static_cast<LinkMetrics::Kind>(i);
    const char* name = LinkMetrics::KindName(kind);
    const bool out = LinkMetrics::SaidByAgent(kind) != at_coordinator;
    const Scrape::Labels labels{{"kind", name}, {"direction", out ? "out" : "in"}};
    messages[name] = at_coordinator ? pages.coordinator.Sum("assent_link_messages_total", labels)
                                    : pages.AtAgents("assent_link_messages_total", labels);
  }
  return messages;
}

std::map<std::string, double> Totals(const Pages& pages) {
  std::map<std::string, double> totals = Messages(pages, true);
  for (const char* kind : {"decision", "end", "heuristic", "forget", "tick"}) {
    totals[std::string("record ") + kind] =
        pages.coordinator.Sum("assent_log_proposals_total", {{"kind", kind}});
  }
  totals["log forced write"] = pages.coordinator.Sum("assent_log_forced_writes_total");
  totals["journal forced write"] = pages.AtAgents("assent_agent_journal_forced_writes_total", {});
  for (const char* word : {"will", "done", "forget"}) {
    totals[std::string("journal ") + word] =
        pages.AtAgents("assent_agent_journal_words_total", {{"kind", word}});
  }
  // Whatever the database answered, but for prepares of branches that had written nothing.
  for (const char* verb : {"prepare", "commit", "rollback"}) {
    totals[std::string("database ") + verb] =
        pages.AtAgents("assent_agent_verbs_total", {{"verb", verb}}) -
        pages.AtAgents("assent_agent_verbs_total", {{"verb", verb}, {"answer", "read_only"}});
  }
  return totals;
}

Cost Between(const Pages& before, const Pages& after) {
  Cost cost;
  const std::map<std::string, double> then = Totals(before);
  for (const auto& [name, now] : Totals(after)) {
    const int grown = static_cast<int>(now - then.at(name));
    if (grown != 0) cost[name] = grown;
  }
  return cost;
}

// Nothing is under way: at the coordinator, at the agents, and between them. (Nor is it between a
// COMMIT and its forget; what else a flow still has to say its cost tells.)
bool Quiet(const Pages& pages) {
  const std::map<std::string, double> messages = Messages(pages, true);
  return pages.coordinator.Sum("assent_transactions_in_flight") == 0 &&
         pages.coordinator.Sum("assent_transactions_unfinished") == 0 &&
         pages.AtAgents("assent_agent_branches", {}) == 0 && messages == Messages(pages, false) &&
         messages.at("forget") >= messages.at("commit");
}

class CostTest : public SystemTest {
 protected:
  static constexpr int kTransactions = 10;

  // Nothing is said twice, no tick is written, no branch is scanned for and no link is given up on
  // a machine that is slow.
  static void SetUpTestSuite() {
    test_support::DeploymentOptions options;
    options.coordinator_settings = {
        {"tick_interval_ms", "3600000"},       {"resend_interval_ms", "600000"},
        {"resend_interval_max_ms", "3600000"}, {"prepare_timeout_ms", "600000"},
        {"apply_wait_ms", "600000"},           {"link_silence_max_ms", "60000"}};
    // A scan that falls between an application's COMMIT and its report would ask about the branch.
    options.agent_settings = {{"inquiry_age_ms", "600000"},
                              {"recovery_scan_interval_ms", "600000"}};
    StartHouse(options);
  }

  static Pages ReadPages() {
    auto page = [](const std::string& endpoint) {
      auto scrape = Scrape::From(endpoint);
      EXPECT_TRUE(scrape.ok()) << scrape.status().ToString();
      return scrape.ok() ? *scrape : Scrape();
    };
    return {.coordinator = page(House().coordinator().http_endpoint()),
            .agents = {page(House().postgres_agent().http_endpoint()),
                       page(House().mariadb_agent().http_endpoint())}};
  }
  // How often a link was made: a link that broke is made again, and what was lost is repeated.
  static size_t LinksMade() {
    size_t made = 0;
    for (const auto* agent : {&House().postgres_agent(), &House().mariadb_agent()}) {
      const std::string log = agent->Log();
      for (size_t at = 0; (at = log.find("link_up", at)) != std::string::npos; ++at) ++made;
    }
    return made;
  }

  // Runs `flow` kTransactions times, one after the other, and expects each to cost exactly `cost`.
  void ExpectEachCosts(const Cost& cost, const std::function<void()>& flow) {
    const size_t links = LinksMade();
    for (int i = 0; i < kTransactions; ++i) {
      const Pages before = ReadPages();
      flow();
      if (HasFailure()) return;
      Pages after;
      WaitUntil(seconds(30), [&] {
        after = ReadPages();
        return Quiet(after) && Between(before, after) == cost;
      });
      EXPECT_EQ(Between(before, after), cost) << "transaction " << i;
      EXPECT_TRUE(Quiet(after)) << "transaction " << i;
    }
    EXPECT_EQ(LinksMade(), links) << "a link broke meanwhile, so messages were repeated";
  }

  static client::Transaction Begin() { return Coordinators().Begin().value(); }
  std::string NextId() { return "cost" + std::to_string(number_++); }
  static void ReadIn(client::Transaction& transaction, const client::Agent& agent,
                     const char* resource) {
    client::OpenOptions options;
    options.read_only = true;
    options.statements = {{"SELECT count(*) FROM kept", {}}};
    ASSERT_TRUE(transaction.Open(agent, resource, options).ok());
  }
  static void Commit(client::Transaction& transaction) {
    auto result = transaction.Commit();
    ASSERT_EQ(result.outcome, Outcome::kCommitted) << result.ToString();
  }

  void WriteInBoth() {
    client::Transaction transaction = Begin();
    const std::string id = NextId();
    ASSERT_TRUE(InsertInPostgres(transaction, id).ok());
    ASSERT_TRUE(InsertInMariadb(transaction, id).ok());
    Commit(transaction);
  }
  static Pages WaitQuiet() {
    Pages pages;
    EXPECT_TRUE(WaitUntil(seconds(30), [&] {
      pages = ReadPages();
      return Quiet(pages);
    }));
    return pages;
  }

  static int number_;
};
int CostTest::number_ = 0;

// ---- The flows ----------------------------------------------------------------------------------

TEST_F(CostTest, TwoBranchesThatWrote) {
  ExpectEachCosts(Registration(2) + Committed(2, 0), [&] { WriteInBoth(); });
}

TEST_F(CostTest, TwoBranchesPreparedWithTheirLastWork) {
  ExpectEachCosts(PreparedEarly(2), [&] {
    client::Transaction transaction =
        Coordinators()
            .Begin({.branches = {{.resource = Deployment::kPostgresResource},
                                 {.resource = Deployment::kMariadbResource}}})
            .value();
    const std::string id = NextId();
    client::OpenOptions in_postgres{.statements = {{"INSERT INTO kept VALUES ($1)", {id}}},
                                    .prepare = true};
    client::OpenOptions in_mariadb{.statements = {{"INSERT INTO kept VALUES (?)", {id}}},
                                   .prepare = true};
    ASSERT_TRUE(transaction.Open(PostgresAgent(), Deployment::kPostgresResource, in_postgres).ok());
    ASSERT_TRUE(transaction.Open(MariadbAgent(), Deployment::kMariadbResource, in_mariadb).ok());
    Commit(transaction);
  });
}

TEST_F(CostTest, ABranchThatTheApplicationHoldsAndEnds) {
  pqxx::connection connection(House().postgres().Url());
  pqxx::nontransaction session(connection);
  ExpectEachCosts(EndedByTheApplication(1), [&] {
    const client::AppSession in_postgres(connection.backendpid(),
                                         [&](const std::string& sql) { session.exec(sql); });
    client::Transaction transaction =
        Coordinators()
            .Begin(
                {.branches = {{.resource = Deployment::kPostgresResource, .session = in_postgres}}})
            .value();
    session.exec("INSERT INTO kept VALUES ('" + NextId() + "')");
    Commit(transaction);
  });
}

TEST_F(CostTest, OneBranchThatWroteAndOneThatRead) {
  ExpectEachCosts(Registration(2) + Committed(1, 1), [&] {
    client::Transaction transaction = Begin();
    ASSERT_TRUE(InsertInPostgres(transaction, NextId()).ok());
    ReadIn(transaction, MariadbAgent(), Deployment::kMariadbResource);
    Commit(transaction);
  });
}

TEST_F(CostTest, TwoBranchesThatRead) {
  ExpectEachCosts(Registration(2) + ReadOnly(2), [&] {
    client::Transaction transaction = Begin();
    ReadIn(transaction, PostgresAgent(), Deployment::kPostgresResource);
    ReadIn(transaction, MariadbAgent(), Deployment::kMariadbResource);
    Commit(transaction);
  });
}

TEST_F(CostTest, RolledBackByTheClient) {
  ExpectEachCosts(Registration(2) + RolledBack(2), [&] {
    client::Transaction transaction = Begin();
    const std::string id = NextId();
    ASSERT_TRUE(InsertInPostgres(transaction, id).ok());
    ASSERT_TRUE(InsertInMariadb(transaction, id).ok());
    ASSERT_EQ(transaction.Rollback().outcome, Outcome::kAborted);
  });
}

// Which of the two votes comes first decides how many are told ABORT: an upper bound, and no write.
TEST_F(CostTest, AnAbortByVoteIsNeverWritten) {
  ASSERT_TRUE(House()
                  .postgres()
                  .Execute("CREATE TABLE late (id INT, CONSTRAINT one UNIQUE (id) DEFERRABLE "
                           "INITIALLY DEFERRED); INSERT INTO late VALUES (1)")
                  .ok());
  const Pages before = ReadPages();
  for (int i = 0; i < kTransactions; ++i) {
    client::Transaction transaction = Begin();
    client::OpenOptions options;
    options.statements = {{"INSERT INTO late VALUES (1)", {}}};  // Found at PREPARE.
    ASSERT_TRUE(transaction.Open(PostgresAgent(), Deployment::kPostgresResource, options).ok());
    ASSERT_TRUE(InsertInMariadb(transaction, NextId()).ok());
    auto result = transaction.Commit();
    ASSERT_EQ(result.outcome, Outcome::kAborted) << result.ToString();
    EXPECT_EQ(result.abort.cause, client::AbortCause::kBranchVotedNo);
  }
  // Links keep the order of what is said: when a later transaction is over, these are.
  WriteInBoth();
  const Pages after = WaitQuiet();
  const Cost later = Registration(2) + Committed(2, 0);
  Cost cost = Between(before, after) + -1 * later;
  EXPECT_EQ(cost["prepare"], 2 * kTransactions);
  EXPECT_GE(cost["vote"], kTransactions) << "the NO; a branch told ABORT meanwhile need not vote";
  EXPECT_LE(cost["prepare"] + cost["vote"] + cost["abort"] + cost["done"], 4 * 2 * kTransactions);
  for (const char* never : {"commit", "forget", "record decision", "record end", "log forced write",
                            "journal forced write", "database commit"}) {
    EXPECT_EQ(cost[never], 0) << never;
  }
}

// Back to back: a decision is forced by itself, END rides along or waits for its batch.
TEST_F(CostTest, EndIsLazy) {
  const Pages before = ReadPages();
  for (int i = 0; i < kTransactions; ++i) WriteInBoth();
  Cost cost = Between(before, WaitQuiet());
  EXPECT_EQ(cost["record decision"], kTransactions);
  EXPECT_LE(cost["record end"], kTransactions);
  EXPECT_GE(cost["log forced write"], kTransactions);
  EXPECT_LE(cost["log forced write"], kTransactions + cost["record end"]);
}

// ---- The pages ----------------------------------------------------------------------------------

TEST_F(CostTest, ThePagesAreWhatTheDocumentationSays) {
  WriteInBoth();  // Some series begin with their first branch.
  const Pages pages = WaitQuiet();
  EXPECT_THAT(DifferencesFromDocs(pages.coordinator, "assentd"), IsEmpty());
  for (const Scrape& agent : pages.agents) {
    EXPECT_THAT(DifferencesFromDocs(agent, "assent-agent"), IsEmpty());
  }
}

TEST_F(CostTest, HealthSaysServing) {
  for (const std::string& endpoint :
       {House().coordinator().http_endpoint(), House().postgres_agent().http_endpoint(),
        House().mariadb_agent().http_endpoint()}) {
    std::string body;
    EXPECT_TRUE(WaitUntil(seconds(30),
                          [&] {
                            auto health = test_support::HttpGet(endpoint, "/healthz");
                            body = health.ok() ? health->body : health.status().ToString();
                            return health.ok() && health->status == 200;
                          }))
        << endpoint << ": " << body;
    EXPECT_EQ(body, "{\"status\":\"serving\"}\n");
  }
}

}  // namespace
}  // namespace assent::system_tests
