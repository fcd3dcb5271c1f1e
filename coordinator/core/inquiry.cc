#include "coordinator/core/inquiry.h"

#include "base/mutant.h"

namespace assent::coordinator {
namespace {

// Where the gtrid stands relative to the group that is asked.
enum class Origin { kForeign, kOtherIncarnation, kOurs };

Origin OriginOf(const Gtrid& gtrid, const DecisionTable& table) {
  const auto& group = table.group();
  if (!group || gtrid.cluster != group->cluster || gtrid.group != group->group) {
    return Origin::kForeign;
  }
  return gtrid.incarnation == group->incarnation ? Origin::kOurs : Origin::kOtherIncarnation;
}

// Until its own term's entry is applied, this node may lack decisions of older terms; another node
// may already lead a later one.
bool CanAnswer(const NodeView& node) {
  return node.leader && (node.own_entry_applied || MutantOn(Mutant::kAnswersBeforeOwnEntry));
}

// Issued under a later leader: this one is over, and knows nothing of what that one decides.
bool IsOfLaterLeader(const Gtrid& gtrid, const NodeView& node) {
  return gtrid.epoch > node.term && !MutantOn(Mutant::kNewerEpochAnswered);
}

bool NotIssuedYet(const Gtrid& gtrid, const NodeView& node) {
  return gtrid.epoch == node.term && gtrid.seq >= node.next_seq;
}

}  // namespace

AgentAnswer AnswerAgent(const Gid& gid, const NodeView& node, Live live,
                        const DecisionTable& table) {
  const Gtrid& gtrid = gid.gtrid;
  if (!CanAnswer(node)) return AgentAnswer::kRetry;
  switch (OriginOf(gtrid, table)) {
    case Origin::kForeign:
      return AgentAnswer::kForeign;
    case Origin::kOtherIncarnation:
      // A restored group knows what its backup knew. What came after is nobody's to guess.
      if (table.ListsCommit(gid)) return AgentAnswer::kCommit;
      return MutantOn(Mutant::kOldIncarnationPresumed) ? AgentAnswer::kAbort : AgentAnswer::kHazard;
    case Origin::kOurs:
      break;
  }
  if (IsOfLaterLeader(gtrid, node)) return AgentAnswer::kRetry;
  switch (table.Look(gtrid)) {
    case DecisionTable::Word::kForgotten:
      // Never ABORT: the database may have come back from a backup with a branch that committed.
      return MutantOn(Mutant::kForgottenIsAbort) ? AgentAnswer::kAbort : AgentAnswer::kHazard;
    case DecisionTable::Word::kUnfinished:
    case DecisionTable::Word::kEnded:
      if (!table.ListsCommit(gid)) return AgentAnswer::kAbort;
      return live == Live::kLeftToApp ? AgentAnswer::kLeftToApp : AgentAnswer::kCommit;
    case DecisionTable::Word::kNoRecord:
      break;
  }
  switch (live) {
    case Live::kProposed:
      return MutantOn(Mutant::kAbortWhileProposing) ? AgentAnswer::kAbort : AgentAnswer::kPending;
    case Live::kActive:
      return MutantOn(Mutant::kInquiryAbortsLive) ? AgentAnswer::kAbort : AgentAnswer::kPending;
    case Live::kVoid:
      return AgentAnswer::kAbort;
    case Live::kLeftToApp:  // Not without a record.
    case Live::kNone:
      break;
  }
  if (NotIssuedYet(gtrid, node)) return AgentAnswer::kRetry;
  // A single-branch transaction may have committed in one phase without any record here.
  if (gid.bqual.mode == Mode::kSingle) return AgentAnswer::kHazard;
  return AgentAnswer::kAbort;  // Presumed abort.
}

ClientAnswer AnswerClient(const Gtrid& gtrid, const NodeView& node, Live live,
                          const DecisionTable& table) {
  if (!CanAnswer(node)) return ClientAnswer::kRetry;
  switch (OriginOf(gtrid, table)) {
    case Origin::kForeign:
      return ClientAnswer::kForeign;
    case Origin::kOtherIncarnation:
      return table.Look(gtrid) == DecisionTable::Word::kForgotten ? ClientAnswer::kUnknown
                                                                  : ClientAnswer::kCommitted;
    case Origin::kOurs:
      break;
  }
  if (IsOfLaterLeader(gtrid, node)) return ClientAnswer::kRetry;
  switch (table.Look(gtrid)) {
    case DecisionTable::Word::kForgotten:
      return MutantOn(Mutant::kForgottenIsAbort) ? ClientAnswer::kAborted : ClientAnswer::kExpired;
    case DecisionTable::Word::kUnfinished:
    case DecisionTable::Word::kEnded:
      return ClientAnswer::kCommitted;
    case DecisionTable::Word::kNoRecord:
      break;
  }
  if (live == Live::kProposed && MutantOn(Mutant::kAbortWhileProposing)) {
    return ClientAnswer::kAborted;
  }
  if (live != Live::kNone) return ClientAnswer::kPending;
  if (NotIssuedYet(gtrid, node)) return ClientAnswer::kNeverIssued;
  return ClientAnswer::kAborted;  // Presumed abort.
}

}  // namespace assent::coordinator
