// Each seeded bug that this simulation is to find, and the number of seeds within which it does.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "base/mutant.h"
#include "tests/simulation/system/system_story.h"

namespace assent::simulation {
namespace {

struct Row {
  const char* name;
  Mutant mutant;
  uint64_t seeds;
};

// First the mistakes of coordinators and agents, then those of the log and its files. The rare ones
// of the Raft core are found by its own simulation.
const Row kRows[] = {
    {"AbortWhileProposing", Mutant::kAbortWhileProposing, 50},
    {"InquiryAbortsLive", Mutant::kInquiryAbortsLive, 100},
    {"EndTooEarly", Mutant::kEndTooEarly, 20},
    {"ForgottenIsAbort", Mutant::kForgottenIsAbort, 50},
    {"VoidTicketCounts", Mutant::kVoidTicketCounts, 50},
    {"TicketMakesBranch", Mutant::kTicketMakesBranch, 50},
    {"VoteWithoutLook", Mutant::kVoteWithoutLook, 20},
    {"PhaseTwoNotResumed", Mutant::kPhaseTwoNotResumed, 20},
    {"RolledBackByAge", Mutant::kRolledBackByAge, 20},
    {"GidReused", Mutant::kGidReused, 20},
    {"LiveKeptAcrossTerms", Mutant::kLiveKeptAcrossTerms, 20},
    {"AnswersBeforeOwnEntry", Mutant::kAnswersBeforeOwnEntry, 20},
    {"NewerEpochAnswered", Mutant::kNewerEpochAnswered, 200},
    {"KeyTwice", Mutant::kKeyTwice, 80},
    {"AnyAttemptCommits", Mutant::kAnyAttemptCommits, 60},
    {"EarlyReportCounts", Mutant::kEarlyReportCounts, 80},
    {"AppsCommitIsLoss", Mutant::kAppsCommitIsLoss, 20},
    {"GraceSkipped", Mutant::kGraceSkipped, 20},
    {"ForceSkipped", Mutant::kForceSkipped, 20},
    {"FailedForceIgnored", Mutant::kFailedForceIgnored, 50},
    {"OpenedTwice", Mutant::kOpenedTwice, 50},
    {"AnyReportCounts", Mutant::kAnyReportCounts, 60},
    {"StrangerVotes", Mutant::kStrangerVotes, 200},
    {"ActOnDurability", Mutant::kActOnDurability, 40},
    {"FailedTransactionVotesYes", Mutant::kFailedTransactionVotesYes, 450},
    {"SnapshotForgetsEnded", Mutant::kSnapshotForgetsEnded, 20},
    {"SegmentDroppedEarly", Mutant::kSegmentDroppedEarly, 200},
    {"SnapshotOlderThanLabel", Mutant::kSnapshotOlderThanLabel, 60},
    {"RaftInDoubtIsRefused", Mutant::kRaftInDoubtIsRefused, 20},
    {"RaftStaleRead", Mutant::kRaftStaleRead, 150},
    {"RaftDoubleVote", Mutant::kRaftDoubleVote, 50},
    {"RaftVoteForStaleLog", Mutant::kRaftVoteForStaleLog, 50},
    {"RaftSkipNoop", Mutant::kRaftSkipNoop, 20},
    {"RaftApplyUncommitted", Mutant::kRaftApplyUncommitted, 60},
    {"ReplyBeforeFsync", Mutant::kReplyBeforeFsync, 20},
    {"RaftVoteNotPersisted", Mutant::kRaftVoteNotPersisted, 150},
    {"RaftTailKeptUnderSnapshot", Mutant::kRaftTailKeptUnderSnapshot, 600},
    {"RaftPrevNotChecked", Mutant::kRaftPrevNotChecked, 40},
    {"RaftDiskFullLeadsOn", Mutant::kRaftDiskFullLeadsOn, 200},
};

class SystemMutantTest : public testing::TestWithParam<Row> {};

constexpr int kFound = 3;

// In a process of its own, since the bug may be met by a check that ends it.
[[noreturn]] void Hunt(const Row& row) {
  const ScopedMutant mutant(row.mutant);
  for (uint64_t seed = 1; seed <= row.seeds; ++seed) {
    const std::string wrong = SystemStory(seed).Run();
    if (wrong.empty()) continue;
    std::printf("  seed %llu: %s\n", static_cast<unsigned long long>(seed), wrong.c_str());
    std::fflush(stdout);
    _exit(kFound);
  }
  _exit(0);
}

TEST_P(SystemMutantTest, IsFound) {
  std::fflush(stdout);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) Hunt(GetParam());
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  const bool found = WIFEXITED(status) && WEXITSTATUS(status) == kFound;
  const bool checked = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
  EXPECT_TRUE(found || checked) << "survived " << GetParam().seeds << " seeds, status " << status;
}

INSTANTIATE_TEST_SUITE_P(Each, SystemMutantTest, testing::ValuesIn(kRows),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace assent::simulation
