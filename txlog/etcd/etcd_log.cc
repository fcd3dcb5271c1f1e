#include "txlog/etcd/etcd_log.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <thread>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/failpoint.h"
#include "base/helped_inbox.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/random.h"
#include "txlog/etcd/client.h"
#include "txlog/etcd/core/member.h"
#include "txlog/etcd/core/presence.h"
#include "txlog/etcd/group.h"
#include "txlog/etcd/lineage.h"

namespace assent::txlog {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kInboxBound = 1 << 16;
constexpr std::chrono::milliseconds kTick{25};
constexpr std::chrono::milliseconds kLeaseMin{2000};
constexpr std::chrono::milliseconds kHealthEvery{3000};
constexpr int kTriesInALease = 4;
// How often the queue is looked into before what came goes to etcd: whoever handles it begins with
// the first entry that an owner proposes, while the others are still being posted.
constexpr int kLooksBeforeBatch = 8;

struct ProposalAsked {
  std::string record;
  Term term = 0;
  std::function<void(Fate)> done;
};
struct BarrierAsked {
  std::function<void(Status)> done;
};
struct SnapshotGiven {
  Index index = 0;
  std::string state;
};
struct TransferAsked {
  std::function<void(Status)> done;
};
struct MembersAsked {
  std::function<void(GroupProgress)> done;
};
using Input = std::variant<ProposalAsked, BarrierAsked, SnapshotGiven, TransferAsked, MembersAsked,
                           etcd::Event>;

Status NotLeading() { return Unavailable("this process does not lead the log"); }

}  // namespace

// Performs what the core says; no rule of the protocol lives here.
class EtcdLog::Impl {
 public:
  Impl(EtcdLogOptions options, etcd::Identity identity, const etcd::Lineage& lineage, uint64_t id,
       Listener& listener)
      : options_(std::move(options)),
        identity_(std::move(identity)),
        id_(id),
        listener_(listener),
        member_(CoreOptions(options_, identity_, lineage, id)),
        presence_(options_.prefix, {id, options_.address},
                  [this](const etcd::SendTxn& request) { client_->Send(request); }) {}

  void Start(std::unique_ptr<etcd::Endpoints> endpoints) {
    client_ = std::make_unique<etcd::Client>(
        std::move(endpoints), [this](etcd::Event event) { inbox_.Post(std::move(event)); });
    health_ = std::make_unique<etcd::HealthWatch>(client_->endpoints(), kHealthEvery);
    thread_ = std::thread([this] {
      TellGroup({});
      inbox_.Run([this](std::vector<Input> inputs) { return Handle(std::move(inputs)); }, [] {});
    });
  }

  ~Impl() {
    inbox_.Close();
    if (thread_.joinable()) thread_.join();
    health_.reset();
    // Nothing is written any more: the lead may go.
    client_.reset();
    if (lease_ != 0) {
      etcd::RevokeLease(options_.client, lease_);
    }
    for (auto& [id, one] : proposals_) one.done(Fate::kInDoubt);
    for (ProposalAsked& one : TakeBehindNext()) one.done(Fate::kInDoubt);
    for (auto& [id, done] : barriers_) done(Unavailable("the log has stopped"));
    for (auto& [id, done] : transfers_) done(Unavailable("the log has stopped"));
    presence_.Stop();
  }

  // What calls ask for waits for the log thread, so that what is asked for together goes together;
  // an answer of etcd is handled at once by the thread that received it.
  void Post(Input input) { inbox_.PostAndWake(std::move(input)); }
  void PutBehindNext(ProposalAsked proposal) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    behind_next_.push_back(std::move(proposal));
  }
  const etcd::Identity& identity() const { return identity_; }
  uint64_t id() const { return id_; }
  EtcdHealth health() const EXCLUDES(mutex_) {
    EtcdHealth health{.endpoint = client_->endpoint(), .servers = health_->servers()};
    const MonotonicTime until(Duration(lease_until_.load()));
    health.lease_left =
        std::max(std::chrono::milliseconds(0),
                 std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()));
    MutexLock lock(mutex_);
    health.trouble = trouble_;
    return health;
  }

 private:
  struct Sent {
    MonotonicTime at;
    bool is_batch = false;
  };
  struct Asked {
    std::function<void(Fate)> done;
    uint64_t bytes = 0;
  };

  static etcd::Options CoreOptions(const EtcdLogOptions& options, const etcd::Identity& identity,
                                   const etcd::Lineage& lineage, uint64_t id) {
    etcd::Options core;
    core.prefix = options.prefix;
    core.identity = identity;
    core.owner = id;
    core.address = options.address;
    if (lineage.cluster_id != 0) core.lineage = etcd::Text(lineage);
    core.lease = options.lease;
    core.lease_margin = options.lease / 10;
    core.snapshot_after_bytes = options.snapshot_after_bytes;
    core.snapshot_after_batches = options.snapshot_after_batches;
    core.batch_bytes_max = options.batch_bytes_max;
    return core;
  }

  MonotonicTime Handle(std::vector<Input> inputs) {
    for (int look = 1; !inputs.empty(); ++look) {
      for (Input& input : inputs) {
        std::visit([this](auto& one) { On(one); }, input);
      }
      if (look == kLooksBeforeBatch) break;
      inputs = inbox_.TakeAll();
    }
    ProposeGathered();
    Step(etcd::Flush{});
    if (Clock::now() >= next_tick_) {
      Step(etcd::Tick{});
      presence_.Tick(Clock::now(), lease_);
      next_tick_ = Clock::now() + kTick;
    }
    lease_until_ = member_.lease_until().value_or(MonotonicTime()).time_since_epoch().count();
    return next_tick_;
  }

  void On(ProposalAsked& input) {
    Gather(input);
    for (ProposalAsked& behind : TakeBehindNext()) Gather(behind);
  }
  void On(BarrierAsked& input) {
    ProposeGathered();
    barriers_.emplace(next_id_, std::move(input.done));
    Step(etcd::ReadBarrier{next_id_++});
  }
  void On(SnapshotGiven& input) {
    ProposeGathered();
    Step(etcd::SaveSnapshot{input.index, std::move(input.state)});
  }
  void On(TransferAsked& input) {
    ProposeGathered();
    transfers_.emplace(next_id_, std::move(input.done));
    Step(etcd::Resign{next_id_++});
  }
  void On(MembersAsked& input) {
    presence_.List([this, done = std::move(input.done)](auto processes) {
      done(Progress(processes.value_or(std::vector<etcd::PresenceValue>())));
    });
  }
  void On(etcd::Event& event) {
    took_ = {};
    if (auto* answer = std::get_if<etcd::TxnAnswered>(&event)) {
      if (presence_.TakeAnswer(*answer)) return;
      if (auto sent = sent_at_.extract(answer->request); !sent.empty()) {
        took_ = Clock::now() - sent.mapped().at;
        if (sent.mapped().is_batch) ASSENT_FAILPOINT("coord.fsync.after");
      }
    } else if (const auto* lease = std::get_if<etcd::LeaseAnswered>(&event)) {
      if (lease->what == etcd::LeaseAnswered::What::kHeld) lease_ = lease->lease;
    }
    Step(std::move(event));
  }

  void Gather(ProposalAsked& input) {
    if (gathered_.term != input.term) ProposeGathered();
    gathered_.term = input.term;
    proposals_.emplace(next_id_, Asked{std::move(input.done), input.record.size()});
    gathered_.proposals.push_back({next_id_++, std::move(input.record)});
  }
  void ProposeGathered() {
    if (!gathered_.proposals.empty()) Step(std::exchange(gathered_, {}));
  }
  std::vector<ProposalAsked> TakeBehindNext() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return std::exchange(behind_next_, {});
  }

  void Step(etcd::Event event) {
    if (dead_) return AnswerDead();
    for (etcd::Action& action : member_.Step(Clock::now(), std::move(event))) {
      std::visit([this](auto& one) { Perform(one); }, action);
    }
  }

  // The steps are those of Raft's log, as far as there are such: what is sent counts as appended,
  // what is answered as forced.
  void Perform(etcd::SendTxn& action) {
    if (action.is_batch) ASSENT_FAILPOINT("coord.append.before");
    sent_at_.emplace(action.request, Sent{Clock::now(), action.is_batch});
    client_->Send(action);
    if (action.is_batch) ASSENT_FAILPOINT("coord.append.after");
    if (action.is_batch) ASSENT_FAILPOINT("coord.fsync.before");
  }
  void Perform(etcd::GrantLease& action) { client_->Send(action); }
  void Perform(etcd::KeepLease& action) { client_->Send(action); }
  void Perform(etcd::StartWatch& action) { client_->Watch(action); }
  void Perform(etcd::StopWatch&) { client_->StopWatching(); }
  void Perform(etcd::Restore& action) {
    LogInfo("log_snapshot_read", {{"index", action.index}, {"bytes", action.state.size()}});
    listener_.OnSnapshot(action.index, action.term, std::move(action.state));
  }
  void Perform(etcd::Apply& action) { listener_.OnApplied(std::move(action.entries)); }
  void Perform(etcd::ProposalFates& action) {
    LogObserver::Forced forced{.records = action.ids.size(), .took = took_};
    for (uint64_t id : action.ids) {
      auto asked = proposals_.extract(id);
      if (asked.empty()) continue;
      forced.bytes += asked.mapped().bytes;
      asked.mapped().done(action.fate);
    }
    if (options_.observer != nullptr && action.fate == Fate::kDurable) {
      options_.observer->OnForced(forced);
    }
  }
  void Perform(etcd::LeadershipChanged& action) {
    if (action.leads) {
      LogInfo("log_leader", {{"term", action.term}});
    } else if (leads_) {
      LogInfo("log_leader_no_more", {{"term", action.term}});
    }
    leads_ = action.leads;
    listener_.OnLeadership(action.term, action.leads);
  }
  void Perform(etcd::LeaderKnown& action) {
    if (action.owner != 0 && action.owner != id_) {
      LogInfo("log_follows", {{"term", action.term}, {"leader", action.owner}});
    }
    TellGroup(action);
  }
  void Perform(etcd::ReadReady& action) { AnswerReads(action.ids, Ok()); }
  void Perform(etcd::ReadsRefused& action) { AnswerReads(action.ids, NotLeading()); }
  void Perform(etcd::SnapshotWanted&) { listener_.OnSnapshotWanted(); }
  void Perform(etcd::Resigned& action) {
    if (auto done = transfers_.extract(action.id); !done.empty()) {
      done.mapped()(action.moved ? Ok() : NotLeading());
    }
  }
  void Perform(etcd::SnapshotTaken& action) { LogInfo("log_snapshot", {{"index", action.index}}); }
  void Perform(etcd::Trouble& action) {
    if (action.what.empty()) {
      LogInfo("etcd_fine", {{"endpoint", client_->endpoint()}});
    } else {
      LogWarning("etcd_trouble", {{"reason", action.what}});
    }
    MutexLock lock(mutex_);
    trouble_ = std::move(action.what);
  }
  void Perform(etcd::Halt& action) {
    if (std::exchange(dead_, true)) return;
    LogError("log_died", {{"reason", action.why}});
    if (!options_.on_death) std::abort();
    options_.on_death(DataLoss(action.why));
    AnswerDead();
  }

  // Whatever waits, and whatever still comes.
  void AnswerDead() {
    for (auto& [id, one] : std::exchange(proposals_, {})) one.done(Fate::kInDoubt);
    for (auto& [id, done] : std::exchange(barriers_, {})) done(Unavailable("the log has stopped"));
    for (auto& [id, done] : std::exchange(transfers_, {})) done(Unavailable("the log has stopped"));
  }

  void AnswerReads(const std::vector<uint64_t>& ids, const Status& status) {
    for (uint64_t id : ids) {
      if (auto done = barriers_.extract(id); !done.empty()) done.mapped()(status);
    }
  }

  // The group and whoever else is there; how far others are, nobody here knows.
  GroupProgress Progress(const std::vector<etcd::PresenceValue>& processes) const {
    GroupProgress progress{.group = group_,
                           .last_index = member_.applied_index(),
                           .commit_index = member_.applied_index()};
    for (const etcd::PresenceValue& process : processes) {
      const auto& known = progress.group.members;
      const bool listed = std::any_of(known.begin(), known.end(),
                                      [&](const Member& one) { return one.id == process.id; });
      if (!listed) {
        progress.group.members.push_back({.id = process.id, .address = process.address});
      }
    }
    for (const Member& member : progress.group.members) {
      const bool self = member.id == id_;
      progress.members.push_back({member, self ? member_.applied_index() : 0, true});
    }
    return progress;
  }

  void TellGroup(const etcd::LeaderKnown& known) {
    group_.term = known.term;
    group_.leader = known.owner;
    group_.members = {{.id = id_, .address = options_.address}};
    if (known.owner != 0 && known.owner != id_) {
      group_.members.push_back({.id = known.owner, .address = known.address});
    }
    listener_.OnGroup(group_);
  }

  const EtcdLogOptions options_;
  const etcd::Identity identity_;
  const uint64_t id_;
  Listener& listener_;
  HelpedInbox<Input> inbox_{kInboxBound};
  mutable Mutex mutex_;
  std::vector<ProposalAsked> behind_next_ GUARDED_BY(mutex_);
  std::string trouble_ GUARDED_BY(mutex_);
  std::atomic<Duration::rep> lease_until_{0};  // 0: there is none.

  // Of the one who handles.
  MonotonicTime next_tick_{};
  etcd::Member member_;
  etcd::Presence presence_;
  bool dead_ = false;
  bool leads_ = false;
  etcd::LeaseId lease_ = 0;
  Group group_;
  etcd::Propose gathered_;
  uint64_t next_id_ = 1;
  std::unordered_map<uint64_t, Asked> proposals_;
  std::unordered_map<uint64_t, std::function<void(Status)>> barriers_;
  std::unordered_map<uint64_t, std::function<void(Status)>> transfers_;
  std::unordered_map<uint64_t, Sent> sent_at_;
  Duration took_{};  // Of the request whose answer is being handled.

  std::unique_ptr<etcd::Client> client_;
  std::unique_ptr<etcd::HealthWatch> health_;
  std::thread thread_;
};

bool EtcdHealth::no_space() const {
  return std::any_of(servers.begin(), servers.end(),
                     [](const etcd::ServerHealth& one) { return one.no_space; });
}

uint64_t DrawProcessId() { return (SystemRandom64() >> 11) | 1; }

EtcdLog::EtcdLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
EtcdLog::~EtcdLog() = default;

Result<std::unique_ptr<EtcdLog>> EtcdLog::Open(EtcdLogOptions options, Listener& listener) {
  if (Status s = etcd::CheckPrefix(options.prefix); !s.ok()) return s;
  if (options.lease < kLeaseMin) {
    return InvalidArgument("a lease of less than 2 s is shorter than etcd grants");
  }
  if (options.address.find(' ') != std::string::npos) {
    return InvalidArgument("address \"" + options.address + "\" holds a space");
  }
  // A member of etcd that is silent must not cost the lease: there is time to ask others.
  options.client.request_timeout =
      std::min(options.client.request_timeout, options.lease / kTriesInALease);
  auto endpoints = etcd::Endpoints::Open(options.client);
  if (!endpoints.ok()) return endpoints.status();
  Result<etcd::Identity> identity = etcd::ReadIdentity(**endpoints, options.prefix);
  if (!identity.ok()) {
    if (identity.status().code() != Code::kNotFound) return identity.status();
    return FailedPrecondition(identity.status().message());
  }
  if (identity->cluster != options.cluster) {
    return FailedPrecondition("the group below " + options.prefix + " in etcd is of cluster " +
                              identity->cluster + ", not of " + options.cluster +
                              ": give the etcd_prefix of " + options.cluster +
                              ", or correct cluster");
  }
  if (!options.cluster_uuid.empty() && identity->cluster_uuid != options.cluster_uuid) {
    return FailedPrecondition("the group below " + options.prefix + " in etcd is of the cluster " +
                              identity->cluster_uuid + ", not of " + options.cluster_uuid +
                              ": give that one's etcd_prefix, or correct cluster_uuid");
  }
  const Result<etcd::Lineage> lineage = etcd::CheckLineage(**endpoints, options.prefix);
  if (!lineage.ok()) return lineage.status();
  const uint64_t id = options.id != 0 ? options.id : DrawProcessId();
  auto impl =
      std::make_unique<Impl>(std::move(options), std::move(*identity), *lineage, id, listener);
  impl->Start(std::move(*endpoints));
  return std::unique_ptr<EtcdLog>(new EtcdLog(std::move(impl)));
}

const etcd::Identity& EtcdLog::identity() const { return impl_->identity(); }
uint64_t EtcdLog::id() const { return impl_->id(); }
EtcdHealth EtcdLog::health() const { return impl_->health(); }

void EtcdLog::Propose(std::string record, Term term, std::function<void(Fate)> done) {
  impl_->Post(ProposalAsked{std::move(record), term, std::move(done)});
}
void EtcdLog::ProposeWithNext(std::string record, Term term, std::function<void(Fate)> done) {
  impl_->PutBehindNext({std::move(record), term, std::move(done)});
}
void EtcdLog::ReadBarrier(std::function<void(Status)> done) {
  impl_->Post(BarrierAsked{std::move(done)});
}
void EtcdLog::SaveSnapshot(Index index, std::string state) {
  impl_->Post(SnapshotGiven{index, std::move(state)});
}
void EtcdLog::ChangeMembership(MembershipChange, std::function<void(Status)> done) {
  done(FailedPrecondition(
      "this log is kept in etcd: coordinators are no members of it, just start and stop them"));
}
void EtcdLog::TransferLeadership(uint64_t to, std::function<void(Status)> done) {
  if (to != 0) {
    done(
        NotFound("this log is kept in etcd: the lead can be given away, but not to a process "
                 "that is named"));
    return;
  }
  impl_->Post(TransferAsked{std::move(done)});
}
void EtcdLog::ListMembers(std::function<void(GroupProgress)> done) {
  impl_->Post(MembersAsked{std::move(done)});
}

}  // namespace assent::txlog
