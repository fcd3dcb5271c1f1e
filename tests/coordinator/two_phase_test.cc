// Runs tests/testdata/two_phase/*.txt against the voting core.
#include "coordinator/core/two_phase.h"

#include <gtest/gtest.h>

#include <optional>

#include "base/mutant.h"
#include "tests/support/transcript.h"

namespace assent::coordinator {
namespace {

using tests::Command;

const Gtrid kGtrid{.cluster = "test", .incarnation = 1, .group = 0, .epoch = 5, .seq = 1};

// Speaks the transcripts' language: a branch is its resource, "orders_pg@1" an older attempt.
class Player {
 public:
  std::vector<std::string> Perform(const Command& c) {
    if (c.verb == "begin") {
      core_.emplace(kGtrid, c.Option("key"));
      gids_.clear();
      return {};
    }
    auto event = EventOf(c);
    if (!event) {
      ADD_FAILURE() << "unknown verb: " << c.line;
      return {};
    }
    std::vector<std::string> lines;
    for (const Action& action : core_->Step(*event)) {
      lines.push_back(std::visit([this](const auto& a) { return Say(a); }, action));
    }
    return lines;
  }

 private:
  std::optional<Event> EventOf(const Command& c) {
    if (c.verb == "register") {
      Register event{.id = {1, next_request_++}, .resource = c.Word(0)};
      if (c.options.contains("request")) event.id.request = std::stoull(c.Option("request"));
      if (c.options.contains("again")) event.again = std::stoul(c.Option("again"));
      return event;
    }
    if (c.verb == "commit") return CommitAsked{};
    if (c.verb == "rollback") return RollbackAsked{};
    if (c.verb == "deadline") return DeadlinePassed{};
    if (c.verb == "timeout") {
      PrepareTimedOut event;
      if (c.options.contains("unreachable")) {
        event.unreachable.push_back(GidOf(c.Option("unreachable")));
      }
      return event;
    }
    if (c.verb == "vote") {
      std::string vote = c.Word(1);
      return VoteReceived{.gid = GidOf(c.Word(0)),
                          .vote = vote == "yes"  ? Vote::kYes
                                  : vote == "no" ? Vote::kNo
                                                 : Vote::kReadOnly,
                          .evidence = c.Option("evidence"),
                          .failure = {.database_code = c.Option("code")}};
    }
    if (c.verb == "lost") {
      return BranchLost{.gid = GidOf(c.Word(0)), .failure = {.database_code = c.Option("code")}};
    }
    if (c.verb == "applied") return DecisionApplied{.accepted = true};
    if (c.verb == "ignored") {
      return DecisionApplied{.accepted = false,
                             .why_not = c.Word(0) == "key_conflict" ? AbortCause::kKeyConflict
                                                                    : AbortCause::kPresumed};
    }
    if (c.verb == "refused") return ProposalRefused{};
    if (c.verb == "in_doubt") return ProposalInDoubt{};
    if (c.verb == "later_term") return LaterTermApplied{};
    return std::nullopt;
  }

  Gid GidOf(const std::string& name) {
    std::string resource = name.substr(0, name.find('@'));
    Gid gid{.gtrid = kGtrid, .bqual = {.resource = resource, .branch = 99, .attempt = 1}};
    if (auto it = gids_.find(resource); it != gids_.end()) gid = it->second;
    if (size_t at = name.find('@'); at != std::string::npos) {
      gid.bqual.attempt = std::stoul(name.substr(at + 1));
    }
    return gid;
  }

  std::string Say(const AcknowledgeRegistration& a) {
    gids_[a.gid.bqual.resource] = a.gid;
    return "registered " + a.gid.bqual.resource + " branch=" + std::to_string(a.gid.bqual.branch) +
           " attempt=" + std::to_string(a.gid.bqual.attempt);
  }
  std::string Say(const RefuseRegistration& a) {
    switch (a.why) {
      case RegistrationRefusal::kNotActive:
        return "registration refused: not active";
      case RegistrationRefusal::kTooManyBranches:
        return "registration refused: too many branches";
      case RegistrationRefusal::kUnknownBranch:
        return "registration refused: unknown branch";
    }
    return {};
  }
  std::string Say(const SendPrepare& a) { return "prepare " + Name(a.gid.bqual); }
  std::string Say(const SendAbort& a) { return "abort " + Name(a.gid.bqual); }
  std::string Say(const ProposeCommit& a) {
    std::string line = "propose commit branches=(";
    for (const DecidedBranch& b : a.decision.branches) {
      if (&b != &a.decision.branches.front()) line += ",";
      line += Name(b.bqual);
      if (!b.evidence.empty()) line += " " + b.evidence;
    }
    line += ")";
    if (!a.decision.client_key.empty()) line += " key=" + a.decision.client_key;
    return line;
  }
  std::string Say(const Settle& a) {
    std::string line = a.outcome == Outcome::kCommitted ? "settle committed" : "settle aborted";
    if (a.read_only) line += " without record";
    if (a.abort) {
      line += " cause=" + std::string(AbortCauseName(a.abort->cause));
      if (a.abort->gid) line += " branch=" + Name(a.abort->gid->bqual);
      if (!a.abort->failure.database_code.empty()) {
        line += " code=" + a.abort->failure.database_code;
      }
    }
    return line;
  }
  static std::string Name(const Bqual& b) {
    return b.attempt == 1 ? b.resource : b.resource + "@" + std::to_string(b.attempt);
  }

  std::optional<TwoPhase> core_;
  std::map<std::string, Gid> gids_;
  uint64_t next_request_ = 100;
};

TEST(TwoPhase, Transcripts) {
  for (const auto& file : tests::Transcripts("two_phase")) {
    SCOPED_TRACE(file.filename().string());
    Player player;
    tests::RunTranscript(file, [&](const Command& c) { return player.Perform(c); });
  }
}

TEST(TwoPhase, RefusesTheBranchBeyondTheMaximum) {
  TwoPhase core(kGtrid, "");
  for (uint64_t i = 0; i < kBranchesMax; ++i) core.Step(Register{{1, i}, "orders_pg", {}});
  auto actions = core.Step(Register{{1, kBranchesMax}, "orders_pg", {}});
  ASSERT_EQ(actions.size(), 1u);
  EXPECT_EQ(std::get<RefuseRegistration>(actions[0]).why, RegistrationRefusal::kTooManyBranches);
}

#if defined(ASSENT_FAILPOINTS)

// protocols.md 16.1: nothing but the log may abort what is on its way to the log.
bool AbortsWhileProposing() {
  TwoPhase core(kGtrid, "");
  core.Step(Register{{1, 1}, "orders_pg", {}});
  core.Step(CommitAsked{});
  core.Step(VoteReceived{.gid = core.branches()[0].gid, .vote = Vote::kYes});
  EXPECT_EQ(core.phase(), TwoPhase::Phase::kProposed);
  return !core.Step(RollbackAsked{}).empty() || core.phase() == TwoPhase::Phase::kAborted;
}

TEST(TwoPhaseSeededBugs, AbortWhileProposingIsCaught) {
  EXPECT_FALSE(AbortsWhileProposing());
  ScopedMutant mutant(Mutant::kAbortWhileProposing);
  EXPECT_TRUE(AbortsWhileProposing());
}

// 16.3: two PREPAREs of one branch never share a gid.
bool ReusesAGid() {
  TwoPhase core(kGtrid, "");
  core.Step(Register{{1, 1}, "orders_pg", {}});
  Gid first = core.branches()[0].gid;
  core.Step(Register{{1, 2}, "orders_pg", 0});
  return core.branches()[0].gid == first;
}

TEST(TwoPhaseSeededBugs, GidReusedIsCaught) {
  EXPECT_FALSE(ReusesAGid());
  ScopedMutant mutant(Mutant::kGidReused);
  EXPECT_TRUE(ReusesAGid());
}

#endif

}  // namespace
}  // namespace assent::coordinator
