// The driver: one thread that owns every transaction of this node (docs/architecture.md, "What
// flows where"). Clients, agent links and the log post events; it steps the pure cores and performs
// their actions dully. No decision about the protocol is made here.
//
// The code stands in several files: driver.cc (the loop), driver_clients.cc (calls of clients),
// driver_live.cc (from Begin to the decision), driver_finishing.cc (phase two and END),
// driver_log.cc (what the log says), driver_group.cc (the group's members and its lead, backups),
// driver_agents.cc (links), driver_views.cc (Get, List, status).
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/helped_inbox.h"
#include "coordinator/core/decision_table.h"
#include "coordinator/core/inquiry.h"
#include "coordinator/core/phase_two.h"
#include "coordinator/core/two_phase.h"
#include "coordinator/server/abort_memory.h"
#include "coordinator/server/agent_registry.h"
#include "coordinator/server/codec.h"
#include "coordinator/server/driver_metrics.h"
#include "coordinator/server/limits.h"
#include "coordinator/server/messages.h"
#include "coordinator/server/timers.h"
#include "txlog/decision_log.h"

namespace assent::coordinator {

class Driver final : public txlog::Listener {
 public:
  // `clock` and `codec` must outlive the driver. `on_fatal` is called at most once, on the driver
  // thread, when the node must not go on (a record of the log can't be read): it should end the
  // process; the driver ignores everything that comes after.
  Driver(const Limits& limits, const Clock& clock, const Codec& codec,
         std::function<void(Status)> on_fatal);
  ~Driver() override;

  // ---- Any thread ------------------------------------------------------------------------------

  // For what must not be lost: links and the log. False after Stop. As TryPost, it may handle what
  // waits on the thread of the caller, who must hold no lock (HelpedInbox).
  bool Post(DriverEvent event) { return inbox_.Post(std::move(event)); }
  // As Post, for who holds one: the driver thread handles it.
  bool PostAndWake(DriverEvent event) { return inbox_.PostAndWake(std::move(event)); }
  // For calls of clients. False if queue_max events wait, or after Stop.
  bool TryPost(DriverEvent event) { return inbox_.TryPost(std::move(event)); }
  // Makes Run return, once what was posted before is handled; waiting clients hear UNAVAILABLE and
  // links are closed.
  void Stop() { inbox_.Close(); }
  bool stopping() { return inbox_.closed(); }
  const DriverMetrics& metrics() const { return metrics_; }
  size_t queue_depth() const { return inbox_.size(); }

  // txlog::Listener: called on the log thread, posts.
  void OnSnapshot(txlog::Index index, txlog::Term term, std::string state) override;
  void OnApplied(std::vector<txlog::Applied> entries) override;
  void OnLeadership(txlog::Term term, bool leader) override;
  void OnSnapshotWanted() override;
  void OnGroup(txlog::Group group) override;

  // ---- The driver thread, or who handles in its place
  // ---------------------------------------------

  // The log to propose to; before Run, and for as long as Run runs.
  void Attach(txlog::DecisionLog& log) { log_ = &log; }
  // Called on the driver thread when the node begins (true) or ceases to serve; set before Run.
  void OnServing(std::function<void(bool)> tell) { tell_serving_ = std::move(tell); }
  void Run();
  // What Run does, but returns when nothing waits: for tests that decide what time it is.
  void HandlePending();

 private:
  // The agent that holds the session of a branch. Of an app-held one: that looks after it for now.
  struct Holder {
    std::string agent_id;
    uint64_t incarnation = 0;
  };
  struct CommitWaiter {
    bool for_applied = true;
    Reply<CommitAnswer> reply;
  };
  // ACTIVE, PREPARING or PROPOSED.
  struct LiveTransaction {
    TwoPhase core;
    std::string label;
    MonotonicTime begun{};
    MonotonicTime deadline{};
    MonotonicTime prepare_deadline{};
    std::optional<MonotonicTime> commit_asked;
    std::optional<TimerQueue::Id> deadline_timer;
    std::optional<TimerQueue::Id> prepare_timer;
    std::vector<CommitWaiter> committers;
    std::vector<Reply<RollbackAnswer>> rollbackers;
    std::vector<Holder> holders;  // By number of the branch.
  };
  // COMMITTED, END not yet applied.
  struct Finishing {
    PhaseTwo core;
    std::string label;
    MonotonicTime since{};
    MonotonicTime told_since{};  // When this node began to tell the branches.
    PhaseTwoShare share;
    Duration resend{};
    // Finishing it is worth a line in the log: it was found after a start, or had to be told again.
    bool recovering = false;
    std::optional<TimerQueue::Id> grace_timer;
    std::optional<TimerQueue::Id> resend_timer;
    std::optional<TimerQueue::Id> apply_timer;
    std::optional<TimerQueue::Id> heuristic_timer;  // One, however many reports were refused.
    std::vector<CommitWaiter> waiters;
    // By number of the branch: who held it, then who finished it. May be shorter, or name nobody.
    std::vector<std::string> agents;
  };
  using LiveMap = std::unordered_map<Gtrid, LiveTransaction>;
  using FinishingMap = std::unordered_map<Gtrid, Finishing>;

  // driver.cc
  void Handle(std::vector<DriverEvent> events);
  void FireTimers();
  void PublishGauges();
  void On(const Timer& timer);
  void ShutDown();
  void Die(Status why);
  void Propose(const Record& record, Term term, Proposal about, bool with_next = false);
  NodeView View() const;
  Live LiveOf(const Gid& gid) const;
  bool Ready() const { return leader_ && own_entry_applied_; }

  // driver_clients.cc
  void On(BeginCall& call);
  void On(CommitCall& call);
  void On(ReportCall& call);
  void On(RollbackCall& call);
  void On(ForgetCall& call);
  void ProposeForget(ForgetCall& call);
  std::optional<Refusal> RefuseBegin(const BeginCall& call);
  std::optional<Refusal> RefuseBranch(const BranchAsked& asked) const;
  std::vector<BegunBranch> RegisterAtBegin(LiveTransaction& live, const BeginCall& call);
  void NoteReports(const std::vector<Gid>& gids);
  void NoteWhoLooked(LiveTransaction& live, const std::vector<Ticket>& tickets);
  Refusal RefusalFor(ClientAnswer answer, const Gtrid& gtrid) const;
  void CommitAgain(CommitCall& call);

  // driver_views.cc
  void On(GetCall& call);
  void On(ListCall& call);
  void On(StatusCall& call);
  TransactionView ViewOf(const LiveTransaction& live) const;
  std::string DetailOf(const LiveTransaction& live, const TwoPhase::Branch& branch) const;
  TransactionView ViewOf(const Finishing& finishing) const;
  // Of a gtrid that is neither live nor unfinished, and of the strays it left.
  TransactionView ViewOfStrays(const Gtrid& gtrid, const std::vector<Heuristic>& strays) const;
  std::string KindOf(const std::string& resource) const;

  // driver_live.cc
  void Deliver(const Gtrid& gtrid, const Event& event, LinkId from = 0);
  void Perform(LiveTransaction& live, const AcknowledgeRegistration& action, LinkId from);
  void Perform(LiveTransaction& live, const RefuseRegistration& action, LinkId from);
  void Perform(LiveTransaction& live, const SendPrepare& action, LinkId from);
  void Perform(LiveTransaction& live, const ProposeCommit& action, LinkId from);
  void Perform(LiveTransaction& live, const SendAbort& action, LinkId from);
  void Perform(LiveTransaction& live, const Settle& action, LinkId from);
  void Bury(LiveMap::iterator it);
  static void Say(const CommitWaiter& waiter, CommitAnswer answer);
  void DestroyLive(const std::string& why);
  AgentRegistry::Link* LinkOfHolder(const LiveTransaction& live, const Gid& gid);
  AgentRegistry::Link* LinkFor(const LiveTransaction& live, const TwoPhase::Branch& branch);
  void TellPrepare(LiveTransaction& live, const TwoPhase::Branch& branch);
  std::optional<AppHeldNews> NewsOf(const std::optional<AppHeld>& app_held) const;
  std::optional<AppHeld> AppHeldOf(const std::optional<AppHeldNews>& news) const;
  void OnPrepareTimeout(const Gtrid& gtrid);

  // driver_finishing.cc
  void BeginPhaseTwo(const Decision& decision, const std::vector<Heuristic>& known,
                     LiveTransaction* live);
  void Deliver(const Gtrid& gtrid, const PhaseTwoEvent& event);
  void Perform(Finishing& finishing, const SendCommit& action);
  void Perform(Finishing& finishing, const AwaitApplication& action);
  void Perform(Finishing& finishing, const ProposeHeuristic& action);
  void Perform(Finishing& finishing, const ProposeEnd& action);
  void Perform(Finishing& finishing, const Applied& action);
  void Perform(Finishing& finishing, const ForgetAtAgent& action);
  CommitAnswer CommittedAnswer(const Finishing& finishing) const;
  std::string WaitsFor(const Finishing& finishing, const PhaseTwo::Branch& branch) const;
  AgentRegistry::Link* LinkFor(const Finishing& finishing, const Bqual& bqual);
  void AnswerWaiters(Finishing& finishing);
  void OnGrace(const Gtrid& gtrid);
  void OnResend(const Gtrid& gtrid);
  void LetEndsRide();
  void FlushEnds(bool with_next = false);
  void DropFinishing(const Gtrid& gtrid);
  void CancelTimers(const Finishing& finishing);
  void DestroyFinishing();

  // driver_log.cc
  void On(LogSnapshot& event);
  void On(LogApplied& event);
  void On(LogLeadership& event);
  void On(SnapshotWanted& event);
  void On(ProposalAnswered& event);
  void ApplyEntry(const txlog::Applied& entry);
  void AfterApply(const GroupStart& record, ApplyAnswer answer);
  void AfterApply(const Decision& record, ApplyAnswer answer);
  void AfterApply(const End& record, ApplyAnswer answer);
  // Puts a heuristic outcome on record that no unfinished commit lists. False: it is there already.
  bool RecordStray(Heuristic record);
  void AfterApply(const Heuristic& record, ApplyAnswer answer);
  void AfterApply(const ForgetHeuristic& record, ApplyAnswer answer);
  void AfterApply(const Tick& record, ApplyAnswer answer);
  void Answered(const DecisionProposal& about, txlog::Fate fate);
  void Answered(const HeuristicProposal& about, txlog::Fate fate);
  void Answered(const EndProposal& about, txlog::Fate fate);
  void Answered(const ForgetProposal& about, txlog::Fate fate);
  void Answered(const TickProposal& about, txlog::Fate fate);
  void Answered(const StartProposal& about, txlog::Fate fate);
  void DrawIncarnation();
  void SettleOlderThan(Term term);
  void BecomeReady();
  void LoseLeadership();
  void AnnounceLeadership();

  // driver_group.cc
  void On(LogGroup& event);
  void On(MembersCall& call);
  void On(ChangeCall& call);
  void On(TransferCall& call);
  void On(TransferAnswered& event);
  void HandOverWhenDrained(bool in_time);
  void EndTransfer(const Status& status);
  void On(BackupCall& call);
  void On(BackupProved& event);
  void GiveWaitingBackups();
  Refusal NotLeader(Status why, uint32_t retry_delay_ms = 100) const;
  Refusal NotLeading() const;

  // driver_agents.cc
  void On(LinkOpened& event);
  void On(LinkInput& event);
  void On(LinkClosed& event);
  void OnRegister(AgentRegistry::Link& link, const RegisterAsked& asked);
  void OnVote(AgentRegistry::Link& link, const VoteCast& vote);
  void OnLost(const LostReported& lost);
  void OnFinished(AgentRegistry::Link& link, const FinishReported& report);
  void OnInquiry(AgentRegistry::Link& link, const Gid& gid);
  void AskOthers(const std::string& agent_id);
  static void NoteAgent(Finishing& finishing, const Gid& gid, const std::string& agent_id);
  void ResumeWith(AgentRegistry::Link& link);

  const Limits limits_;
  const Clock& clock_;
  const Codec& codec_;
  const std::function<void(Status)> on_fatal_;
  std::function<void(bool)> tell_serving_ = [](bool) {};
  HelpedInbox<DriverEvent> inbox_;
  DriverMetrics metrics_;  // Outlives finishing_, whose shares it holds.

  // Below: of the thread that handles only.
  txlog::DecisionLog* log_ = nullptr;
  MonotonicTime now_{};
  bool dead_ = false;

  Term term_ = 0;
  bool leader_ = false;
  bool own_entry_applied_ = false;
  bool drawing_ = false;  // The group has no incarnation, and gets one from this leader.
  uint64_t next_seq_ = 0;
  txlog::Index applied_index_ = 0;

  DecisionTable table_;
  LiveMap live_;
  std::unordered_map<std::string, Gtrid> live_keys_;
  FinishingMap finishing_;
  AbortMemory aborts_;
  AgentRegistry agents_;
  TimerQueue timers_;

  txlog::Group group_;
  // The lead is being handed over: no transaction begins.
  struct Transfer {
    uint64_t to = 0;
    std::vector<Reply<MembershipAnswer>> replies;
    std::optional<TimerQueue::Id> drain_timer;
    bool asked = false;  // The log has been told; before, live transactions end.
  };
  std::optional<Transfer> transfer_;

  std::vector<Gtrid> ends_;    // Fully applied; END not yet proposed.
  bool ends_refused_ = false;  // The log is full: not again before the timer.
  std::optional<TimerQueue::Id> flush_ends_timer_;
  bool tick_set_ = false;
  std::vector<BackupProved> waiting_backups_;  // For END to be applied.
  std::map<Gtrid, std::vector<Reply<ForgetAnswer>>> forgetters_;
  // ABORTs whose agent had no link: said when it dials again, or, of an app-held branch, to the
  // next that serves its resource. Bounded; the oldest are dropped first, since their agent may
  // never come back.
  struct UnsaidAbort {
    std::string agent_id;
    Gid gid;
    std::optional<AppHeld> app_held;
  };
  std::deque<UnsaidAbort> unsaid_aborts_;
};

}  // namespace assent::coordinator
