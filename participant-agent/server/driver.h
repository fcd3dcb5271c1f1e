// The driver: one thread that owns every branch of this agent, the journal, and what is known of
// coordinators and resources. All others post events into its inbox; it performs what the cores
// answer. No decision of the protocol is made here.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "adapters/resource_manager.h"
#include "base/clock.h"
#include "participant-agent/core/branch.h"
#include "participant-agent/core/coordinator_list.h"
#include "participant-agent/core/opened_gids.h"
#include "participant-agent/core/recovery_scan.h"
#include "participant-agent/core/work_sequence.h"
#include "participant-agent/journal/journal.h"
#include "participant-agent/server/agent_metrics.h"
#include "participant-agent/server/events.h"
#include "participant-agent/server/finish_pool.h"
#include "participant-agent/server/links.h"
#include "participant-agent/server/looker.h"
#include "participant-agent/server/options.h"
#include "participant-agent/server/resource_watcher.h"
#include "participant-agent/server/work_session.h"

namespace assent::agent {

// Makes the adapter of a resource, for gids of `cluster`. Null is not allowed.
using ManagerFactory = std::function<std::unique_ptr<adapters::ResourceManager>(
    const ResourceOptions& resource, const std::string& cluster)>;

class Driver {
 public:
  // All arguments must outlive it, also those of SetLinks.
  Driver(const Options& options, Journal& journal, ManagerFactory factory, EventInbox& inbox);
  ~Driver();

  // Before Run: dials the coordinators of the options. Their hello is set by Run.
  void SetLinks(Links& links);

  // Until the inbox is closed. Then interrupts work, closes all sessions (unprepared branches roll
  // back) and refuses the calls that wait.
  void Run();

  // Any thread.
  const AgentMetrics& metrics() const { return metrics_; }

  // Branches over and done that are remembered, so that repeats are answered from memory.
  static constexpr size_t kRememberedMax = 20'000;
  // Branches of one resource that are at work, on sessions of this agent and of applications.
  static constexpr size_t kAtWorkMax = 10'000;

 private:
  // A resource of the configuration, once its cluster is known.
  struct Resource {
    explicit Resource(const ResourceOptions& o, Duration inquiry_age)
        : options(o), scan(inquiry_age) {}
    const ResourceOptions& options;
    std::unique_ptr<adapters::ResourceManager> manager;
    std::unique_ptr<SessionPool> sessions;
    std::unique_ptr<FinishPool> finishers;
    std::unique_ptr<Looker> looker;
    std::vector<Look> looks;      // Gathered; looked at when the round is over.
    std::set<std::string> roles;  // That this agent may finish for.
    RecoveryScan scan;
    std::optional<adapters::ProbeReport> report;
    std::string refusal;      // Why it is not served, from findings; empty: it may be.
    std::string unreachable;  // Why it can't be reached now.
    size_t open = 0;          // Branches open or preparing.
    size_t prepared = 0;      // Branches prepared or finishing, known to the driver.
    std::unique_ptr<ResourceWatcher> watcher;  // Last: uses all the above.
  };

  // One Open, from its first call to the end of its branch.
  struct Opening {
    Gtrid gtrid;
    std::string key;
    Resource* resource = nullptr;
    SessionThread* session = nullptr;  // Until its branch has it.
    uint64_t request_id = 0;           // While it is being registered; 0: it never was.
    MonotonicTime registers_until;     // So long at most.
    std::vector<OpenCall> waiting;
    std::optional<v1::OpenReply> reply;
    // Set: it is an Enlist, and these are its calls and its answer.
    std::optional<v1::EnlistRequest> enlist;
    bool role_unchecked = false;
    std::vector<EnlistCall> enlisting;
    std::optional<v1::EnlistReply> enlisted;
  };

  // Of an app-held branch: which session of the database holds it.
  struct AppSession {
    std::string connection_id;
    bool finishes = false;
    MonotonicTime named;  // When, at the latest.
  };

  struct Live {
    Branch core;
    Resource* resource = nullptr;
    SessionThread* session = nullptr;
    std::string open_key;
    MonotonicTime deadline;
    MonotonicTime since;  // When the phase last changed.
    WorkSequence sequence;
    std::vector<ExecuteCall> waiting;   // Of the seq that runs.
    std::shared_ptr<RowStream> stream;  // Set: that seq is an ExecuteStream.
    v1::ExecuteReply stored;            // Of the last seq, unless Open ran it: then it is there.
    bool streamed = false;              // The last seq was an ExecuteStream, which nobody stores.
    bool stored_dropped = false;        // It was large, and the branch takes no more work.
    bool started_with_work = false;     // Open ran statements.
    std::optional<v1::BranchVerdict> verdict;  // What the answer to the work shall say of its vote.
    std::optional<AppSession> app;
    std::vector<VoteCall> votes;  // Until the look is done.
  };

  struct Peer {
    Link* link = nullptr;
    bool left = false;  // For good.
    bool accepted = false;
    bool leader = false;
    uint64_t term = 0;
    v1::AgentMessage out;  // Gathered; sent when the round is over.
  };

  enum class TimerKind : uint8_t { kDeadline, kRegister, kGrace };
  struct Timer {
    MonotonicTime at;
    TimerKind kind = TimerKind::kDeadline;
    Gid gid;
    uint64_t request_id = 0;
    auto operator<=>(const Timer&) const = default;
  };

  // driver.cc: the loop, branches and their actions.
  void Round(std::vector<Event> events);
  void FireTimers(MonotonicTime now);
  void FlushLinks();
  void FlushLooks();
  void PublishGauges();
  void Shutdown();
  Live* Find(const Gid& gid);
  void Deliver(const Gid& gid, Live& live, const BranchEvent& event);
  void Account(const Gid& gid, Live& live, Branch::Phase before);
  static size_t* CounterOf(Resource& resource, Branch::Phase phase);
  void Retire(const Gid& gid);
  void DropLargeAnswers(Live& live);
  void Erase(const Gid& gid);
  void Perform(const Gid& gid, Live& live, const InterruptWork& action);
  void Perform(const Gid& gid, Live& live, const RunPrepare& action);
  void Perform(const Gid& gid, Live& live, const RollBackSession& action);
  void Perform(const Gid& gid, Live& live, const ReleaseSession& action);
  void Perform(const Gid& gid, Live& live, const SendVote& action);
  void Perform(const Gid& gid, Live& live, const SendLost& action);
  void Perform(const Gid& gid, Live& live, const WriteWill& action);
  void Perform(const Gid& gid, Live& live, const WriteDone& action);
  void Perform(const Gid& gid, Live& live, const EraseWill& action);
  void Perform(const Gid& gid, Live& live, const FinishOnSession& action);
  void Perform(const Gid& gid, Live& live, const FinishInPool& action);
  void Perform(const Gid& gid, Live& live, const SendFinished& action);
  void Perform(const Gid& gid, Live& live, const AnswerVote& action);
  void Perform(const Gid& gid, Live& live, const LookUp& action);
  void Perform(const Gid& gid, Live& live, const AwaitApplication& action);

  // driver_work.cc: calls of services.
  void On(OpenAsked& event);
  void On(ExecuteAsked& event);
  void On(StreamAsked& event);
  void On(WorkDone& event);
  void On(PrepareDone& event);
  void On(RollbackDone& event);
  void On(FinishDone& event);
  std::optional<CallError> WhyNotServed(const std::string& name) const;
  std::optional<CallError> WhyNotBegun(const Gtrid& gtrid) const;
  std::optional<CallError> WhyNoRoom(const std::string& name, const Resource& resource) const;
  std::optional<CallError> WhyTooBusy(const std::string& name, const Resource& resource) const;
  // Of a branch that Begin registered.
  std::optional<CallError> WhyNotOpened(const Gid& gid, const Resource& resource) const;
  // Takes it for opened, unless it may have been opened before.
  std::optional<CallError> WhyNotOnce(const Gid& gid, uint64_t holder);
  void Register(Opening& opening);
  Live& Track(const Gid& gid, Opening& opening, uint32_t remaining_ms);
  void BeginWork(const Gid& gid, Opening& opening, uint32_t remaining_ms);
  bool Replay(const Live& live, v1::ExecuteReply* reply) const;
  void SendRegister(const Opening& opening);
  void StopRegistering(const Opening& opening);
  void Registered(const v1::BranchRegistered& registered);
  void RefuseOpening(const std::string& key, const CallError& error);
  void AnswerOpening(Opening& opening, const Live& live);
  CallError WhyNoWork(const Live& live) const;
  // Nothing: the branch can run `seq` now.
  std::optional<CallError> WhyNotNext(const Live& live, uint64_t seq) const;
  CallError UnknownBranch(const std::string& gid) const;

  // driver_app_held.cc: branches that applications hold.
  void On(EnlistAsked& event);
  void On(VoteCalled& event);
  void On(LooksDone& event);
  void On(RoleChecked& event);
  void Enlisted(const Gid& gid, Opening& opening, uint32_t remaining_ms);
  // One that this agent has not heard of, or no more.
  Live& AdoptAppHeld(const Gid& gid, Resource& resource, const AppSession& app);
  static adapters::AppHeldBranch AppHeldOf(const Gid& gid, const AppSession& app);
  static AppSession SessionOf(const v1::AppHeld& app_held);
  void NoteAppHeld(Live& live, const v1::AppHeld& app_held);
  void AnswerVotes(Live& live, const CallError& error);

  // driver_link.cc: coordinators and resources.
  void On(LinkWelcomed& event);
  void On(LinkSaid& event);
  void On(LinkDown& event);
  void On(ResourceProbed& event);
  void On(ResourceUnreachable& event);
  void On(ResourceListed& event);
  bool CheckPin(Peer& peer, const v1::Welcome& welcome);
  void Dial(const std::string& target);
  void Redial(const CoordinatorList::Change& change);
  void LeaveOthers(const Peer& welcome);
  void SetLeadership(Peer& peer, const v1::Leadership& leadership);
  void LeaderCame(Peer& peer);
  void Prepare(Peer& peer, const v1::PrepareBranch& prepare);
  void Finish(const std::string& gid_text, bool commit, const std::string& evidence,
              const v1::AppHeld* app_held);
  void Answered(const v1::InquiryAnswer& answer);
  void Forget(const std::string& gid_text);
  // Null, and a log line, if it is no gid of this agent's cluster and resources.
  Resource* ResourceOf(const std::string& gid_text, Gid* gid);
  Live* Adopt(const Gid& gid, Resource& resource, const std::string& evidence);
  void StartResources();
  void SayHello();
  size_t PreparedLimit(const Resource& resource) const;
  static std::string_view KindOf(const Resource& resource);
  static bool TiesPrepared(const Resource& resource);
  Peer* PeerOf(const Link* link);
  // The leader that an agent may talk to now, or null.
  Peer* Leader();

  const Options& options_;
  Journal& journal_;
  const ManagerFactory factory_;
  EventInbox& inbox_;
  AgentMetrics metrics_;  // Outlives the sessions that resources_ owns.
  Links* links_ = nullptr;
  CoordinatorList coordinators_;
  std::deque<Peer> peers_;
  v1::Hello hello_;  // The last that was said.
  // A hello is owed, and waits until then at most for the databases to be probed.
  std::optional<MonotonicTime> hello_due_;
  bool repin_;         // An operator allowed one change of cluster or group incarnation.
  uint64_t term_ = 0;  // The highest that a leader has announced.
  OpenedGids opened_;

  std::unordered_map<Gid, Live> live_;
  std::deque<Gid> retired_;  // Over, oldest first; no forget is to come for them.
  std::unordered_map<std::string, Opening> openings_;
  std::unordered_map<uint64_t, std::string> registering_;  // Request id to key.
  uint64_t next_request_id_ = 1;
  std::set<Timer> timers_;  // Of branches at work, of registrations, and of aborts.
  // Last, so that their threads end before what they post about.
  std::map<std::string, Resource> resources_;
};

}  // namespace assent::agent
