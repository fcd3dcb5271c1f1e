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
const NewBranch kOrders{.resource = "orders_pg", .app_held = std::nullopt, .holder = 1};

// Speaks the transcripts' language. A branch is its resource, "orders_pg@1" an older attempt. Where
// one is registered, "orders_pg:held" is app-held, "orders_pg:app" also ended by the application. A
// ticket is "orders_pg:yes" or "orders_pg:ro". Agents are of incarnation 1 unless agent= says so.
class Player {
 public:
  std::vector<std::string> Perform(const Command& c) {
    if (c.verb == "begin") return Begin(c);
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
  std::vector<std::string> Begin(const Command& c) {
    core_.emplace(kGtrid, c.Option("key"));
    gids_.clear();
    if (c.words.empty()) return {};
    RegisterAtBegin event;
    for (const std::string& word : c.words) event.branches.push_back(BranchOf(word, c));
    EXPECT_TRUE(core_->Step(event).empty());
    std::vector<std::string> lines;
    for (const TwoPhase::Branch& branch : core_->branches()) {
      lines.push_back(Say(AcknowledgeRegistration{{}, branch.gid}));
    }
    return lines;
  }

  static std::pair<std::string, std::string> Split(const std::string& word) {
    const size_t colon = word.find(':');
    if (colon == std::string::npos) return {word, ""};
    return {word.substr(0, colon), word.substr(colon + 1)};
  }
  static uint64_t AgentOf(const Command& c) { return std::stoull(c.Option("agent", "1")); }
  static NewBranch BranchOf(const std::string& word, const Command& c) {
    auto [resource, kind] = Split(word);
    NewBranch branch{.resource = resource};
    if (kind.empty()) {
      branch.holder = AgentOf(c);
    } else {
      branch.app_held = AppHeld{.finisher = kind == "app" ? Finisher::kApp : Finisher::kAgent};
    }
    return branch;
  }

  std::optional<Event> EventOf(const Command& c) {
    if (c.verb == "register") {
      Register event{.id = {AgentOf(c), next_request_++}, .branch = BranchOf(c.Word(0), c)};
      if (c.options.contains("request")) event.id.request = std::stoull(c.Option("request"));
      if (c.options.contains("again")) event.again = GidOf(c.Option("again"));
      return event;
    }
    if (c.verb == "commit") {
      CommitAsked event;
      for (const std::string& word : c.words) {
        auto [name, vote] = Split(word);
        event.tickets.push_back({.gid = GidOf(name),
                                 .agent_incarnation = AgentOf(c),
                                 .evidence = c.Option("evidence"),
                                 .read_only = vote == "ro"});
      }
      return event;
    }
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
                          .agent_incarnation = AgentOf(c),
                          .vote = vote == "yes"  ? Vote::kYes
                                  : vote == "no" ? Vote::kNo
                                                 : Vote::kReadOnly,
                          .evidence = c.Option("evidence"),
                          .failure = {.database_code = c.Option("code")}};
    }
    if (c.verb == "lost") {
      return BranchLost{.gid = GidOf(c.Word(0)), .failure = {.database_code = c.Option("code")}};
    }
    if (c.verb == "restarted") return HolderRestarted{.gid = GidOf(c.Word(0))};
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
      case RegistrationRefusal::kTooManyAttempts:
        return "registration refused: too many attempts";
      case RegistrationRefusal::kUnknownBranch:
        return "registration refused: unknown branch";
    }
    return {};
  }
  std::string Say(const SendPrepare& a) {
    return "prepare " + Name(a.gid.bqual) + Held(a.app_held);
  }
  std::string Say(const SendAbort& a) { return "abort " + Name(a.gid.bqual) + Held(a.app_held); }
  static std::string Held(const std::optional<AppHeld>& app_held) {
    if (!app_held) return "";
    return app_held->finisher == Finisher::kApp ? ":app" : ":held";
  }
  std::string Say(const ProposeCommit& a) {
    std::string line = "propose commit branches=(";
    for (const DecidedBranch& b : a.decision.branches) {
      if (&b != &a.decision.branches.front()) line += ",";
      line += Name(b.bqual);
      if (!b.evidence.empty()) line += " " + b.evidence;
    }
    line += ")";
    for (uint32_t branch : a.decision.voided_readers) {
      line += " voided_reader=" + std::to_string(branch);
    }
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
  for (uint64_t i = 0; i < kBranchesMax; ++i) core.Step(Register{{1, i}, kOrders, {}});
  auto actions = core.Step(Register{{1, kBranchesMax}, kOrders, {}});
  ASSERT_EQ(actions.size(), 1u);
  EXPECT_EQ(std::get<RefuseRegistration>(actions[0]).why, RegistrationRefusal::kTooManyBranches);
}

TEST(TwoPhase, RefusesTheAttemptBeyondTheMaximum) {
  TwoPhase core(kGtrid, "");
  core.Step(Register{{1, 1}, kOrders, {}});
  for (uint64_t i = 2; i <= kAttemptsMax; ++i) {
    core.Step(Register{{1, i}, kOrders, core.branches()[0].gid});
  }
  EXPECT_EQ(core.branches()[0].gid.bqual.attempt, kAttemptsMax);
  auto actions = core.Step(Register{{1, kAttemptsMax + 1}, kOrders, core.branches()[0].gid});
  ASSERT_EQ(actions.size(), 1u);
  EXPECT_EQ(std::get<RefuseRegistration>(actions[0]).why, RegistrationRefusal::kTooManyAttempts);
}

TEST(TwoPhase, OnlyAReplacedAttemptIsVoid) {
  TwoPhase core(kGtrid, "");
  core.Step(Register{{1, 1}, kOrders, {}});
  const Gid first = core.branches()[0].gid;
  EXPECT_FALSE(core.IsVoid(first));
  core.Step(Register{{1, 2}, kOrders, first});
  EXPECT_TRUE(core.IsVoid(first));
  EXPECT_FALSE(core.IsVoid(core.branches()[0].gid));
  for (auto change : {+[](Gid& gid) { ++gid.gtrid.seq; }, +[](Gid& gid) { ++gid.bqual.branch; },
                      +[](Gid& gid) { gid.bqual.attempt = 0; },
                      +[](Gid& gid) { gid.bqual.resource = "other"; }}) {
    Gid stranger = first;
    change(stranger);
    EXPECT_FALSE(core.IsVoid(stranger)) << ToString(stranger.bqual);
  }
}

// The agent learns from each order what it must know of an application's session.
TEST(TwoPhase, OrdersCarryTheApplicationsSession) {
  const AppHeld named{
      .connection_id = "4711", .finisher = Finisher::kApp, .named = MonotonicTime{}};
  TwoPhase core(kGtrid, "");
  core.Step(RegisterAtBegin{{{.resource = "orders_pg", .app_held = named}}});
  auto prepare = core.Step(CommitAsked{});
  ASSERT_EQ(prepare.size(), 1u);
  EXPECT_EQ(std::get<SendPrepare>(prepare[0]).app_held, named);
  auto abort = core.Step(RollbackAsked{});
  ASSERT_EQ(abort.size(), 2u);
  EXPECT_EQ(std::get<SendAbort>(abort[0]).app_held, named);
}

#if defined(ASSENT_FAILPOINTS)

// protocols.md 16.1: nothing but the log may abort what is on its way to the log.
bool AbortsWhileProposing() {
  TwoPhase core(kGtrid, "");
  core.Step(Register{{1, 1}, kOrders, {}});
  core.Step(CommitAsked{});
  core.Step(
      VoteReceived{.gid = core.branches()[0].gid, .agent_incarnation = 1, .vote = Vote::kYes});
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
  core.Step(Register{{1, 1}, kOrders, {}});
  Gid first = core.branches()[0].gid;
  core.Step(Register{{1, 2}, kOrders, first});
  return core.branches()[0].gid == first;
}

TEST(TwoPhaseSeededBugs, GidReusedIsCaught) {
  EXPECT_FALSE(ReusesAGid());
  ScopedMutant mutant(Mutant::kGidReused);
  EXPECT_TRUE(ReusesAGid());
}

// Section 5: what was prepared under an attempt that was replaced may be anything.
bool VoidTicketCommits() {
  TwoPhase core(kGtrid, "");
  core.Step(Register{{1, 1}, kOrders, {}});
  Gid first = core.branches()[0].gid;
  core.Step(Register{{1, 2}, kOrders, first});
  core.Step(CommitAsked{{{.gid = first, .agent_incarnation = 1}}});
  return core.phase() == TwoPhase::Phase::kProposed;
}

TEST(TwoPhaseSeededBugs, ATicketOfAVoidAttemptIsCaught) {
  EXPECT_FALSE(VoidTicketCommits());
  ScopedMutant mutant(Mutant::kVoidTicketCounts);
  EXPECT_TRUE(VoidTicketCommits());
}

// Another life of the agent has prepared other work under the same gid.
bool StrangersTicketCommits() {
  TwoPhase core(kGtrid, "");
  core.Step(RegisterAtBegin{{kOrders}});
  core.Step(CommitAsked{{{.gid = core.branches()[0].gid, .agent_incarnation = 2}}});
  return core.phase() == TwoPhase::Phase::kProposed;
}

TEST(TwoPhaseSeededBugs, ATicketOfWhoHoldsNoSessionIsCaught) {
  EXPECT_FALSE(StrangersTicketCommits());
  ScopedMutant mutant(Mutant::kStrangerVotes);
  EXPECT_TRUE(StrangersTicketCommits());
}

// 16.2: the registered set is the transaction.
bool TicketMakesABranch() {
  TwoPhase core(kGtrid, "");
  core.Step(Register{{1, 1}, kOrders, {}});
  Gid stranger = core.branches()[0].gid;
  ++stranger.bqual.branch;
  core.Step(CommitAsked{{{.gid = stranger, .agent_incarnation = 1}}});
  return core.branches().size() > 1;
}

TEST(TwoPhaseSeededBugs, ATicketThatMakesABranchIsCaught) {
  EXPECT_FALSE(TicketMakesABranch());
  ScopedMutant mutant(Mutant::kTicketMakesBranch);
  EXPECT_TRUE(TicketMakesABranch());
}

// Section 5: an agent is no part of an app-held branch, and its restart no reason to abort one.
bool AppHeldDiesWithAgent() {
  TwoPhase core(kGtrid, "");
  core.Step(RegisterAtBegin{{{.resource = "orders_pg", .app_held = AppHeld{}}}});
  core.Step(HolderRestarted{.gid = core.branches()[0].gid, .failure = {}});
  return core.phase() == TwoPhase::Phase::kAborted;
}

TEST(TwoPhaseSeededBugs, AnAppHeldBranchThatDiesWithAnAgentIsCaught) {
  EXPECT_FALSE(AppHeldDiesWithAgent());
  ScopedMutant mutant(Mutant::kAppHeldLost);
  EXPECT_TRUE(AppHeldDiesWithAgent());
}

#endif

}  // namespace
}  // namespace assent::coordinator
