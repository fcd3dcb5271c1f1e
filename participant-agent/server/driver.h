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
#include "participant-agent/core/recovery_scan.h"
#include "participant-agent/core/work_sequence.h"
#include "participant-agent/journal/journal.h"
#include "participant-agent/server/agent_metrics.h"
#include "participant-agent/server/events.h"
#include "participant-agent/server/finish_pool.h"
#include "participant-agent/server/link.h"
#include "participant-agent/server/options.h"
#include "participant-agent/server/resource_watcher.h"
#include "participant-agent/server/work_session.h"

namespace assent::agent {

// Makes the adapter of a resource, for gids of `cluster`. Null is not allowed.
using ManagerFactory = std::function<std::unique_ptr<adapters::ResourceManager>(
    const ResourceOptions& resource, const std::string& cluster)>;

class Driver {
 public:
  // `links` are told what to say by the driver and must outlive it, as all other arguments.
  Driver(const Options& options, Journal& journal, ManagerFactory factory, EventInbox& inbox);
  ~Driver();

  // Before Run. The links' hello is set by Run.
  void SetLinks(std::vector<Link*> links);

  // Until the inbox is closed. Then interrupts work, closes all sessions (unprepared branches roll
  // back) and refuses the calls that wait.
  void Run();

  // Any thread.
  const AgentMetrics& metrics() const { return metrics_; }

  // Branches over and done that are remembered, so that repeats are answered from memory.
  static constexpr size_t kRememberedMax = 20'000;

 private:
  // A resource of the configuration, once its cluster is known.
  struct Resource {
    explicit Resource(const ResourceOptions& o, Duration inquiry_age)
        : options(o), scan(inquiry_age) {}
    const ResourceOptions& options;
    std::unique_ptr<adapters::ResourceManager> manager;
    std::unique_ptr<SessionPool> sessions;
    std::unique_ptr<FinishPool> finishers;
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
    SessionThread* session = nullptr;
    uint64_t request_id = 0;        // While it is being registered.
    MonotonicTime registers_until;  // So long at most.
    std::vector<OpenCall> waiting;
    std::optional<v1::OpenReply> reply;
  };

  struct Live {
    Branch core;
    Resource* resource = nullptr;
    SessionThread* session = nullptr;
    std::string open_key;
    MonotonicTime deadline;
    MonotonicTime since;  // When the phase last changed.
    WorkSequence sequence;
    std::vector<ExecuteCall> waiting;  // Of the seq that runs.
    v1::ExecuteReply stored;           // Of the last seq.
    bool stored_dropped = false;       // It was large, and the branch takes no more work.
  };

  struct Peer {
    Link* link = nullptr;
    bool accepted = false;
    bool leader = false;
    uint64_t term = 0;
    v1::AgentMessage out;  // Gathered; sent when the round is over.
  };

  enum class TimerKind : uint8_t { kDeadline, kRegister };
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
  void PublishGauges();
  void Shutdown();
  Live* Find(const Gid& gid);
  void Deliver(const Gid& gid, Live& live, const BranchEvent& event);
  void Account(const Gid& gid, Live& live, Branch::Phase before);
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

  // driver_work.cc: calls of services.
  void On(OpenAsked& event);
  void On(ExecuteAsked& event);
  void On(WorkDone& event);
  void On(PrepareDone& event);
  void On(RollbackDone& event);
  void On(FinishDone& event);
  std::optional<CallError> WhyNotServed(const std::string& name) const;
  void SendRegister(const Opening& opening);
  void StopRegistering(const Opening& opening);
  void Registered(const v1::BranchRegistered& registered);
  void RefuseOpening(const std::string& key, const CallError& error);
  void AnswerOpening(Opening& opening, const Live& live);
  CallError WhyNoWork(const Live& live) const;

  // driver_link.cc: coordinators and resources.
  void On(LinkWelcomed& event);
  void On(LinkSaid& event);
  void On(LinkDown& event);
  void On(ResourceProbed& event);
  void On(ResourceUnreachable& event);
  void On(ResourceListed& event);
  bool CheckPin(Peer& peer, const v1::Welcome& welcome);
  void SetLeadership(Peer& peer, const v1::Leadership& leadership);
  void LeaderCame(Peer& peer);
  void Prepare(Peer& peer, const v1::PrepareBranch& prepare);
  void Finish(const std::string& gid_text, bool commit, const std::string& evidence);
  void Answered(const v1::InquiryAnswer& answer);
  void Forget(const std::string& gid_text);
  // Null, and a log line, if it is no gid of this agent's cluster and resources.
  Resource* ResourceOf(const std::string& gid_text, Gid* gid);
  Live* Adopt(const Gid& gid, Resource& resource, const std::string& evidence);
  void StartResources();
  void SayHello();
  size_t PreparedLimit(const Resource& resource) const;
  Peer* PeerOf(const Link* link);
  // The leader that an agent may talk to now, or null.
  Peer* Leader();

  const Options& options_;
  Journal& journal_;
  const ManagerFactory factory_;
  EventInbox& inbox_;
  AgentMetrics metrics_;  // Outlives the sessions that resources_ owns.
  std::vector<Peer> peers_;
  // A hello is owed, and waits until then at most for the databases to be probed.
  std::optional<MonotonicTime> hello_due_;
  bool repin_;  // An operator allowed one change of cluster.

  std::unordered_map<Gid, Live> live_;
  std::deque<Gid> retired_;  // Over, oldest first; no forget is to come for them.
  std::unordered_map<std::string, Opening> openings_;
  std::unordered_map<uint64_t, std::string> registering_;  // Request id to key.
  uint64_t next_request_id_ = 1;
  std::set<Timer> timers_;  // Of open branches and of registrations, so bounded by sessions.
  // Last, so that their threads end before what they post about.
  std::map<std::string, Resource> resources_;
};

}  // namespace assent::agent
