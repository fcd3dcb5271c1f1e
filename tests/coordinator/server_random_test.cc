// Whatever happens in whatever order, the driver never says two outcomes of one transaction: random
// walks over clients, agents, time, the log's fates, crashes and losses of leadership.
#include <map>
#include <random>
#include <set>

#include "tests/coordinator/driver_fixture.h"

namespace assent::coordinator {
namespace {

using namespace std::chrono_literals;

class RandomTest : public DriverTest {
 protected:
  struct Known {
    std::vector<Gid> gids;
    std::vector<Pending<CommitAnswer>> commits;
    std::vector<Pending<RollbackAnswer>> rollbacks;
    std::set<Outcome> told;
    bool wrote = false;  // A yes was cast: what only reads is not remembered.
  };

  void Walk(uint64_t seed, int steps) {
    random_.seed(seed);
    Boot();
    pg_ = Connect("agent-pg", {"pg"}, incarnations_["pg"] = 1);
    my_ = Connect("agent-my", {"my"}, incarnations_["my"] = 1);
    for (int step = 0; step < steps && !HasFailure(); ++step) {
      Step();
      Look();
    }
    Settle();
  }

  uint64_t Pick(uint64_t n) { return random_() % n; }

  void Step() {
    switch (Pick(16)) {
      case 0:
        if (Pick(2) != 0) break;
        if (auto begun = TryBegin(); begun.answered() && !begun.refused()) known_[begun->gtrid];
        break;
      case 1:
      case 2:
        OpenSomething();
        break;
      case 3:
        if (Pick(2) != 0) break;
        if (Known* one = Any()) one->commits.push_back(Commit(picked_, Pick(2) == 0));
        break;
      case 4:
        if (Pick(10) == 0) {
          if (Known* one = Any()) one->rollbacks.push_back(Rollback(picked_));
        }
        break;
      case 5:
      case 6:
      case 7:
        VoteOnSomething();
        break;
      case 8:
        FinishSomething();
        break;
      case 9:
        if (Known* one = Any(); one != nullptr && !one->gids.empty()) {
          const Gid& gid = one->gids[Pick(one->gids.size())];
          // Nothing is prepared that has only read, so nobody asks.
          if (AgentOf(gid) && !read_only_.contains(gid)) Ask(*AgentOf(gid), gid);
        }
        break;
      case 10:
        if (!pg_ || !my_ || Pick(8) == 0) Redial();
        break;
      case 11:
        log_.mode = Pick(8) == 0   ? FakeLog::Mode::kRefuse
                    : Pick(3) == 0 ? FakeLog::Mode::kApply
                                   : FakeLog::Mode::kHold;
        break;
      case 12:
      case 13:
        if (log_.held.empty()) break;
        if (Pick(8) == 0) {
          log_.DropHeld(txlog::Fate::kRefused);
        } else {
          log_.SayDurable();
          Pump();
          Look();
          log_.ApplyHeld();
        }
        Pump();
        break;
      case 14:
        Pass(std::chrono::milliseconds(Pick(20) == 0 ? 61'000 : Pick(3'000)));
        break;
      case 15:
        if (Pick(8) == 0) LoseEverything();
        break;
    }
  }

  Known* Any() {
    if (known_.empty()) return nullptr;
    // Mostly the newest ones: they are alive.
    auto it = known_.end();
    std::advance(it, -1 - static_cast<ptrdiff_t>(Pick(std::min<size_t>(known_.size(), 4))));
    if (Pick(16) == 0) it = std::next(known_.begin(), static_cast<ptrdiff_t>(Pick(known_.size())));
    picked_ = it->first;
    return &it->second;
  }

  std::shared_ptr<FakeAgent>& AgentOf(const Gid& gid) {
    return gid.bqual.resource == "pg" ? pg_ : my_;
  }

  void OpenSomething() {
    Known* one = Any();
    if (one == nullptr || one->gids.size() >= 3) return;
    const char* resource = Pick(2) == 0 ? "pg" : "my";
    Gid like;
    like.bqual.resource = resource;
    if (!AgentOf(like)) return;
    RegisterAnswer answer = TryOpen(*AgentOf(like), picked_, resource, next_request_++);
    if (answer.gid) one->gids.push_back(*answer.gid);
  }

  void VoteOnSomething() {
    Known* one = Any();
    if (one == nullptr) return;
    for (const Gid& gid : std::vector(one->gids)) {
      if (Pick(4) != 0) VoteOnBranch(*one, gid);
    }
  }

  void VoteOnBranch(Known& one, const Gid& gid) {
    auto agent = AgentOf(gid);
    if (!agent || !agent->ToldToPrepare(gid) || dead_.contains(gid)) return;
    switch (Pick(20)) {
      case 0:
        dead_.insert(gid);
        VoteOn(*agent, gid, Vote::kNo);
        break;
      case 1:
        if (voted_.contains(gid)) break;
        dead_.insert(gid);
        read_only_.insert(gid);
        VoteOn(*agent, gid, Vote::kReadOnly);
        break;
      default:
        one.wrote = true;
        voted_.insert(gid);
        VoteOn(*agent, gid, Vote::kYes, "e");
        break;
    }
  }

  void FinishSomething() {
    Known* one = Any();
    if (one == nullptr || one->gids.empty()) return;
    const Gid& gid = one->gids[Pick(one->gids.size())];
    auto agent = AgentOf(gid);
    if (agent && commit_told_.contains(gid)) {
      Report(*agent, gid, Pick(8) == 0 ? BranchViewState::kHazard : BranchViewState::kCommitted);
    }
  }

  void Redial() {
    auto& agent = Pick(2) == 0 ? pg_ : my_;
    const std::string resource = &agent == &pg_ ? "pg" : "my";
    const bool restarted = Pick(4) == 0;
    if (agent) {
      Look();
      const bool stays_away = Pick(3) == 0;
      // The same process may dial again before its old link is seen to be dead.
      if (stays_away || restarted || Pick(2) == 0) Disconnect(*agent);
      if (stays_away) {
        agent.reset();
        return;
      }
    }
    incarnation_ += restarted ? 1 : 0;
    uint64_t& mine = incarnations_[resource];
    if (restarted || mine == 0) mine = incarnation_;
    if (restarted) {
      // Unprepared branches died with it: it has no yes to say of them.
      for (auto& [gtrid, one] : known_) {
        for (const Gid& gid : one.gids) {
          if (gid.bqual.resource == resource && !voted_.contains(gid)) dead_.insert(gid);
        }
      }
    }
    agent = Connect("agent-" + resource, {resource}, mine);
  }

  // A crash or a lost lead; what the log had taken survives, or does not.
  void LoseEverything() {
    Look();
    const Term term = log_.term();
    // Durable, and yet no decision: it is applied in another term than its own.
    const bool late = !log_.held.empty() && Pick(3) == 0;
    if (late) {
      log_.SayDurable();
      Pump();
      Look();
    }
    auto held = std::exchange(log_.held, {});
    const size_t survive = Pick(held.size() + 1);
    if (!late && Pick(2) == 0) {
      for (size_t i = 0; i < survive; ++i) log_.Append(held[i].term, held[i].record);
      for (auto& [gtrid, one] : known_) {
        one.commits.clear();  // Nobody hears the dead.
        one.rollbacks.clear();
      }
      Restart();
      return;
    }
    log_.Lose(term + 1);
    Pump();
    for (size_t i = 0; i < survive; ++i)
      log_.ApplyFromOther(late ? term + 1 : held[i].term, held[i].record);
    for (auto& one : held) one.done(txlog::Fate::kInDoubt);
    log_.ApplyFromOther(term + 1);
    log_.Win(term + 2);
    Pump();
    Look();
    log_.ApplyNoop();
    Pump();
  }

  // Takes in what was said, and holds it against what was said before.
  void Look() {
    for (auto& agent : {pg_, my_}) {
      if (!agent) continue;
      for (const FinishOrder& order : agent->told.finishes) Told(order.gid, order.commit);
      for (const InquiryReply& reply : agent->told.answers) {
        if (reply.answer == AgentAnswer::kCommit) Told(reply.gid, true);
        if (reply.answer == AgentAnswer::kAbort) Told(reply.gid, false);
      }
    }
    for (auto& [gtrid, one] : known_) {
      for (auto& commit : one.commits) {
        if (commit.answered() && !commit.refused()) Note(gtrid, one, commit->outcome);
      }
      for (auto& rollback : one.rollbacks) {
        if (rollback.answered() && !rollback.refused()) Note(gtrid, one, rollback->outcome);
      }
    }
  }

  void Told(const Gid& gid, bool commit) {
    (commit ? commit_told_ : abort_told_).insert(gid);
    EXPECT_FALSE(commit_told_.contains(gid) && abort_told_.contains(gid)) << ToString(gid);
    if (commit) {
      EXPECT_TRUE(voted_.contains(gid)) << ToString(gid);
    }
  }

  void Note(const Gtrid& gtrid, Known& one, Outcome outcome) {
    if (outcome == Outcome::kUnknown) return;
    EXPECT_NE(outcome, Outcome::kExpired);
    one.told.insert(outcome);
    if (one.wrote) {
      EXPECT_EQ(one.told.size(), 1u) << ToString(gtrid);
    }
    for (const Gid& gid : one.gids) {
      if (outcome == Outcome::kAborted && one.wrote) {
        EXPECT_FALSE(commit_told_.contains(gid)) << ToString(gid);
      }
      if (outcome == Outcome::kCommitted && voted_.contains(gid)) {
        EXPECT_FALSE(abort_told_.contains(gid)) << ToString(gid);
      }
    }
  }

  // All faults are repaired and stay away: everything must come to an end.
  void Settle() {
    log_.mode = FakeLog::Mode::kApply;
    while (!log_.held.empty()) log_.ApplyHeld();
    Pump();
    for (auto* agent : {&pg_, &my_}) {
      const std::string resource = agent == &pg_ ? "pg" : "my";
      if (*agent) Disconnect(**agent);
      *agent = Connect("agent-" + resource, {resource}, ++incarnation_);
    }
    for (int i = 0; i < 4; ++i) {
      Pass(limits_.transaction_timeout + limits_.prepare_timeout);
      Look();
      for (auto& [gtrid, one] : known_) {
        for (const Gid& gid : one.gids) {
          if (voted_.contains(gid) && Ask(*AgentOf(gid), gid) == AgentAnswer::kCommit) {
            Report(*AgentOf(gid), gid);
          }
        }
      }
    }
    Pass(1s);
    for (auto& [gtrid, one] : known_) {
      for (auto& commit : one.commits) EXPECT_TRUE(commit.answered()) << ToString(gtrid);
      one.commits.push_back(Commit(gtrid));
      EXPECT_TRUE(one.commits.back().answered());
    }
    Look();
    const StatusAnswer status = GetStatus();
    EXPECT_EQ(status.live, 0u);
    EXPECT_EQ(status.unfinished, 0u);  // Heuristic ones wait for an operator.
  }

  std::mt19937_64 random_;
  std::map<Gtrid, Known> known_;
  Gtrid picked_;
  std::set<Gid> voted_, read_only_, dead_, commit_told_, abort_told_;
  std::map<std::string, uint64_t> incarnations_;
  uint64_t incarnation_ = 1;
};

class RandomWalk : public RandomTest, public ::testing::WithParamInterface<uint64_t> {};

TEST_P(RandomWalk, NeverSaysTwoOutcomes) { Walk(GetParam(), 1000); }

INSTANTIATE_TEST_SUITE_P(Seeds, RandomWalk, ::testing::Range<uint64_t>(0, 150));

}  // namespace
}  // namespace assent::coordinator
