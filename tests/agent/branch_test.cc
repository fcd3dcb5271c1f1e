// The life of a branch, as transcripts: tests/testdata/agent/*.txt. A block that begins with
// `branch`, `app-held` or `adopted` starts a new one.
#include "participant-agent/core/branch.h"

#include <gtest/gtest.h>

#include "base/mutant.h"
#include "tests/support/transcript.h"

namespace assent::agent {
namespace {

using tests::Command;

Cause CauseOf(const std::string& name) {
  for (int i = 0; i <= static_cast<int>(Cause::kWrongDatabase); ++i) {
    if (CauseName(static_cast<Cause>(i)) == name) return static_cast<Cause>(i);
  }
  ADD_FAILURE() << "no cause " << name;
  return Cause::kNone;
}

FinishClass FinishOf(const std::string& name) {
  if (name == "done") return FinishClass::kDone;
  if (name == "transient") return FinishClass::kTransient;
  if (name == "refused") return FinishClass::kRefused;
  if (name == "heuristic-rollback") return FinishClass::kHeuristicRollback;
  if (name == "heuristic-commit") return FinishClass::kHeuristicCommit;
  if (name == "hazard") return FinishClass::kHazard;
  ADD_FAILURE() << "no finish " << name;
  return FinishClass::kHazard;
}

bool Flag(const Command& command, const std::string& word) {
  for (const std::string& w : command.words) {
    if (w == word) return true;
  }
  return false;
}

std::string_view ReportName(Report report) {
  switch (report) {
    case Report::kCommitting:
      return "committing";
    case Report::kCommitted:
      return "committed";
    case Report::kRolledBack:
      return "rolled-back";
    case Report::kHeuristicRollback:
      return "heuristic-rollback";
    case Report::kHeuristicCommit:
      return "heuristic-commit";
    case Report::kHazard:
      return "hazard";
  }
  return "";
}

std::string_view WordName(JournalWord word) {
  switch (word) {
    case JournalWord::kNothing:
      return "nothing";
    case JournalWord::kWill:
      return "will";
    case JournalWord::kDone:
      return "done";
  }
  return "";
}

struct Writer {
  std::string operator()(const InterruptWork&) const { return "interrupt the statement"; }
  std::string operator()(const RunPrepare&) const { return "prepare on the session"; }
  std::string operator()(const RollBackSession&) const { return "roll back on the session"; }
  std::string operator()(const ReleaseSession& a) const {
    return a.lost ? "close the session" : "free the session";
  }
  template <typename Action>
  static std::string VoteOf(const Action& a) {
    switch (a.vote) {
      case Vote::kYes:
        return "yes evidence=" + a.evidence;
      case Vote::kReadOnly:
        return "read-only";
      case Vote::kNo:
        return "no cause=" + std::string(CauseName(a.refusal.cause));
    }
    return "";
  }
  std::string operator()(const SendVote& a) const { return "vote " + VoteOf(a); }
  std::string operator()(const AnswerVote& a) const { return "answer " + VoteOf(a); }
  std::string operator()(const SendLost& a) const {
    return "report lost cause=" + std::string(CauseName(a.refusal.cause));
  }
  std::string operator()(const WriteWill&) const { return "journal WILL"; }
  std::string operator()(const WriteDone&) const { return "journal DONE"; }
  std::string operator()(const EraseWill&) const { return "journal erase WILL"; }
  std::string operator()(const FinishOnSession& a) const {
    return Verb(a.decision) + " on the session evidence=" + a.evidence +
           " word=" + std::string(WordName(a.word));
  }
  std::string operator()(const FinishInPool& a) const {
    return Verb(a.decision) + " in the pool evidence=" + a.evidence +
           " word=" + std::string(WordName(a.word)) + " attempt=" + std::to_string(a.attempt) +
           (a.slowly ? " slowly" : "");
  }
  std::string operator()(const SendFinished& a) const {
    return "report " + std::string(ReportName(a.report)) +
           (a.detail.empty() ? "" : " detail=" + a.detail);
  }
  std::string operator()(const LookUp& a) const {
    return "look it up attempt=" + std::to_string(a.attempt);
  }
  std::string operator()(const AwaitApplication&) const { return "give the application its grace"; }
  static std::string Verb(Decision decision) {
    return decision == Decision::kCommit ? "commit" : "roll back";
  }
};

Refusal RefusalOf(const Command& c) {
  return {.cause = c.options.contains("cause") ? CauseOf(c.Option("cause")) : Cause::kNone,
          .code = "",
          .message = ""};
}

PrepareAnswered PreparedOf(const Command& c, const std::string& vote) {
  return {.vote = vote == "yes"         ? Vote::kYes
                  : vote == "read-only" ? Vote::kReadOnly
                                        : Vote::kNo,
          .evidence = c.Option("evidence"),
          .refusal = RefusalOf(c),
          .session_lost = Flag(c, "session-lost"),
          .attached = Flag(c, "attached")};
}

BranchEvent EventOf(const Command& c) {
  if (c.verb == "work-begins") return WorkBegan{.prepares = Flag(c, "prepares")};
  if (c.verb == "work-ends") {
    WorkEnded ended{.failure = {}, .session_lost = Flag(c, "session-lost")};
    if (RefusalOf(c).cause != Cause::kNone) ended.failure = RefusalOf(c);
    return ended;
  }
  if (c.verb == "work-prepared") return WorkEnded{.prepared = PreparedOf(c, c.Word(0))};
  if (c.verb == "prepare") return PrepareAsked{.room = !Flag(c, "no-room")};
  if (c.verb == "prepared") return PreparedOf(c, c.Word(0));
  if (c.verb == "rolled-back") return SessionRolledBack{.session_lost = Flag(c, "session-lost")};
  if (c.verb == "deadline") return DeadlinePassed{};
  if (c.verb == "later-epoch") return LaterEpochAnnounced{};
  if (c.verb == "told-commit") {
    return CommitTold{.evidence = c.Option("evidence"), .listed = c.Option("listed")};
  }
  if (c.verb == "told-abort") {
    return AbortTold{
        .evidence = c.Option("evidence"), .listed = c.Option("listed"), .grace = Flag(c, "grace")};
  }
  if (c.verb == "finish-answer") {
    return FinishAnswered{.finish = FinishOf(c.Word(0)),
                          .detail = c.Option("detail"),
                          .on_session = Flag(c, "on-session"),
                          .session_lost = Flag(c, "session-lost"),
                          .no_effect = Flag(c, "no-effect")};
  }
  if (c.verb == "vanished") return Vanished{};
  if (c.verb == "leader-comes") return LeaderCame{};
  if (c.verb == "vote-asked") return VoteAsked{};
  if (c.verb == "looked") {
    const bool prepared = c.Word(0) == "prepared";
    return LookedUp{
        .prepared = prepared, .evidence = c.Option("evidence"), .refusal = RefusalOf(c)};
  }
  if (c.verb == "look-failed") {
    LookFailed failed;
    if (RefusalOf(c).cause != Cause::kNone) failed.refusal = RefusalOf(c);
    return failed;
  }
  if (c.verb == "grace-passed") return GracePassed{};
  if (c.verb == "still-undecided") return StillUndecided{};
  ADD_FAILURE() << "no event " << c.verb;
  return LeaderCame{};
}

void RunFile(const std::filesystem::path& file) {
  Branch branch;
  tests::RunTranscript(file, [&](const Command& c) -> std::vector<std::string> {
    if (c.verb == "branch") {
      branch = Branch();
      return {"OPEN"};
    }
    if (c.verb == "app-held") {
      branch =
          Branch::AppHeld({.finishes = Flag(c, "app-finishes")},
                          c.Option("word") == "will" ? JournalWord::kWill : JournalWord::kNothing);
      return {"OPEN"};
    }
    if (c.verb == "is-app-held") {
      branch.Hold({.finishes = Flag(c, "app-finishes")});
      return {};
    }
    if (c.verb == "adopted") {
      branch =
          Branch::Adopted(c.Option("evidence"),
                          c.Option("word") == "will" ? JournalWord::kWill : JournalWord::kNothing,
                          c.Option("listed"));
      return {"PREPARED"};
    }
    const Branch::Phase before = branch.phase();
    std::vector<std::string> lines;
    for (const BranchAction& action : branch.Step(EventOf(c))) {
      lines.push_back(std::visit(Writer{}, action));
    }
    if (branch.phase() != before) lines.emplace_back(PhaseName(branch.phase()));
    return lines;
  });
}

class BranchTranscripts : public ::testing::TestWithParam<std::filesystem::path> {};

TEST_P(BranchTranscripts, Hold) { RunFile(GetParam()); }

INSTANTIATE_TEST_SUITE_P(All, BranchTranscripts, ::testing::ValuesIn(tests::Transcripts("agent")),
                         [](const auto& param) {
                           std::string name = param.param.stem().string();
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

// Calls `tried` with every sequence of `steps` events; their number.
template <typename Tried>
size_t EveryOrder(const std::vector<BranchEvent>& events, int steps, Tried&& tried) {
  std::vector<size_t> order(steps, 0);
  std::vector<const BranchEvent*> sequence(steps);
  size_t count = 0;
  while (true) {
    for (int i = 0; i < steps; ++i) sequence[i] = &events[order[i]];
    tried(sequence);
    if (::testing::Test::HasFatalFailure()) return count;
    ++count;
    int digit = 0;
    while (digit < steps && ++order[digit] == events.size()) order[digit++] = 0;
    if (digit == steps) return count;
  }
}

// What must hold whatever arrives in whatever order: tried with every sequence of five events.
TEST(Branch, NoOrderOfEventsBreaksTheRules) {
  const std::vector<BranchEvent> events = {
      WorkBegan{},
      WorkBegan{.prepares = true},
      WorkEnded{},
      WorkEnded{.failure = Refusal{.cause = Cause::kDeadlock}, .session_lost = true},
      WorkEnded{.prepared = PrepareAnswered{.vote = Vote::kYes, .evidence = "e"}},
      PrepareAsked{},
      PrepareAnswered{.vote = Vote::kYes, .evidence = "e", .attached = true},
      PrepareAnswered{.vote = Vote::kNo, .session_lost = true},
      SessionRolledBack{},
      DeadlinePassed{},
      CommitTold{.evidence = "e"},
      AbortTold{},
      FinishAnswered{.finish = FinishClass::kDone},
      FinishAnswered{.finish = FinishClass::kTransient, .on_session = true, .session_lost = true},
      Vanished{},
      LeaderCame{}};
  const size_t tried = EveryOrder(events, 5, [](const std::vector<const BranchEvent*>& sequence) {
    Branch branch;
    bool session = true;
    int prepares = 0;
    bool voted_yes = false;
    bool waits = false;  // Somebody called for work that prepares.
    bool told_commit = false;
    bool told_abort = false;
    for (const BranchEvent* event : sequence) {
      told_commit = told_commit || std::holds_alternative<CommitTold>(*event);
      told_abort = told_abort || std::holds_alternative<AbortTold>(*event);
      if (auto* began = std::get_if<WorkBegan>(event)) {
        if (branch.working()) continue;  // The driver lets one call work at a time.
        if (branch.phase() == Branch::Phase::kOpen) waits = began->prepares;
      }
      const bool worked = branch.working();
      if (std::holds_alternative<SessionRolledBack>(*event) && worked) continue;  // One at a time.
      if (auto* ended = std::get_if<WorkEnded>(event)) {
        if (ended->prepared.has_value() && !(worked && waits)) continue;
      }
      for (const BranchAction& action : branch.Step(*event)) {
        if (std::holds_alternative<RunPrepare>(action)) {
          ++prepares;
          ASSERT_FALSE(waits) << "prepared by the work and again";
        }
        if (std::holds_alternative<ReleaseSession>(action)) {
          ASSERT_TRUE(session) << "a session is freed twice";
          session = false;
        }
        if (std::holds_alternative<RollBackSession>(action) ||
            std::holds_alternative<InterruptWork>(action)) {
          ASSERT_TRUE(session) << "work on a session that is gone";
          ASSERT_FALSE(branch.prepared()) << "a prepared branch is rolled back undecided";
        }
        if (auto* vote = std::get_if<SendVote>(&action)) {
          ASSERT_FALSE(voted_yes && vote->vote == Vote::kNo) << "a yes is taken back";
          voted_yes = voted_yes || vote->vote == Vote::kYes;
        }
        if (auto* vote = std::get_if<AnswerVote>(&action)) {
          ASSERT_TRUE(waits) << "an answer that nobody waits for";
          waits = false;
          voted_yes = voted_yes || vote->vote == Vote::kYes;
        }
        if (auto* finish = std::get_if<FinishInPool>(&action)) {
          ASSERT_TRUE(finish->decision == Decision::kCommit ? told_commit : told_abort);
        }
        if (auto* finish = std::get_if<FinishOnSession>(&action)) {
          ASSERT_TRUE(session);
          ASSERT_TRUE(finish->decision == Decision::kCommit ? told_commit : told_abort);
        }
        ASSERT_FALSE(std::holds_alternative<LookUp>(action)) << "of a branch of this agent's";
      }
      if (std::holds_alternative<WorkEnded>(*event)) {
        ASSERT_FALSE(branch.over() && waits) << "a caller is never answered";
        if (branch.phase() == Branch::Phase::kOpen) waits = false;  // Without a vote.
      }
      ASSERT_LE(prepares, 1) << "prepared twice under one gid";
    }
  });
  EXPECT_EQ(tried, 1'048'576u);  // 16^5
}

// As many events of a branch that an application holds. Returns what was broken, or nothing.
std::string WhatAnyOrderBreaks() {
  const std::vector<BranchEvent> events = {
      VoteAsked{},
      PrepareAsked{},
      LookedUp{.prepared = true, .evidence = "e", .refusal = {}},
      LookedUp{.refusal = {.cause = Cause::kNotPrepared}},
      LookFailed{},
      DeadlinePassed{},
      CommitTold{.evidence = "e"},
      AbortTold{},
      AbortTold{.grace = true},
      GracePassed{},
      FinishAnswered{.finish = FinishClass::kDone},
      FinishAnswered{.finish = FinishClass::kTransient},
      Vanished{},
      StillUndecided{},
      LeaderCame{}};
  std::string broken;
  EveryOrder(events, 5, [&](const std::vector<const BranchEvent*>& sequence) {
    Branch branch = Branch::AppHeld({.finishes = true});
    bool seen = false;  // A look, or the decision, has shown it prepared.
    bool looking = false;
    bool grace = false;
    bool finishing = false;
    bool waits = false;
    bool told_commit = false;
    bool told_abort = false;
    auto expect = [&](bool holds, const char* what) {
      if (!holds && broken.empty()) broken = what;
    };
    for (const BranchEvent* event : sequence) {
      told_commit = told_commit || std::holds_alternative<CommitTold>(*event);
      told_abort = told_abort || std::holds_alternative<AbortTold>(*event);
      waits = waits || std::holds_alternative<VoteAsked>(*event);
      if (auto* looked = std::get_if<LookedUp>(event)) {
        if (!looking) continue;  // The driver answers only what it was told to look up.
        seen = seen || looked->prepared;
        looking = false;
      }
      if (std::holds_alternative<LookFailed>(*event)) {
        if (!looking) continue;
        looking = false;
        waits = false;  // The driver says so itself.
      }
      if (std::holds_alternative<GracePassed>(*event)) {
        if (!grace) continue;
        grace = false;
      }
      if (std::holds_alternative<FinishAnswered>(*event)) {
        if (!finishing) continue;
        finishing = false;
      }
      for (const BranchAction& action : branch.Step(*event)) {
        if (std::holds_alternative<LookUp>(action)) {
          expect(!looking, "looked up twice at a time");
          looking = true;
        }
        if (std::holds_alternative<AwaitApplication>(action)) grace = true;
        if (auto* vote = std::get_if<SendVote>(&action)) {
          expect(vote->vote != Vote::kYes || seen || told_commit, "a yes without a look");
        }
        if (auto* vote = std::get_if<AnswerVote>(&action)) {
          expect(vote->vote != Vote::kYes || seen || told_commit, "a ticket without a look");
          expect(waits, "an answer that nobody waits for");
          waits = false;
        }
        if (auto* finish = std::get_if<FinishInPool>(&action)) {
          const bool commit = finish->decision == Decision::kCommit;
          expect(!finishing, "finished twice at a time");
          finishing = true;
          expect(commit ? told_commit : told_abort, "ended undecided");
          expect(commit || seen, "a session may be killed for what is not prepared");
          expect(commit || !grace, "taken from its application before the grace has passed");
        }
        expect(!std::holds_alternative<RunPrepare>(action) &&
                   !std::holds_alternative<RollBackSession>(action) &&
                   !std::holds_alternative<ReleaseSession>(action) &&
                   !std::holds_alternative<InterruptWork>(action) &&
                   !std::holds_alternative<FinishOnSession>(action),
               "work on a session that the agent does not have");
      }
      expect(!waits || looking, "a caller is never answered");
    }
  });
  return broken;
}

TEST(Branch, NoOrderOfEventsBreaksTheRulesOfAppHeldBranches) {
  EXPECT_EQ(WhatAnyOrderBreaks(), "");
}

#if defined(ASSENT_FAILPOINTS)
TEST(Branch, TheSeededVoteOfAFailedTransactionIsSeen) {
  const WorkEnded failed{.failure = Refusal{.cause = Cause::kStatementFailed}};
  Branch sound;
  sound.Step(failed);
  EXPECT_EQ(sound.phase(), Branch::Phase::kRollingBack);
  const ScopedMutant mutant(Mutant::kFailedTransactionVotesYes);
  Branch bad;
  bad.Step(failed);
  EXPECT_EQ(bad.phase(), Branch::Phase::kOpen);
}

TEST(Branch, SeededBugsOfAppHeldBranchesAreSeen) {
  {
    const ScopedMutant mutant(Mutant::kVoteWithoutLook);
    EXPECT_NE(WhatAnyOrderBreaks(), "");
  }
  {
    const ScopedMutant mutant(Mutant::kKillWithoutLook);
    EXPECT_EQ(WhatAnyOrderBreaks(), "a session may be killed for what is not prepared");
  }
}

TEST(Branch, TheSeededLossOfAnApplicationsCommitIsSeen) {
  auto lost_when_it_vanishes = [] {
    Branch branch = Branch::AppHeld({.finishes = true});
    branch.Step(PrepareAsked{});
    branch.Step(LookedUp{.prepared = true, .evidence = "e", .refusal = {}});
    return !branch.Step(Vanished{}).empty();
  };
  EXPECT_FALSE(lost_when_it_vanishes());
  const ScopedMutant mutant(Mutant::kAppsCommitIsLoss);
  EXPECT_TRUE(lost_when_it_vanishes());
}
#endif

}  // namespace
}  // namespace assent::agent
