// The rows of docs/protocols.md section 4.3, as a table.
#include "coordinator/core/inquiry.h"

#include <gtest/gtest.h>

#include <utility>

#include "base/mutant.h"
#include "coordinator/core/restore.h"

namespace assent::coordinator {
namespace {

constexpr uint64_t kIncarnation = 77;

struct About {
  std::string cluster = "test";
  uint32_t group = 0;
  uint64_t incarnation = kIncarnation;
  uint64_t epoch = 5;
  uint64_t seq = 100;
  uint32_t attempt = 1;
  Mode mode = Mode::kTwoPhase;
};

enum class Record {
  kNone,
  kUnfinished,
  kEnded,
  kForgotten,
  // As after a restore: of incarnation 1, while the group is of another by now.
  kOldUnfinished,
  kOldEnded,
  kOldForgotten,
};

struct Case {
  const char* why;
  About about;
  NodeView node{.leader = true, .term = 6, .own_entry_applied = true, .next_seq = 50};
  Live live = Live::kNone;
  Record record = Record::kNone;
  AgentAnswer agent;
  ClientAnswer client;
};

Gid GidOf(const About& a) {
  return {{.cluster = a.cluster,
           .incarnation = a.incarnation,
           .group = a.group,
           .epoch = a.epoch,
           .seq = a.seq},
          {.mode = a.mode, .resource = "orders_pg", .branch = 0, .attempt = a.attempt}};
}

bool Old(Record record) { return record >= Record::kOldUnfinished; }

// A table in which attempt 1 of epoch 5, seq 100 is on record as asked for.
DecisionTable TableWith(Record record) {
  DecisionTable table({.outcome_retention_ticks = 1});
  const uint64_t incarnation = Old(record) ? 1 : kIncarnation;
  table.Apply(1, GroupStart{.cluster = "test", .group = 0, .incarnation = incarnation});
  Gid gid = GidOf({.incarnation = incarnation});
  if (record != Record::kNone) {
    table.Apply(5, Decision{.gtrid = gid.gtrid, .branches = {{gid.bqual, "xid=1"}}});
  }
  if (record != Record::kUnfinished && record != Record::kOldUnfinished) {
    table.Apply(6, End{{gid.gtrid}});
  }
  if (Old(record)) {
    auto restored = RestoredState(table.state(), kIncarnation);
    EXPECT_TRUE(restored.ok());
    table.Restore(std::move(*restored));
  }
  if (record == Record::kForgotten || record == Record::kOldForgotten) {
    for (int i = 0; i < 5; ++i) table.Apply(6, Tick{});
  }
  return table;
}

const NodeView kFollower{.leader = false, .term = 6, .own_entry_applied = true};
const NodeView kFresh{.leader = true, .term = 6, .own_entry_applied = false};

const Case kCases[] = {
    {.why = "not leader",
     .node = kFollower,
     .agent = AgentAnswer::kRetry,
     .client = ClientAnswer::kRetry},
    {.why = "own-term empty entry not applied",
     .node = kFresh,
     .agent = AgentAnswer::kRetry,
     .client = ClientAnswer::kRetry},
    {.why = "not even with the decision on record",
     .node = kFollower,
     .record = Record::kUnfinished,
     .agent = AgentAnswer::kRetry,
     .client = ClientAnswer::kRetry},
    {.why = "gtrid epoch beyond own term",
     .about = {.epoch = 7},
     .agent = AgentAnswer::kRetry,
     .client = ClientAnswer::kRetry},
    {.why = "other cluster",
     .about = {.cluster = "other"},
     .agent = AgentAnswer::kForeign,
     .client = ClientAnswer::kForeign},
    {.why = "other group",
     .about = {.group = 4},
     .agent = AgentAnswer::kForeign,
     .client = ClientAnswer::kForeign},
    {.why = "other incarnation, decision on record",
     .about = {.incarnation = 1},
     .record = Record::kOldUnfinished,
     .agent = AgentAnswer::kCommit,
     .client = ClientAnswer::kCommitted},
    {.why = "other incarnation, other attempt on record",
     .about = {.incarnation = 1, .attempt = 2},
     .record = Record::kOldUnfinished,
     .agent = AgentAnswer::kHazard,
     .client = ClientAnswer::kCommitted},
    {.why = "other incarnation, committed and ended: a database came back with it prepared",
     .about = {.incarnation = 1},
     .record = Record::kOldEnded,
     .agent = AgentAnswer::kCommit,
     .client = ClientAnswer::kCommitted},
    {.why = "other incarnation, ended, other attempt",
     .about = {.incarnation = 1, .attempt = 2},
     .record = Record::kOldEnded,
     .agent = AgentAnswer::kHazard,
     .client = ClientAnswer::kCommitted},
    {.why = "other incarnation, ended, its neighbour",
     .about = {.incarnation = 1, .seq = 101},
     .record = Record::kOldEnded,
     .agent = AgentAnswer::kHazard,
     .client = ClientAnswer::kUnknown},
    {.why = "the same (epoch, seq) under our own incarnation is another transaction",
     .record = Record::kOldEnded,
     .agent = AgentAnswer::kAbort,
     .client = ClientAnswer::kAborted},
    {.why = "other incarnation, forgotten by now",
     .about = {.incarnation = 1},
     .record = Record::kOldForgotten,
     .agent = AgentAnswer::kHazard,
     .client = ClientAnswer::kUnknown},
    {.why = "an incarnation nobody ever heard of",
     .about = {.incarnation = 2},
     .record = Record::kOldEnded,
     .agent = AgentAnswer::kHazard,
     .client = ClientAnswer::kUnknown},
    {.why = "other incarnation, decision on record, at a follower",
     .about = {.incarnation = 1},
     .node = kFollower,
     .record = Record::kOldUnfinished,
     .agent = AgentAnswer::kRetry,
     .client = ClientAnswer::kRetry},
    {.why = "other incarnation, no record",
     .about = {.incarnation = 1},
     .agent = AgentAnswer::kHazard,
     .client = ClientAnswer::kUnknown},
    {.why = "other incarnation, however high its epoch",
     .about = {.incarnation = 1, .epoch = 99},
     .agent = AgentAnswer::kHazard,
     .client = ClientAnswer::kUnknown},
    {.why = "at the watermark, no record",
     .record = Record::kForgotten,
     .agent = AgentAnswer::kHazard,
     .client = ClientAnswer::kExpired},
    {.why = "below the watermark, no record",
     .about = {.seq = 3},
     .record = Record::kForgotten,
     .agent = AgentAnswer::kHazard,
     .client = ClientAnswer::kExpired},
    {.why = "the decision lists exactly this gid",
     .record = Record::kUnfinished,
     .agent = AgentAnswer::kCommit,
     .client = ClientAnswer::kCommitted},
    {.why = "the decision lists another attempt",
     .about = {.attempt = 2},
     .record = Record::kUnfinished,
     .agent = AgentAnswer::kAbort,
     .client = ClientAnswer::kCommitted},
    {.why = "decided, and left to the application for now",
     .live = Live::kLeftToApp,
     .record = Record::kUnfinished,
     .agent = AgentAnswer::kLeftToApp,
     .client = ClientAnswer::kCommitted},
    {.why = "decided and left to the application, but another attempt",
     .about = {.attempt = 2},
     .live = Live::kLeftToApp,
     .record = Record::kUnfinished,
     .agent = AgentAnswer::kAbort,
     .client = ClientAnswer::kCommitted},
    {.why = "ended: the bit and the first attempt",
     .record = Record::kEnded,
     .agent = AgentAnswer::kCommit,
     .client = ClientAnswer::kCommitted},
    {.why = "ended: another attempt",
     .about = {.attempt = 2},
     .record = Record::kEnded,
     .agent = AgentAnswer::kAbort,
     .client = ClientAnswer::kCommitted},
    {.why = "proposal in flight",
     .live = Live::kProposed,
     .agent = AgentAnswer::kPending,
     .client = ClientAnswer::kPending},
    {.why = "in the active table",
     .about = {.epoch = 6, .seq = 1},
     .live = Live::kActive,
     .agent = AgentAnswer::kPending,
     .client = ClientAnswer::kPending},
    {.why = "in the active table, but a newer attempt has replaced it",
     .about = {.epoch = 6, .seq = 1},
     .live = Live::kVoid,
     .agent = AgentAnswer::kAbort,
     .client = ClientAnswer::kPending},
    {.why = "mode S without record: never presumed",
     .about = {.mode = Mode::kSingle},
     .agent = AgentAnswer::kHazard,
     .client = ClientAnswer::kAborted},
    {.why = "no record, older epoch: presumed abort",
     .agent = AgentAnswer::kAbort,
     .client = ClientAnswer::kAborted},
    {.why = "no record, own epoch, not active",
     .about = {.epoch = 6, .seq = 1},
     .agent = AgentAnswer::kAbort,
     .client = ClientAnswer::kAborted},
    {.why = "own epoch, not issued yet",
     .about = {.epoch = 6, .seq = 50},
     .agent = AgentAnswer::kRetry,
     .client = ClientAnswer::kNeverIssued},
};

TEST(Inquiry, EveryRow) {
  for (const Case& c : kCases) {
    DecisionTable table = TableWith(c.record);
    Gid gid = GidOf(c.about);
    EXPECT_EQ(AnswerAgent(gid, c.node, c.live, table), c.agent) << c.why;
    EXPECT_EQ(AnswerClient(gid.gtrid, c.node, c.live, table), c.client) << c.why;
  }
}

#if defined(ASSENT_FAILPOINTS)

const NodeView kLeader{.leader = true, .term = 6, .own_entry_applied = true, .next_seq = 50};

AgentAnswer Ask(Live live, Record record) {
  return AnswerAgent(GidOf({}), kLeader, live, TableWith(record));
}

TEST(InquirySeededBugs, AnAbortOfALiveTransactionIsCaught) {
  EXPECT_NE(Ask(Live::kActive, Record::kNone), AgentAnswer::kAbort);
  ScopedMutant mutant(Mutant::kInquiryAbortsLive);
  EXPECT_EQ(Ask(Live::kActive, Record::kNone), AgentAnswer::kAbort);
}

TEST(InquirySeededBugs, AnAbortWhileProposingIsCaught) {
  EXPECT_NE(Ask(Live::kProposed, Record::kNone), AgentAnswer::kAbort);
  ScopedMutant mutant(Mutant::kAbortWhileProposing);
  EXPECT_EQ(Ask(Live::kProposed, Record::kNone), AgentAnswer::kAbort);
}

TEST(InquirySeededBugs, ForgottenTakenForAbortIsCaught) {
  EXPECT_NE(Ask(Live::kNone, Record::kForgotten), AgentAnswer::kAbort);
  ScopedMutant mutant(Mutant::kForgottenIsAbort);
  EXPECT_EQ(Ask(Live::kNone, Record::kForgotten), AgentAnswer::kAbort);
}

TEST(InquirySeededBugs, AnOldIncarnationPresumedAbortedIsCaught) {
  auto ask = [] {
    return AnswerAgent(GidOf({.incarnation = 1, .seq = 101}), kLeader, Live::kNone,
                       TableWith(Record::kOldEnded));
  };
  EXPECT_EQ(ask(), AgentAnswer::kHazard);
  ScopedMutant mutant(Mutant::kOldIncarnationPresumed);
  EXPECT_EQ(ask(), AgentAnswer::kAbort);
}

#endif

}  // namespace
}  // namespace assent::coordinator
