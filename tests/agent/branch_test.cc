// The life of a branch, as transcripts: tests/testdata/agent/*.txt. A block that begins with
// `branch` or `adopted` starts a new one.
#include "participant-agent/core/branch.h"

#include <gtest/gtest.h>

#include "base/mutant.h"
#include "tests/support/transcript.h"

namespace assent::agent {
namespace {

using tests::Command;

Cause CauseOf(const std::string& name) {
  for (int i = 0; i <= static_cast<int>(Cause::kUnknownBranch); ++i) {
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
  std::string operator()(const SendVote& a) const {
    switch (a.vote) {
      case Vote::kYes:
        return "vote yes evidence=" + a.evidence;
      case Vote::kReadOnly:
        return "vote read-only";
      case Vote::kNo:
        return "vote no cause=" + std::string(CauseName(a.refusal.cause));
    }
    return "";
  }
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
  static std::string Verb(Decision decision) {
    return decision == Decision::kCommit ? "commit" : "roll back";
  }
};

BranchEvent EventOf(const Command& c) {
  const Refusal refusal{
      .cause = c.options.contains("cause") ? CauseOf(c.Option("cause")) : Cause::kNone,
      .code = "",
      .message = ""};
  if (c.verb == "work-begins") return WorkBegan{};
  if (c.verb == "work-ends") {
    WorkEnded ended{.failure = {}, .session_lost = Flag(c, "session-lost")};
    if (refusal.cause != Cause::kNone) ended.failure = refusal;
    return ended;
  }
  if (c.verb == "prepare") return PrepareAsked{.room = !Flag(c, "no-room")};
  if (c.verb == "prepared") {
    const std::string& vote = c.Word(0);
    return PrepareAnswered{.vote = vote == "yes"         ? Vote::kYes
                                   : vote == "read-only" ? Vote::kReadOnly
                                                         : Vote::kNo,
                           .evidence = c.Option("evidence"),
                           .refusal = refusal,
                           .session_lost = Flag(c, "session-lost"),
                           .attached = Flag(c, "attached")};
  }
  if (c.verb == "rolled-back") return SessionRolledBack{.session_lost = Flag(c, "session-lost")};
  if (c.verb == "deadline") return DeadlinePassed{};
  if (c.verb == "later-epoch") return LaterEpochAnnounced{};
  if (c.verb == "told-commit") return CommitTold{.evidence = c.Option("evidence")};
  if (c.verb == "told-abort") return AbortTold{.evidence = c.Option("evidence")};
  if (c.verb == "finish-answer") {
    return FinishAnswered{.finish = FinishOf(c.Word(0)),
                          .detail = c.Option("detail"),
                          .on_session = Flag(c, "on-session"),
                          .session_lost = Flag(c, "session-lost"),
                          .no_effect = Flag(c, "no-effect")};
  }
  if (c.verb == "vanished") return Vanished{};
  if (c.verb == "leader-comes") return LeaderCame{};
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

// What must hold whatever arrives in whatever order: tried with every sequence of five events.
TEST(Branch, NoOrderOfEventsBreaksTheRules) {
  const std::vector<BranchEvent> events = {
      WorkBegan{},
      WorkEnded{},
      WorkEnded{.failure = Refusal{.cause = Cause::kDeadlock}, .session_lost = true},
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
  constexpr int kSteps = 5;
  std::vector<size_t> order(kSteps, 0);
  size_t tried = 0;
  while (true) {
    Branch branch;
    bool session = true;
    int prepares = 0;
    bool voted_yes = false;
    bool told_commit = false;
    bool told_abort = false;
    for (size_t index : order) {
      const BranchEvent& event = events[index];
      told_commit = told_commit || std::holds_alternative<CommitTold>(event);
      told_abort = told_abort || std::holds_alternative<AbortTold>(event);
      for (const BranchAction& action : branch.Step(event)) {
        if (std::holds_alternative<RunPrepare>(action)) ++prepares;
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
        if (auto* finish = std::get_if<FinishInPool>(&action)) {
          ASSERT_TRUE(finish->decision == Decision::kCommit ? told_commit : told_abort);
        }
        if (auto* finish = std::get_if<FinishOnSession>(&action)) {
          ASSERT_TRUE(session);
          ASSERT_TRUE(finish->decision == Decision::kCommit ? told_commit : told_abort);
        }
      }
      ASSERT_LE(prepares, 1) << "prepared twice under one gid";
    }
    ++tried;
    int digit = 0;
    while (digit < kSteps && ++order[digit] == events.size()) order[digit++] = 0;
    if (digit == kSteps) break;
  }
  EXPECT_EQ(tried, 537'824u);  // 14^5
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
#endif

}  // namespace
}  // namespace assent::agent
