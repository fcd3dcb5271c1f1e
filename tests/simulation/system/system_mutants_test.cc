// Each seeded bug that this simulation is to find, and the number of seeds within which it does.
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/mutant.h"
#include "tests/simulation/system/system_story.h"

namespace assent::simulation {
namespace {

struct Row {
  const char* name;
  Mutant mutant;
  uint64_t seeds;
};

// First the mistakes of coordinators and agents, then those of the log and its files.
const Row kRows[] = {
    {"AbortWhileProposing", Mutant::kAbortWhileProposing, 2000},
    {"ActOnDurability", Mutant::kActOnDurability, 2000},
    {"GidReused", Mutant::kGidReused, 2000},
    {"LiveKeptAcrossTerms", Mutant::kLiveKeptAcrossTerms, 2000},
    {"InquiryAbortsLive", Mutant::kInquiryAbortsLive, 2000},
    {"EndTooEarly", Mutant::kEndTooEarly, 2000},
    {"ForgottenIsAbort", Mutant::kForgottenIsAbort, 2000},
    {"VoidTicketCounts", Mutant::kVoidTicketCounts, 2000},
    {"StrangerVotes", Mutant::kStrangerVotes, 2000},
    {"TicketMakesBranch", Mutant::kTicketMakesBranch, 2000},
    {"EarlyReportCounts", Mutant::kEarlyReportCounts, 2000},
    {"AnyReportCounts", Mutant::kAnyReportCounts, 2000},
    {"AppsCommitIsLoss", Mutant::kAppsCommitIsLoss, 2000},
    {"VoteWithoutLook", Mutant::kVoteWithoutLook, 2000},
    {"FailedTransactionVotesYes", Mutant::kFailedTransactionVotesYes, 2000},
    {"AnswersBeforeOwnEntry", Mutant::kAnswersBeforeOwnEntry, 2000},
    {"NewerEpochAnswered", Mutant::kNewerEpochAnswered, 2000},
    {"KeyTwice", Mutant::kKeyTwice, 2000},
    {"AnyAttemptCommits", Mutant::kAnyAttemptCommits, 2000},
    {"PhaseTwoNotResumed", Mutant::kPhaseTwoNotResumed, 2000},
    {"RolledBackByAge", Mutant::kRolledBackByAge, 2000},
    {"ForceSkipped", Mutant::kForceSkipped, 2000},
    {"FailedForceIgnored", Mutant::kFailedForceIgnored, 2000},
    {"SegmentDroppedEarly", Mutant::kSegmentDroppedEarly, 2000},
    {"SnapshotOlderThanLabel", Mutant::kSnapshotOlderThanLabel, 2000},
    {"RaftVoteNotPersisted", Mutant::kRaftVoteNotPersisted, 2000},
    {"RaftOwnVoteUnforced", Mutant::kRaftOwnVoteUnforced, 2000},
    {"RaftDoubleVote", Mutant::kRaftDoubleVote, 2000},
    {"RaftVoteForStaleLog", Mutant::kRaftVoteForStaleLog, 2000},
    {"RaftSkipNoop", Mutant::kRaftSkipNoop, 2000},
    {"RaftCommitOldTermByCount", Mutant::kRaftCommitOldTermByCount, 2000},
    {"RaftCountUnforcedSelf", Mutant::kRaftCountUnforcedSelf, 2000},
    {"RaftLearnerCounts", Mutant::kRaftLearnerCounts, 2000},
    {"RaftAckBeforeForced", Mutant::kRaftAckBeforeForced, 2000},
    {"RaftPrevNotChecked", Mutant::kRaftPrevNotChecked, 2000},
    {"RaftTruncateOnMatch", Mutant::kRaftTruncateOnMatch, 2000},
    {"RaftApplyUncommitted", Mutant::kRaftApplyUncommitted, 2000},
    {"RaftStaleRead", Mutant::kRaftStaleRead, 2000},
    {"RaftTwoConfigChanges", Mutant::kRaftTwoConfigChanges, 2000},
    {"RaftConfigBeforeNoop", Mutant::kRaftConfigBeforeNoop, 2000},
    {"RaftKeepConfigAfterTruncate", Mutant::kRaftKeepConfigAfterTruncate, 2000},
    {"RaftTailKeptUnderSnapshot", Mutant::kRaftTailKeptUnderSnapshot, 2000},
    {"RaftDiskFullLeadsOn", Mutant::kRaftDiskFullLeadsOn, 2000},
    {"RaftInDoubtIsRefused", Mutant::kRaftInDoubtIsRefused, 2000},
};

class SystemMutantTest : public testing::TestWithParam<Row> {};

TEST_P(SystemMutantTest, IsFound) {
  const Row& row = GetParam();
  const ScopedMutant mutant(row.mutant);
  for (uint64_t seed = 1; seed <= row.seeds; ++seed) {
    const std::string wrong = SystemStory(seed).Run();
    if (wrong.empty()) continue;
    std::printf("  seed %llu: %s\n", static_cast<unsigned long long>(seed), wrong.c_str());
    return;
  }
  ADD_FAILURE() << "survived " << row.seeds << " seeds";
}

INSTANTIATE_TEST_SUITE_P(Each, SystemMutantTest, testing::ValuesIn(kRows),
                         [](const auto& row) { return std::string(row.param.name); });

}  // namespace
}  // namespace assent::simulation
