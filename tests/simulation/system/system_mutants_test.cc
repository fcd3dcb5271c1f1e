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

// First the mistakes of coordinators and agents, then those of the log and its files. The rare ones
// of the Raft core are found by its own simulation.
const Row kRows[] = {
    {"AbortWhileProposing", Mutant::kAbortWhileProposing, 50},
    {"InquiryAbortsLive", Mutant::kInquiryAbortsLive, 50},
    {"EndTooEarly", Mutant::kEndTooEarly, 20},
    {"ForgottenIsAbort", Mutant::kForgottenIsAbort, 50},
    {"VoidTicketCounts", Mutant::kVoidTicketCounts, 50},
    {"TicketMakesBranch", Mutant::kTicketMakesBranch, 50},
    {"VoteWithoutLook", Mutant::kVoteWithoutLook, 20},
    {"PhaseTwoNotResumed", Mutant::kPhaseTwoNotResumed, 20},
    {"RolledBackByAge", Mutant::kRolledBackByAge, 20},
    {"ForceSkipped", Mutant::kForceSkipped, 20},
    {"FailedForceIgnored", Mutant::kFailedForceIgnored, 50},
    {"OpenedTwice", Mutant::kOpenedTwice, 50},
    {"RaftDoubleVote", Mutant::kRaftDoubleVote, 50},
    {"RaftVoteForStaleLog", Mutant::kRaftVoteForStaleLog, 50},
    {"RaftSkipNoop", Mutant::kRaftSkipNoop, 20},
    {"RaftApplyUncommitted", Mutant::kRaftApplyUncommitted, 60},
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
