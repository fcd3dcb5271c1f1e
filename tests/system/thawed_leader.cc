#include "tests/system/thawed_leader.h"

#include <signal.h>

#include <future>
#include <thread>

#include "tests/support/leader.h"
#include "tests/support/process.h"
#include "tests/support/scrape.h"
#include "tests/system/raw_node.h"

namespace assent::system_tests {
namespace {

using client::Outcome;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test_support::AssentdProcess;
using test_support::Scrape;

constexpr seconds kLimit{30};
constexpr int kQuestions = 8;  // Of each kind.

using Question = RawNode::Word (RawNode::*)(const std::string&, milliseconds) const;

// It holds the node frozen until it dies.
class Frost {
 public:
  explicit Frost(AssentdProcess& node) : node_(node) { node_.Signal(SIGSTOP); }
  ~Frost() { node_.Signal(SIGCONT); }

 private:
  AssentdProcess& node_;
};

Status CheckApplied(const Probe& probe, const std::string& gtrid, bool expected,
                    std::vector<std::string>* stale) {
  auto applied = probe.IsApplied(gtrid);
  if (!applied.ok()) return applied.status();
  if (*applied != expected) {
    stale->push_back(gtrid + (expected ? " is not applied" : " is applied"));
  }
  return Ok();
}

}  // namespace

Result<ThawedLeader> ThawedLeader::Ask(test_support::Deployment& house, Probe& probe,
                                       const std::function<void(AssentdProcess&)>& then) {
  ThawedLeader thawed;
  AssentdProcess* old = thawed.node = WaitLeader(house, kLimit);
  if (old == nullptr) return Unavailable("nobody leads");
  const test_support::TlsPaths& tls = house.client_tls();
  RawNode asked(*old, tls);
  auto open = probe.Work();
  if (!open.ok()) return open.status();
  const std::string lost = open->gtrid();

  std::vector<std::future<RawNode::Word>> of_lost;
  std::vector<std::future<RawNode::Word>> of_won;
  std::string won;
  {
    Frost frost(*old);
    then(*old);
    auto commit = probe.CommitOne(kLimit);
    if (!commit.ok()) return commit.status();
    thawed.next_commit = commit->committed;
    won = commit->gtrid;
    const client::CommitResult told = probe.coordinators().OutcomeOf(lost);
    if (told.outcome != Outcome::kAborted) return Internal(lost + ": " + told.ToString());
    auto ask = [&asked](Question question, const std::string& gtrid) {
      return std::async(std::launch::async, [&asked, question, gtrid] {
        return (asked.*question)(gtrid, seconds(10));
      });
    };
    for (int i = 0; i < kQuestions; ++i) {
      for (Question question : {&RawNode::Get, &RawNode::Commit}) {
        of_lost.push_back(ask(question, lost));
        of_won.push_back(ask(question, won));
      }
      of_won.push_back(ask(&RawNode::Rollback, won));
    }
    std::this_thread::sleep_for(milliseconds(200));  // Nobody says when they lie in the socket.
  }
  for (auto& word : of_lost) {
    const RawNode::Word said = word.get();
    if (said.outcome == v1::OUTCOME_COMMITTED) thawed.stale.push_back("lost: " + said.ToString());
  }
  for (auto& word : of_won) {
    const RawNode::Word said = word.get();
    if (said.outcome == v1::OUTCOME_ABORTED) thawed.stale.push_back("won: " + said.ToString());
  }
  const bool steps_down = test_support::WaitUntil(seconds(10), [&] {
    auto page = Scrape::From(old->http_endpoint(), {tls.ca_file, tls.cert_file, tls.key_file});
    return page.ok() && page->Sum("assent_leader") == 0;
  });
  if (!steps_down) return Internal(old->name() + " still says that it leads");
  if (Status s = CheckApplied(probe, lost, false, &thawed.stale); !s.ok()) return s;
  if (Status s = CheckApplied(probe, won, true, &thawed.stale); !s.ok()) return s;
  return thawed;
}

}  // namespace assent::system_tests
