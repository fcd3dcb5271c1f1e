// Runs tests/testdata/phase_two/*.txt against the core that finishes committed transactions.
#include "coordinator/core/phase_two.h"

#include <gtest/gtest.h>

#include <optional>

#include "base/mutant.h"
#include "tests/support/transcript.h"

namespace assent::coordinator {
namespace {

using tests::Command;

const Gtrid kGtrid{.cluster = "test", .incarnation = 1, .group = 0, .epoch = 5, .seq = 1};

Decision TwoBranches() {
  Decision decision{.gtrid = kGtrid};
  decision.branches.push_back({{.resource = "orders_pg", .branch = 0, .attempt = 1}, "xid=7"});
  decision.branches.push_back({{.resource = "stock_my", .branch = 1, .attempt = 1}, ""});
  return decision;
}

// "decided orders_pg:app": that branch is app-held and ended by the application; ":held": app-held
// and ended by the agent.
class Player {
 public:
  std::vector<std::string> Perform(const Command& c) {
    if (c.verb == "decided") {
      std::map<uint32_t, AppHeld> app_held;
      for (const std::string& word : c.words) {
        const size_t colon = word.find(':');
        app_held[GidOf(word.substr(0, colon)).bqual.branch] = {
            .finisher = word.substr(colon) == ":app" ? Finisher::kApp : Finisher::kAgent};
      }
      core_.emplace(TwoBranches(), app_held);
      return {};
    }
    auto event = EventOf(c);
    if (!event) {
      ADD_FAILURE() << "unknown verb: " << c.line;
      return {};
    }
    std::vector<std::string> lines;
    for (const PhaseTwoAction& action : core_->Step(*event)) {
      lines.push_back(std::visit([](const auto& a) { return Say(a); }, action));
    }
    return lines;
  }

 private:
  std::optional<PhaseTwoEvent> EventOf(const Command& c) {
    if (c.verb == "start") return StartPhaseTwo{};
    if (c.verb == "again") return TellAgain{.resource = c.Option("resource")};
    if (c.verb == "ended") {
      return BranchEnded{
          .gid = GidOf(c.Word(0)), .end = EndOf(c.Word(1)), .detail = c.Option("detail")};
    }
    if (c.verb == "reported") return ApplicationReported{.gid = GidOf(c.Word(0))};
    if (c.verb == "grace") return GracePassed{};
    if (c.verb == "waits") return BranchWaits{.gid = GidOf(c.Word(0))};
    if (c.verb == "logged")
      return HeuristicLogged{.gid = GidOf(c.Word(0)), .end = EndOf(c.Word(1))};
    return std::nullopt;
  }
  static Gid GidOf(const std::string& name) {
    std::string resource = name.substr(0, name.find('@'));
    Gid gid{
        .gtrid = kGtrid,
        .bqual = {.resource = resource, .branch = resource == "orders_pg" ? 0u : 1u, .attempt = 1}};
    if (size_t at = name.find('@'); at != std::string::npos) {
      gid.bqual.attempt = std::stoul(name.substr(at + 1));
    }
    return gid;
  }
  static BranchEnd EndOf(const std::string& word) {
    if (word == "committed") return BranchEnd::kCommitted;
    return word == "rolled_back" ? BranchEnd::kHeuristicRollback : BranchEnd::kHazard;
  }
  static std::string Say(const SendCommit& a) {
    std::string held;
    if (a.app_held) held = a.app_held->finisher == Finisher::kApp ? ":app" : ":held";
    return "commit " + a.gid.bqual.resource + held + (a.evidence.empty() ? "" : " " + a.evidence);
  }
  static std::string Say(const AwaitApplication&) { return "await application"; }
  static std::string Say(const ProposeHeuristic& a) {
    return "propose heuristic " + a.gid.bqual.resource +
           (a.end == BranchEnd::kHazard ? " hazard" : " rolled_back");
  }
  static std::string Say(const ProposeEnd&) { return "propose end"; }
  static std::string Say(const Applied& a) { return a.applied ? "applied" : "finished heuristic"; }
  static std::string Say(const ForgetAtAgent& a) { return "forget " + a.gid.bqual.resource; }

  std::optional<PhaseTwo> core_;
};

TEST(PhaseTwo, Transcripts) {
  for (const auto& file : tests::Transcripts("phase_two")) {
    SCOPED_TRACE(file.filename().string());
    Player player;
    tests::RunTranscript(file, [&](const Command& c) { return player.Perform(c); });
  }
}

#if defined(ASSENT_FAILPOINTS)

// END before every DONE would forget a branch that is still prepared somewhere.
bool EndsTooEarly() {
  PhaseTwo core(TwoBranches());
  core.Step(StartPhaseTwo{});
  for (const auto& action :
       core.Step(BranchEnded{.gid = {kGtrid, core.decision().branches[0].bqual}})) {
    if (std::holds_alternative<ProposeEnd>(action)) return true;
  }
  return false;
}

TEST(PhaseTwoSeededBugs, EndTooEarlyIsCaught) {
  EXPECT_FALSE(EndsTooEarly());
  ScopedMutant mutant(Mutant::kEndTooEarly);
  EXPECT_TRUE(EndsTooEarly());
}

// The agent would kill the session on which the application is about to commit.
bool SkipsTheGrace() {
  PhaseTwo core(TwoBranches(), {{0, {.finisher = Finisher::kApp}}});
  for (const auto& action : core.Step(StartPhaseTwo{})) {
    const auto* commit = std::get_if<SendCommit>(&action);
    if (commit != nullptr && commit->gid.bqual.branch == 0) return true;
  }
  return false;
}

TEST(PhaseTwoSeededBugs, ACommitBeforeTheGraceHasPassedIsCaught) {
  EXPECT_FALSE(SkipsTheGrace());
  ScopedMutant mutant(Mutant::kGraceSkipped);
  EXPECT_TRUE(SkipsTheGrace());
}

// What the agent is to commit would be forgotten while it is prepared.
bool AnyReportEndsABranch() {
  PhaseTwo core(TwoBranches(), {{0, {.finisher = Finisher::kAgent}}});
  core.Step(StartPhaseTwo{});
  for (const DecidedBranch& branch : core.decision().branches) {
    core.Step(ApplicationReported{{kGtrid, branch.bqual}});
  }
  return core.Pending().size() < core.branches().size();
}

TEST(PhaseTwoSeededBugs, AReportOfABranchThatTheAgentEndsIsCaught) {
  EXPECT_FALSE(AnyReportEndsABranch());
  ScopedMutant mutant(Mutant::kAnyReportCounts);
  EXPECT_TRUE(AnyReportEndsABranch());
}

#endif

}  // namespace
}  // namespace assent::coordinator
