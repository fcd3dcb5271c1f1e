// What crosses between the shells (gRPC services, agent links, the log) and the driver thread, as
// plain values: no gRPC and no .proto here, so that the driver can be tested, and watched by
// ThreadSanitizer, without either.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/status.h"
#include "coordinator/core/decision_table.h"
#include "coordinator/core/inquiry.h"
#include "coordinator/core/two_phase.h"
#include "coordinator/core/types.h"
#include "txlog/decision_log.h"

namespace assent::coordinator {

// ---- Clients ------------------------------------------------------------------------------------

// A word for programs beside the status; the numbers are those of assent.v1.Reason.
enum class Reason : uint32_t {
  kNone = 0,
  kNotLeader = 1,
  kForeignGtrid = 2,
  kLimit = 3,
  kNotActive = 5,
  kUnknownResource = 7,
  kKeyInUse = 8,
};

// Why a call was not served. Nothing was done, unless the message says otherwise.
struct Refusal {
  Status status;
  Reason reason = Reason::kNone;
  uint32_t retry_delay_ms = 0;
  std::string gtrid;   // With kKeyInUse: the live transaction.
  std::string leader;  // With kNotLeader: whom to ask instead, "host:port", if known.
};

template <typename T>
using Answer = std::variant<T, Refusal>;

// Runs once, on the driver thread, and must not block.
template <typename T>
using Reply = std::function<void(Answer<T>)>;

// assent.v1.AppHeld: core AppHeld, with its point in time told as an age.
struct AppHeldNews {
  std::string connection_id;
  Finisher finisher = Finisher::kAgent;
  Duration age{};  // At least.

  bool operator==(const AppHeldNews&) const = default;
};

struct BranchAsked {
  std::string resource;
  std::optional<AppHeldNews> app_held;
};
struct BegunBranch {
  // Nothing: several agents serve the resource, and the one that will hold the session registers.
  std::optional<Gid> gid;
  std::string resource;
  std::string kind;
  bool app_held = false;
  uint64_t holder = 0;  // Incarnation of the agent that is to open it.
};
struct BeginAnswer {
  Gtrid gtrid;
  Duration remaining{};
  // The client key's transaction committed before: `gtrid` is that one.
  bool committed_before = false;
  std::vector<BegunBranch> branches{};
};
struct BeginCall {
  Duration timeout{};  // Zero: the default.
  std::string client_key;
  std::string label;
  std::vector<BranchAsked> branches{};
  std::vector<Gid> finished{};  // As in ReportCall.
  Reply<BeginAnswer> reply;
};

struct PendingBranch {
  Gid gid;
  std::string reason;
  bool yours = false;  // Left to the application.
};
struct CommitAnswer {
  Outcome outcome = Outcome::kUnknown;
  bool applied = false;
  std::vector<PendingBranch> pending;
  std::optional<AbortReason> abort;
  bool heuristic = false;
};
struct CommitCall {
  Gtrid gtrid;
  bool wait_for_applied = true;
  std::vector<Ticket> tickets{};
  std::vector<Gid> finished{};  // As in ReportCall.
  Reply<CommitAnswer> reply;
};

// The application has committed these app-held branches by itself.
struct ReportAnswer {};
struct ReportCall {
  std::vector<Gid> gids;
  Reply<ReportAnswer> reply;
};

struct RollbackAnswer {
  Outcome outcome = Outcome::kUnknown;
  std::optional<AbortReason> abort;
};
struct RollbackCall {
  Gtrid gtrid;
  Reply<RollbackAnswer> reply;
};

// The numbers are those of assent.v1.State and assent.v1.BranchState.
enum class ViewState : uint32_t {
  kActive = 1,
  kPreparing = 2,
  kProposed = 3,
  kCommitted = 4,
  kAborted = 5,
  kEnded = 6,
  kHeuristic = 7,
  kExpired = 8,
};
enum class BranchViewState : uint32_t {
  kOpen = 1,
  kPreparing = 2,
  kPrepared = 3,
  kReadOnly = 4,
  kFailed = 5,
  kCommitting = 6,
  kCommitted = 7,
  kRolledBack = 8,
  kHeuristicRollback = 9,
  kHeuristicCommit = 10,
  kHazard = 11,
};

struct BranchView {
  Gid gid;
  BranchViewState state = BranchViewState::kOpen;
  std::string agent;
  std::string detail;
  std::string evidence;
  std::string kind;
};
struct TransactionView {
  Gtrid gtrid;
  std::optional<ViewState> state;  // Nothing: can't be known (a restored group).
  std::optional<Outcome> outcome;
  std::vector<BranchView> branches;
  std::optional<AbortReason> abort;
  std::string label;
  std::string client_key;
  Duration remaining{};
  Duration age{};
};
struct GetCall {
  Gtrid gtrid;
  Reply<TransactionView> reply;
};

struct ListAnswer {
  std::vector<TransactionView> transactions;
  bool more = false;
};
struct ListCall {
  uint32_t limit = 100;
  std::vector<ViewState> states;  // Empty: all.
  std::optional<Gtrid> after;
  Reply<ListAnswer> reply;
};

struct AgentStatusView {
  std::string agent_id;
  std::string peer;
  std::string version;
  Duration connected{};
  std::vector<std::string> resources;
};
struct ResourceStatusView {
  std::string name;
  std::string kind;
  std::string identity;
  std::string server;
  uint32_t agents = 0;
  uint64_t pending_branches = 0;
};
struct StatusAnswer {
  std::string cluster;
  std::string cluster_uuid;
  uint32_t group = 0;
  uint64_t incarnation = 0;
  Term term = 0;
  bool leader = false;
  uint64_t applied_index = 0;
  std::vector<AgentStatusView> agents;
  std::vector<ResourceStatusView> resources;
  uint64_t live = 0;
  uint64_t unfinished = 0;
  uint64_t heuristic = 0;
};
struct StatusCall {
  Reply<StatusAnswer> reply;
};

struct ForgetAnswer {};
struct ForgetCall {
  Gtrid gtrid;
  Reply<ForgetAnswer> reply;
};

// Who belongs to the group.
struct MembersCall {
  Reply<txlog::GroupProgress> reply;
};

struct MembershipAnswer {};
struct ChangeCall {
  txlog::MembershipChange change;
  Reply<MembershipAnswer> reply;
};

// Lets live transactions end, for `drain` at most, and then hands the lead over.
struct TransferCall {
  uint64_t to = 0;  // 0: whoever is furthest.
  Duration drain{};
  Reply<MembershipAnswer> reply;
};

// The state of the group as a snapshot would hold it, and what it is of.
struct BackupAnswer {
  GroupStart group;
  Term term = 0;
  txlog::Index index = 0;  // Every entry up to here is in it.
  uint64_t decisions = 0;
  uint64_t unfinished = 0;
  std::string state;
};
struct BackupCall {
  Reply<BackupAnswer> reply;
};
// The log has answered whether this node still led when the call came.
struct BackupProved {
  Status status;
  Reply<BackupAnswer> reply;
  Term term = 0;            // When the call came.
  std::vector<Gtrid> ends;  // Whose END is on its way, and should be in the backup.
};

// ---- Agents -------------------------------------------------------------------------------------

// One connection of an agent; never used twice in a process.
using LinkId = uint64_t;

struct ServedResource {
  std::string name;
  std::string kind;
  std::string identity;
  std::string server;
};
struct AgentHello {
  std::string agent_id;
  uint64_t incarnation = 0;
  std::vector<ServedResource> resources;
  std::string cluster_uuid;  // Empty: not pinned yet.
  uint64_t group_incarnation = 0;
  std::string version;
  std::string peer;
};
struct LeadershipNews {
  Term term = 0;
  bool leader = false;

  bool operator==(const LeadershipNews&) const = default;
};
struct AgentWelcome {
  GroupStart group;
  LeadershipNews leadership;
  std::vector<txlog::Member> members{};
};

// What an agent said, in one message or several.
struct RegisterAsked {
  uint64_t request = 0;
  Gtrid gtrid;
  std::string resource;
  std::optional<AppHeldNews> app_held{};
  std::optional<Gid> again{};
};
struct VoteCast {
  Gid gid;
  Vote vote = Vote::kNo;
  std::string evidence;
  BranchFailure failure;
};
struct LostReported {
  Gid gid;
  BranchFailure failure;
};
struct FinishReported {
  Gid gid;
  BranchViewState state = BranchViewState::kCommitting;
  std::string detail;
};
struct AgentInput {
  std::vector<RegisterAsked> registers;
  std::vector<VoteCast> votes;
  std::vector<LostReported> lost;
  std::vector<FinishReported> finished;
  std::vector<Gid> inquiries;
};

// What an agent is told, in one message.
struct RegisterAnswer {
  uint64_t request = 0;
  std::optional<Gid> gid;  // Nothing: refused.
  Duration remaining{};
  Refusal refusal;
};
struct PrepareOrder {
  Gid gid;
  Duration remaining{};
  std::optional<AppHeldNews> app_held{};
};
struct FinishOrder {
  Gid gid;
  bool commit = false;
  std::string evidence{};
  std::optional<AppHeldNews> app_held{};
};
struct InquiryReply {
  Gid gid;
  AgentAnswer answer = AgentAnswer::kRetry;
  std::string evidence;
};
struct AgentOutput {
  std::optional<LeadershipNews> leadership;
  std::optional<std::vector<txlog::Member>> members;
  std::vector<RegisterAnswer> registered;
  std::vector<PrepareOrder> prepares;
  std::vector<FinishOrder> finishes;
  std::vector<InquiryReply> answers;
  std::vector<Gid> forget;

  bool empty() const {
    return !leadership && !members && registered.empty() && prepares.empty() && finishes.empty() &&
           answers.empty() && forget.empty();
  }
};

// The driver's end of one link. Thread-safe; never blocks: it queues.
class AgentOutbox {
 public:
  virtual ~AgentOutbox() = default;
  // One batch, in order after those before. Dropped if the link is gone.
  virtual void Send(AgentOutput batch) = 0;
  // Ends the link. LinkClosed follows from the link's own thread.
  virtual void Close(Status why) = 0;
  // When the agent was last heard of, a heartbeat at least.
  virtual MonotonicTime LastHeard() const = 0;
};

struct LinkOpened {
  LinkId link = 0;
  AgentHello hello;
  // Shared: the driver may still send while the link's own thread is taking it down.
  std::shared_ptr<AgentOutbox> outbox;
  // A refused link must not send LinkInput; LinkClosed of it is ignored.
  Reply<AgentWelcome> reply;
};
struct LinkInput {
  LinkId link = 0;
  AgentInput input;
};
struct LinkClosed {
  LinkId link = 0;
};

// ---- The log ------------------------------------------------------------------------------------

struct LogSnapshot {
  txlog::Index index = 0;
  Term term = 0;
  std::string state;
};
struct LogApplied {
  std::vector<txlog::Applied> entries;
};
struct LogLeadership {
  Term term = 0;
  bool leader = false;
};
struct SnapshotWanted {};
struct LogGroup {
  txlog::Group group;
};
// The log has answered TransferLeadership.
struct TransferAnswered {
  Status status;
};

// A proposal was answered. What it was about:
struct DecisionProposal {
  Gtrid gtrid;
};
struct HeuristicProposal {
  Heuristic record;
};
struct EndProposal {
  std::vector<Gtrid> gtrids;
};
struct ForgetProposal {
  Gtrid gtrid;
};
struct TickProposal {};
struct StartProposal {};
using Proposal = std::variant<DecisionProposal, HeuristicProposal, EndProposal, ForgetProposal,
                              TickProposal, StartProposal>;
struct ProposalAnswered {
  Proposal about;
  txlog::Fate fate = txlog::Fate::kInDoubt;
};

// ---- All of it ----------------------------------------------------------------------------------

using DriverEvent =
    std::variant<BeginCall, CommitCall, ReportCall, RollbackCall, GetCall, ListCall, StatusCall,
                 ForgetCall, MembersCall, ChangeCall, TransferCall, BackupCall, BackupProved,
                 LinkOpened, LinkInput, LinkClosed, LogSnapshot, LogApplied, LogLeadership,
                 SnapshotWanted, LogGroup, TransferAnswered, ProposalAnswered>;

}  // namespace assent::coordinator
