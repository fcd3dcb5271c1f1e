// The life of one branch at its agent, as a pure protocol (docs/protocols.md 4.2): told what
// happened, it answers what must happen next. It waits for nothing, sends nothing, reads no clock.
//
//   OPEN -> PREPARING -> PREPARED -> FINISHING -> FINISHED
//     `------ROLLING BACK------> GONE (voted no, read-only, or lost)
//
// A prepared branch is never rolled back by the agent itself: only a decision ends it.
//
// An app-held branch (docs/protocols.md 5) lives likewise, but its work and its prepare happen on a
// session of the application. The agent votes yes only for what it has just seen in the database,
// and a no binds nobody: the next who asks makes it look again. It is never lost with its agent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace assent::agent {

// Why a branch votes no. Numbers and names are those of assent.v1.BranchCause, so that crossing the
// edge is a cast; those that adapters::Cause has are the same there.
enum class Cause : uint8_t {
  kNone = 0,
  kStatementFailed = 1,
  kDeadlock = 2,
  kSerialization = 3,
  kLockTimeout = 4,
  kTransactionFailed = 5,
  kReadOnlyViolation = 6,
  kNotPreparable = 7,
  kPreparedLimit = 8,
  kDuplicateGid = 9,
  kPermission = 10,
  kConnectionLost = 11,
  kUnavailable = 12,
  kNotPrimary = 13,
  kConfiguration = 14,
  kMisuse = 15,
  kStatementRunning = 16,
  kUnknownBranch = 17,
  kNotPrepared = 18,
  kWrongDatabase = 19,
};

// A no, with what an operator needs.
struct Refusal {
  Cause cause = Cause::kNone;
  std::string code;  // The database's own.
  std::string message;
  bool operator==(const Refusal&) const = default;
};

enum class Vote : uint8_t { kYes, kReadOnly, kNo };
enum class Decision : uint8_t { kCommit, kAbort };

// The class of a database's answer to commit or roll back: adapters::Finish, letter for letter.
enum class FinishClass : uint8_t {
  kDone,
  kTransient,
  kRefused,
  kHeuristicRollback,
  kHeuristicCommit,
  kHazard,
};

// What the journal knew before a verb was sent: adapters::JournalWord.
enum class JournalWord : uint8_t { kNothing, kWill, kDone };

// What the coordinator hears of a branch that was told its decision.
enum class Report : uint8_t {
  kCommitting,  // Not done yet; the detail says what it waits for.
  kCommitted,
  kRolledBack,
  kHeuristicRollback,
  kHeuristicCommit,
  kHazard,
};

// ---- What can happen ----------------------------------------------------------------------------

// Statements (or the database's START) run on the session.
struct WorkBegan {
  // They are all the work of the branch: if they succeed, the session prepares it at once, and
  // whoever called for them hears the vote (AnswerVote).
  bool prepares = false;
};
struct PrepareAsked {
  bool room = true;  // False: the database has no slot left for a prepared branch.
};
struct PrepareAnswered {
  Vote vote = Vote::kNo;
  std::string evidence;
  Refusal refusal;
  bool session_lost = false;  // With a no: it is not known whether the branch got prepared.
  bool attached = false;      // With a yes: the branch stays tied to its session.
};
struct WorkEnded {
  // Set: a statement failed and dooms the branch, or the session was lost.
  std::optional<Refusal> failure;
  bool session_lost = false;
  std::optional<PrepareAnswered> prepared;  // The session went on and prepared it.
};
struct SessionRolledBack {
  bool session_lost = false;
};
struct DeadlinePassed {};
struct LaterEpochAnnounced {};  // The epoch that issued the gtrid is over.
struct CommitTold {
  std::string evidence;
  // What a listing told of the branch: after END nobody else may know.
  std::string listed = {};
};
struct AbortTold {
  std::string evidence;
  // What a listing told of the branch, if no vote did: it may show that a person has ended it.
  std::string listed = {};
  // App-held, and its own session may still roll it back: not taken from it before the grace ends.
  bool grace = false;
};
struct FinishAnswered {
  FinishClass finish = FinishClass::kTransient;
  std::string detail;
  bool on_session = false;    // The session of the branch answered, not the finish pool.
  bool session_lost = false;  // With on_session.
  bool no_effect = false;     // The verb surely did nothing: never sent, or refused.
};
// A complete listing of the database lacks the branch, and not by this agent's doing.
struct Vanished {};
struct LeaderCame {};  // A leader said hello: what it may have missed is said again.

// App-held branches only.
struct VoteAsked {};  // By the application itself, with BranchService.Vote.
struct LookedUp {
  bool prepared = false;  // By a server that has proved to be the primary.
  std::string evidence;   // With prepared.
  Refusal refusal;        // Without.
};
struct LookFailed {
  // Set: an administrator must act before the database can be asked. Otherwise it is away.
  std::optional<Refusal> refusal = {};
};
struct GracePassed {};     // The application had its time to roll back by itself.
struct StillUndecided {};  // The coordinator, asked about it, has not decided yet.

using BranchEvent = std::variant<WorkBegan, WorkEnded, PrepareAsked, PrepareAnswered,
                                 SessionRolledBack, DeadlinePassed, LaterEpochAnnounced, CommitTold,
                                 AbortTold, FinishAnswered, Vanished, LeaderCame, VoteAsked,
                                 LookedUp, LookFailed, GracePassed, StillUndecided>;

// ---- What must happen next, in this order -----------------------------------------------------

struct InterruptWork {};    // Cancel the statement that runs; its end is still to be awaited.
struct RunPrepare {};       // On the session.
struct RollBackSession {};  // Roll the unprepared branch back on its session.
struct ReleaseSession {
  bool lost = false;  // Close it; otherwise it is free for the next branch.
};
// To the coordinator.
struct SendVote {
  Vote vote = Vote::kNo;
  std::string evidence;
  Refusal refusal;
};
// To the caller at this agent's own door: of Vote, or of the work that was to prepare.
struct AnswerVote {
  Vote vote = Vote::kNo;
  std::string evidence;
  Refusal refusal;
};
struct SendLost {
  Refusal refusal;
};
struct WriteWill {};
struct WriteDone {};
// It was not our doing after all: after a restart, WILL must not take the credit.
struct EraseWill {};
struct FinishOnSession {
  Decision decision = Decision::kAbort;
  std::string evidence;
  JournalWord word = JournalWord::kNothing;
};
struct FinishInPool {
  Decision decision = Decision::kAbort;
  std::string evidence;
  JournalWord word = JournalWord::kNothing;
  uint32_t attempt = 0;  // 0: at once; more: after a back-off that grows with it.
  bool slowly = false;   // An administrator must act first.
};
struct SendFinished {
  Report report = Report::kCommitting;
  std::string detail;
};
// See whether the database lists the app-held branch as prepared.
struct LookUp {
  uint32_t attempt = 0;  // As of FinishInPool.
};
// Answer with GracePassed when the application has had its time.
struct AwaitApplication {};

using BranchAction =
    std::variant<InterruptWork, RunPrepare, RollBackSession, ReleaseSession, SendVote, AnswerVote,
                 SendLost, WriteWill, WriteDone, EraseWill, FinishOnSession, FinishInPool,
                 SendFinished, LookUp, AwaitApplication>;

// What makes a branch app-held, as far as the protocol cares.
struct HeldByApp {
  bool finishes = false;  // Its own session ends it once it has heard the decision.
};

// Not thread-safe: the driver thread owns each instance.
class Branch {
 public:
  enum class Phase : uint8_t {
    kOpen,
    kPreparing,
    kPrepared,
    kFinishing,    // A decision is being carried out in the database.
    kRollingBack,  // Unprepared, and on its way to kGone.
    kFinished,     // The decision is carried out, or ended otherwise (report()).
    kGone,         // Over without a decision: no vote, read-only vote, lost.
  };

  // A branch on a session of this agent, at work.
  Branch() = default;

  // A branch that somebody prepared before this agent was started (or another agent did).
  // `word`: what the journal says of it. `listed`: what a listing told of it, for when a decision
  // brings no evidence. It may show that somebody ended the branch, but is no sign of a vote.
  static Branch Adopted(std::string evidence, JournalWord word, std::string listed = "");

  // A branch on a session of the application, which has or will have prepared it.
  // `word` as of Adopted.
  static Branch AppHeld(HeldByApp held, JournalWord word = JournalWord::kNothing);

  // A branch that is being finished turns out to be app-held. No effect on what is held already.
  void Hold(HeldByApp held);

  // Advances by one event. Repeated and late events are expected (messages are resent): they are
  // answered from memory or return no actions.
  std::vector<BranchAction> Step(const BranchEvent& event);

  Phase phase() const { return phase_; }
  bool prepared() const { return phase_ == Phase::kPrepared || phase_ == Phase::kFinishing; }
  // Nothing runs in the database and nothing will, unless the database lists it again.
  bool over() const { return phase_ == Phase::kFinished || phase_ == Phase::kGone; }
  // The coordinator must have logged it before it may be forgotten: committed or heuristic.
  bool needs_forget() const { return phase_ == Phase::kFinished && report_ != Report::kRolledBack; }
  // Whether the group's forget ends it: once it is over, or when its application has committed it.
  bool may_forget() const { return over() || (app_finishes() && phase_ == Phase::kPrepared); }
  bool app_held() const { return held_.has_value(); }
  bool app_finishes() const { return held_.has_value() && held_->finishes; }
  // App-held, and this agent claims nothing of it: neither voted yes nor told a decision. A listing
  // that shows it is judged as if the agent had never heard of it.
  bool unclaimed() const {
    return held_.has_value() && phase_ != Phase::kPrepared && phase_ != Phase::kFinishing &&
           phase_ != Phase::kFinished;
  }
  bool working() const { return working_; }
  bool heuristic() const {
    return phase_ == Phase::kFinished &&
           (report_ == Report::kHeuristicCommit || report_ == Report::kHeuristicRollback ||
            report_ == Report::kHazard);
  }
  Report report() const { return report_; }
  // Why it is gone, or will be.
  const Refusal& refusal() const { return refusal_; }
  const std::string& evidence() const { return evidence_; }

 private:
  using Actions = std::vector<BranchAction>;

  // branch.cc: to the vote, on a session of this agent.
  Actions On(const WorkBegan& event);
  Actions On(const WorkEnded& event);
  Actions On(const PrepareAsked& event);
  Actions On(const PrepareAnswered& event);
  Actions On(const SessionRolledBack& event);
  Actions On(const DeadlinePassed& event);
  Actions On(const LaterEpochAnnounced& event);
  // An open branch gives up: the statement that runs is interrupted first.
  void GiveUp(Refusal refusal, Actions& actions);
  void Expired(std::string why, Actions& actions);
  // The vote, as it stands now, to whoever waits for it; a no also if nobody does.
  void TellVote(Actions& actions);
  void AnswerCaller(Actions& actions);

  // branch_app_held.cc: to the vote, on a session of the application.
  Actions On(const VoteAsked& event);
  Actions On(const LookedUp& event);
  Actions On(const LookFailed& event);
  Actions On(const GracePassed& event);
  Actions On(const StillUndecided& event);
  void Look(Actions& actions);
  void AbortAppHeld(const AbortTold& event, Actions& actions);

  // branch_finish.cc: from the vote to the end.
  Actions On(const CommitTold& event);
  Actions On(const AbortTold& event);
  Actions On(const FinishAnswered& event);
  Actions On(const Vanished& event);
  Actions On(const LeaderCame& event);
  void Over(Actions& actions);
  void StartFinish(Decision decision, Actions& actions);
  void Finished(Report report, std::string detail, Actions& actions);

  Phase phase_ = Phase::kOpen;
  std::optional<HeldByApp> held_;
  bool working_ = false;
  bool has_session_ = true;
  bool attached_ = false;
  bool voted_ = true;     // Not, if only a listing knows of it.
  bool unclear_ = false;  // Voted no, but may be prepared all the same.
  bool told_abort_ = false;
  bool asked_by_link_ = false;  // The coordinator waits for the vote.
  bool asked_by_call_ = false;  // A caller at this agent does.
  bool grace_ = false;          // Told to abort, and its application is given time.
  bool looking_ = false;        // Told to abort, and not known yet whether anything is prepared.
  bool absent_ = false;    // Voted yes and gone: as it should be if its application has ended it.
  bool vanished_ = false;  // Voted yes, but the yes is withdrawn unless it counts already.
  std::optional<Refusal> expired_;  // Its time is up; the work that runs may still prepare it.
  Vote vote_ = Vote::kNo;           // Once over or prepared: what was voted.
  std::string evidence_;
  Refusal refusal_;
  Decision decision_ = Decision::kAbort;
  JournalWord word_ = JournalWord::kNothing;
  uint32_t attempt_ = 0;
  Report report_ = Report::kRolledBack;
  std::string detail_;
};

std::string_view CauseName(Cause cause);
std::string_view PhaseName(Branch::Phase phase);

}  // namespace assent::agent
