// Answers to "what became of it?", for agents and for clients: the whole safety of "presumed" in
// presumed abort. The rows of docs/protocols.md section 4.3, first fitting line, are its test
// table.
#pragma once

#include <cstdint>
#include <string>

#include "coordinator/core/decision_table.h"
#include "coordinator/core/types.h"

namespace assent::coordinator {

// What the replica that is asked knows of itself.
struct NodeView {
  bool leader = false;
  Term term = 0;
  bool own_entry_applied = false;  // The no-op of its own term: every older decision is known here.
  uint64_t next_seq = 0;           // The seq that Begin gives out next in this term.
};

// What this leader's memory adds to the records, of a transaction or of one gid of it.
enum class Live {
  kNone,
  kActive,     // ACTIVE or PREPARING.
  kProposed,   // A commit record is in flight.
  kVoid,       // Alive, but a newer attempt has replaced this gid: no record will ever list it.
  kLeftToApp,  // Committed, and for finish_grace the application's to commit, not the agent's.
};

enum class AgentAnswer { kRetry = 1, kForeign, kCommit, kAbort, kPending, kHazard, kLeftToApp };
enum class ClientAnswer {
  kRetry,
  kForeign,
  kCommitted,
  kAborted,
  kPending,
  kUnknown,
  kExpired,
  kNeverIssued
};

AgentAnswer AnswerAgent(const Gid& gid, const NodeView& node, Live live,
                        const DecisionTable& table);
ClientAnswer AnswerClient(const Gtrid& gtrid, const NodeView& node, Live live,
                          const DecisionTable& table);

}  // namespace assent::coordinator
