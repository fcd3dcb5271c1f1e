// Two-phase commit with presumed abort, from Begin to the decision: the life of one global
// transaction at the leader that issued it (docs/protocols.md section 4.1; Mohan, Lindsay,
// Obermarck 1986). What follows a commit decision is phase_two.h.
//
// Pure: told what happened, it answers what must happen next. It cannot wait, fail to send, or look
// at the time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "coordinator/core/types.h"

namespace assent::coordinator {

// Branches of one transaction, and attempts of one branch. More are refused.
inline constexpr uint32_t kBranchesMax = 64;
inline constexpr uint32_t kAttemptsMax = 64;

// Names one request to register, so that a repeat is answered alike: chosen by the agent, unique
// within its incarnation.
struct RegistrationId {
  uint64_t agent_incarnation = 0;
  uint64_t request = 0;

  auto operator<=>(const RegistrationId&) const = default;
};

// ---- What can happen --------------------------------------------------------------------------

struct NewBranch {
  std::string resource;
  std::optional<AppHeld> app_held;
  // Otherwise: the incarnation of the agent that holds its session. Only its votes count.
  uint64_t holder = 0;
};
// Begin named these branches, at most kBranchesMax. They get the numbers 0, 1, ... in this order.
struct RegisterAtBegin {
  std::vector<NewBranch> branches;
};
// An agent opened (or will open) a session for this transaction, or the application named one of
// its own. `again` is a gid of this transaction whose PREPARE had an unclear end: its branch gets a
// fresh attempt, and the vote of the old one is void.
struct Register {
  RegistrationId id;
  NewBranch branch;
  std::optional<Gid> again;
};
// A vote that the application hands in: the agent gave it before Commit.
struct Ticket {
  Gid gid;
  uint64_t agent_incarnation = 0;  // Of the agent that gave it.
  std::string evidence;
  bool read_only = false;  // Otherwise: yes.
};
// Again with more tickets while votes are awaited: those count too. A ticket never adds a branch,
// and counts only for the newest attempt of one.
struct CommitAsked {
  std::vector<Ticket> tickets;
};
struct RollbackAsked {};
// The transaction's own deadline, for which Commit must arrive in time.
struct DeadlinePassed {};
// Votes are missing after prepare_timeout. `unreachable`: branches whose agent has no link now.
struct PrepareTimedOut {
  std::vector<Gid> unreachable;
};
struct VoteReceived {
  Gid gid;
  uint64_t agent_incarnation = 0;
  Vote vote = Vote::kNo;
  std::string evidence;
  BranchFailure failure;
};
// A branch is gone before it was decided: the agent says so.
struct BranchLost {
  Gid gid;
  BranchFailure failure;
};
// The agent that holds a branch's session is there with another incarnation.
struct HolderRestarted {
  Gid gid;
  BranchFailure failure;
};
// The decision table has seen our entry: `accepted`, or ignored for the reason given.
struct DecisionApplied {
  bool accepted = false;
  AbortCause why_not = AbortCause::kPresumed;
};
// The log wrote nothing, and never will.
struct ProposalRefused {};
// Leadership was lost midway; only what is applied later can tell.
struct ProposalInDoubt {};
// An entry or snapshot of a later term was applied here, and our record was not among those before.
struct LaterTermApplied {};

using Event = std::variant<RegisterAtBegin, Register, CommitAsked, RollbackAsked, DeadlinePassed,
                           PrepareTimedOut, VoteReceived, BranchLost, HolderRestarted,
                           DecisionApplied, ProposalRefused, ProposalInDoubt, LaterTermApplied>;

// ---- What must happen next, in this order -------------------------------------------------------

struct AcknowledgeRegistration {
  RegistrationId id;
  Gid gid;
};
enum class RegistrationRefusal {
  kNotActive,        // Commit or Rollback arrived, or the deadline passed.
  kTooManyBranches,  // kBranchesMax.
  kTooManyAttempts,  // kAttemptsMax.
  kUnknownBranch,    // `again` names no branch of this transaction and resource.
};
struct RefuseRegistration {
  RegistrationId id;
  RegistrationRefusal why = RegistrationRefusal::kNotActive;
};
struct SendPrepare {
  Gid gid;
  std::optional<AppHeld> app_held;
};
struct ProposeCommit {
  Decision decision;
};
struct SendAbort {
  Gid gid;
  std::optional<AppHeld> app_held;
};
// The outcome is known: tell every client that waits, now or later. The transaction may be dropped
// from the live table after this (a commit goes on in phase two).
struct Settle {
  Outcome outcome = Outcome::kAborted;
  std::optional<AbortReason> abort;
  // COMMITTED without any write: no record exists and none is needed.
  bool read_only = false;
};

using Action = std::variant<AcknowledgeRegistration, RefuseRegistration, SendPrepare, ProposeCommit,
                            SendAbort, Settle>;

// ---- The core ---------------------------------------------------------------------------------

class TwoPhase {
 public:
  enum class Phase { kActive, kPreparing, kProposed, kCommitted, kAborted };
  enum class BranchPhase { kOpen, kPreparing, kYes, kReadOnly, kFailed };
  struct Branch {
    Gid gid;  // The newest attempt.
    std::optional<AppHeld> app_held;
    uint64_t holder = 0;  // As in NewBranch.
    BranchPhase phase = BranchPhase::kOpen;
    std::string evidence;
    BranchFailure failure;
  };

  TwoPhase(Gtrid gtrid, std::string client_key);

  // Advances by one event. Repeated and late events are expected (messages are resent) and return
  // no actions, except that a repeated Register is answered alike. Not thread-safe: one driver
  // thread owns each instance.
  std::vector<Action> Step(const Event& event);

  const Gtrid& gtrid() const { return gtrid_; }
  const std::string& client_key() const { return client_key_; }
  Phase phase() const { return phase_; }
  const std::vector<Branch>& branches() const { return branches_; }
  const std::optional<AbortReason>& abort() const { return abort_; }
  // Branches whose vote is still awaited.
  std::vector<Gid> Awaited() const;
  // An attempt that was replaced by a newer one: it will never be committed.
  bool IsVoid(const Gid& gid) const;

 private:
  std::vector<Action> On(const RegisterAtBegin& event);
  std::vector<Action> On(const Register& event);
  std::vector<Action> On(const CommitAsked& event);
  std::vector<Action> On(const RollbackAsked& event);
  std::vector<Action> On(const DeadlinePassed& event);
  std::vector<Action> On(const PrepareTimedOut& event);
  std::vector<Action> On(const VoteReceived& event);
  std::vector<Action> On(const BranchLost& event);
  std::vector<Action> On(const HolderRestarted& event);
  std::vector<Action> On(const DecisionApplied& event);
  std::vector<Action> On(const ProposalRefused& event);
  std::vector<Action> On(const ProposalInDoubt& event);
  std::vector<Action> On(const LaterTermApplied& event);

  Branch* Find(const Gid& gid);
  bool WasGivenOut(const Gid& gid) const;
  static bool MayVote(const Branch& branch, uint64_t agent_incarnation);
  const Gid& Add(const NewBranch& asked);
  std::vector<Action> RegisterAgain(const Register& event);
  void Count(const Ticket& ticket);
  std::vector<Action> Abort(AbortReason reason);
  std::vector<Action> DecideIfAllVoted();
  // Once the commit record is on its way to the log, nothing but the log can abort.
  bool MayStillAbort() const;

  const Gtrid gtrid_;
  const std::string client_key_;
  Phase phase_ = Phase::kActive;
  std::vector<Branch> branches_;  // Index = branch number.
  std::map<RegistrationId, Gid> registrations_;
  std::optional<AbortReason> abort_;
};

}  // namespace assent::coordinator
