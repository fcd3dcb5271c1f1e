#include "txlog/replicated/replicated_log.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <set>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/inbox.h"
#include "base/log.h"
#include "base/mutex.h"
#include "txlog/replicated/engine.h"
#include "txlog/replicated/members.h"

namespace assent::txlog {
namespace {

// The driver bounds what is under way; Post ignores this.
constexpr size_t kInboxBound = 1 << 16;
// Messages of peers that wait for the log thread; beyond it nothing more is read from them.
constexpr size_t kWaitingBytesMax = 64 << 20;
constexpr int kTicksInElectionTimeout = 10;
// In election timeouts: for how long a former member is still talked to.
constexpr int kFarewell = 20;
// How often the queue is looked into before what came is written. The thread wakes up at the first
// entry that an owner proposes, while the others are still being posted: without a second look they
// would wait for a whole flush.
constexpr int kTakesBeforeFlush = 8;

// What peers must have in common. Who is left of the group before a restore has the same UUID, but
// another log.
std::string PeerIdentity(const NodeIdentity& identity) {
  if (identity.group_incarnation == 0) return identity.cluster_uuid;
  return identity.cluster_uuid + "/" + std::to_string(identity.group_incarnation);
}

size_t MessageBytes(const std::vector<EngineInput>& inputs) {
  size_t bytes = 0;
  for (const EngineInput& input : inputs) {
    if (const auto* message = std::get_if<MessageCame>(&input)) bytes += message->bytes.size();
  }
  return bytes;
}

bool Proposes(const std::vector<EngineInput>& inputs) {
  return std::any_of(inputs.begin(), inputs.end(), [](const EngineInput& input) {
    return std::holds_alternative<ProposalAsked>(input);
  });
}

}  // namespace

class ReplicatedLog::Impl final : public PeerLinks, public TransportHandler {
 public:
  static Result<std::unique_ptr<Impl>> Open(ReplicatedLogOptions options,
                                            const TransportOptions* transport, Listener& listener) {
    auto impl = std::make_unique<Impl>();
    impl->self_ = options.node_id;
    impl->tick_ = options.election_timeout / kTicksInElectionTimeout;
    auto engine = ReplicatedEngine::Open(
        options, listener, *impl, *impl->spares_, *impl->slow_,
        [inbox = &impl->inbox_](EngineInput input) { inbox->Post(std::move(input)); });
    if (!engine.ok()) return engine.status();
    impl->engine_ = std::move(*engine);
    if (transport != nullptr) {
      TransportOptions own = *transport;
      const NodeIdentity& identity = impl->engine_->identity();
      own.cluster_uuid = PeerIdentity(identity);
      own.first_members = identity.first_members;
      own.directory = identity.directory;
      own.member = impl->self_;
      // Whoever was away for long may not know who leads by now, nor a joining node anybody.
      own.accept_strangers = true;
      auto started = Transport::Start(own, *impl);
      if (!started.ok()) return started.status();
      impl->transport_ = std::move(*started);
    }
    impl->thread_ = std::thread([raw = impl.get()] { raw->Run(); });
    return impl;
  }

  ~Impl() override {
    inbox_.Close();
    if (thread_.joinable()) thread_.join();
    // First whoever posts and whoever is told; their tasks use the engine.
    transport_.reset();
    spares_.reset();
    slow_.reset();
    if (engine_ != nullptr) engine_->Close();
    for (ProposalAsked& proposal : TakeBehindNext()) proposal.done(Fate::kInDoubt);
  }

  void Post(EngineInput input) { inbox_.Post(std::move(input)); }
  void PutBehindNext(ProposalAsked proposal) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    behind_next_.push_back(std::move(proposal));
  }
  const ReplicatedEngine& engine() const { return *engine_; }
  const Transport* transport() const { return transport_.get(); }

  // ---- PeerLinks: the log thread ---------------------------------------------------------------

  void Send(uint64_t to, std::string bytes) override {
    if (transport_ != nullptr) (void)transport_->Send(to, txlog::Message(std::move(bytes)));
  }

  // Who is no member any more is talked to for a while yet: a leader that is removed must hear that
  // its removal is acknowledged, and who was removed should hear of it.
  void SetMembers(const std::vector<Member>& members) override {
    const MonotonicTime until =
        std::chrono::steady_clock::now() + kFarewell * kTicksInElectionTimeout * tick_;
    for (const Member& before : members_) leaving_[before.id] = {before.peer_address, until};
    for (const Member& member : members) leaving_.erase(member.id);
    members_ = members;
    SetPeers();
  }

  // ---- TransportHandler: the transport's thread ------------------------------------------------

  bool OnMessage(MemberId from, std::string& bytes) override {
    if (waiting_bytes_.load() > kWaitingBytesMax) {
      peers_wait_.store(true);
      // The log thread may have looked just before.
      if (waiting_bytes_.load() > kWaitingBytesMax) return false;
    }
    waiting_bytes_.fetch_add(bytes.size());
    inbox_.Post(MessageCame{from, std::move(bytes)});
    return true;
  }
  void OnPeerUp(MemberId peer, uint64_t incarnation) override {
    LogInfo("peer_up", {{"node", peer}, {"incarnation", incarnation}});
  }
  void OnPeerDown(MemberId peer) override { LogInfo("peer_down", {{"node", peer}}); }
  void OnStranger(MemberId member, const std::string& address) override {
    inbox_.Post(SlowWorkDone{[this, member, address] {
      strangers_[member] = address;
      SetPeers();
    }});
  }

 private:
  // Late ticks are not made up for: a thread that was held up has not been without a leader for so
  // long, it has only not listened.
  void Run() {
    engine_->Announce();
    MonotonicTime next_tick = std::chrono::steady_clock::now() + tick_;
    while (true) {
      std::vector<EngineInput> inputs = inbox_.DrainUntil(next_tick);
      if (inputs.empty() && inbox_.closed()) return;
      size_t bytes = MessageBytes(inputs);
      const bool ticks = std::chrono::steady_clock::now() >= next_tick;
      if (ticks) inputs.push_back(TickCame{});
      Take(std::move(inputs));
      for (int takes = 1; takes < kTakesBeforeFlush && inbox_.size() > 0; ++takes) {
        inputs = inbox_.Drain();
        bytes += MessageBytes(inputs);
        Take(std::move(inputs));
      }
      engine_->Flush();
      if (ticks) next_tick = std::chrono::steady_clock::now() + tick_;
      waiting_bytes_.fetch_sub(bytes);
      if (!leaving_.empty() && ticks) SayFarewell();
      if (peers_wait_.exchange(false)) transport_->Resume();
    }
  }

  std::vector<ProposalAsked> TakeBehindNext() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return std::exchange(behind_next_, {});
  }

  void Take(std::vector<EngineInput> inputs) {
    if (Proposes(inputs)) {
      for (ProposalAsked& behind : TakeBehindNext()) inputs.push_back(std::move(behind));
    }
    engine_->Take(std::move(inputs));
  }

  void SayFarewell() {
    const MonotonicTime now = std::chrono::steady_clock::now();
    if (std::erase_if(leaving_, [&](const auto& one) { return one.second.until < now; }) > 0) {
      SetPeers();
    }
  }

  void SetPeers() {
    if (transport_ == nullptr) return;
    std::vector<Peer> peers;
    std::set<uint64_t> listed;
    for (const Member& member : members_) {
      listed.insert(member.id);
      if (member.id == self_ || member.peer_address.empty()) continue;
      peers.push_back({.member = member.id, .address = member.peer_address});
    }
    for (const auto& [id, former] : leaving_) {
      if (id == self_ || former.peer_address.empty() || !listed.insert(id).second) continue;
      peers.push_back({.member = id, .address = former.peer_address});
    }
    std::erase_if(strangers_, [&](const auto& one) { return listed.contains(one.first); });
    for (const auto& [id, address] : strangers_) {
      if (id != self_) peers.push_back({.member = id, .address = address});
    }
    if (Status s = transport_->SetPeers(std::move(peers)); !s.ok()) {
      LogError("peers_refused", {{"reason", s.message()}});
    }
  }

  uint64_t self_ = 0;
  Duration tick_{};
  Inbox<EngineInput> inbox_{kInboxBound};
  Mutex mutex_;
  std::vector<ProposalAsked> behind_next_ GUARDED_BY(mutex_);
  std::atomic<size_t> waiting_bytes_ = 0;
  std::atomic<bool> peers_wait_ = false;
  std::unique_ptr<BackgroundThread> spares_ = std::make_unique<BackgroundThread>();
  // Apart from the spares: a large snapshot must not delay the next segment.
  std::unique_ptr<BackgroundThread> slow_ = std::make_unique<BackgroundThread>();
  std::unique_ptr<ReplicatedEngine> engine_;
  std::unique_ptr<Transport> transport_;
  std::thread thread_;
  // The log thread's.
  std::vector<Member> members_;
  struct Former {
    std::string peer_address;
    MonotonicTime until;
  };
  std::map<uint64_t, Former> leaving_;
  std::map<uint64_t, std::string> strangers_;  // Who has dialled, is no member, and wants answers.
};

ReplicatedLog::ReplicatedLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ReplicatedLog::~ReplicatedLog() = default;

Result<std::unique_ptr<ReplicatedLog>> ReplicatedLog::Open(ReplicatedLogOptions options,
                                                           const TransportOptions* transport,
                                                           Listener& listener) {
  Result<std::unique_ptr<Impl>> impl = Impl::Open(std::move(options), transport, listener);
  if (!impl.ok()) return impl.status();
  return std::unique_ptr<ReplicatedLog>(new ReplicatedLog(std::move(*impl)));
}

const NodeIdentity& ReplicatedLog::identity() const { return impl_->engine().identity(); }

const TransportMetrics* ReplicatedLog::transport_metrics() const {
  return impl_->transport() == nullptr ? nullptr : &impl_->transport()->counters();
}

uint16_t ReplicatedLog::port() const {
  return impl_->transport() == nullptr ? 0 : impl_->transport()->port();
}

void ReplicatedLog::Propose(std::string record, Term term, std::function<void(Fate)> done) {
  impl_->Post(ProposalAsked{std::move(record), term, std::move(done)});
}

void ReplicatedLog::ProposeWithNext(std::string record, Term term, std::function<void(Fate)> done) {
  impl_->PutBehindNext(ProposalAsked{std::move(record), term, std::move(done)});
}

void ReplicatedLog::ReadBarrier(std::function<void(Status)> done) {
  impl_->Post(txlog::BarrierAsked{std::move(done)});
}

void ReplicatedLog::SaveSnapshot(Index index, std::string state) {
  impl_->Post(SnapshotGiven{index, std::move(state)});
}

void ReplicatedLog::ChangeMembership(MembershipChange change, std::function<void(Status)> done) {
  impl_->Post(ChangeAsked{std::move(change), std::move(done)});
}

void ReplicatedLog::TransferLeadership(uint64_t to, std::function<void(Status)> done) {
  impl_->Post(TransferAsked{to, std::move(done)});
}

void ReplicatedLog::ListMembers(std::function<void(GroupProgress)> done) {
  impl_->Post(MembersAsked{std::move(done)});
}

// ---- First starts -------------------------------------------------------------------------------

namespace {

Status CheckFirstMembers(const NodeIdentity& identity, const std::vector<Member>& members) {
  bool found = false;
  std::set<uint64_t> ids;
  for (const Member& member : members) {
    if (member.id == 0 || !ids.insert(member.id).second) {
      return InvalidArgument(
          "member " + std::to_string(member.id) +
          " is listed twice, or is 0: give each member an id of its own, from 1");
    }
    if (PackAddresses(member).size() > raft::kAddressBytesMax) {
      return InvalidArgument("the addresses of member " + std::to_string(member.id) +
                             " are longer than " + std::to_string(raft::kAddressBytesMax) +
                             " characters");
    }
    found = found || member.id == identity.node_id;
  }
  if (!found) {
    return InvalidArgument("node " + std::to_string(identity.node_id) +
                           " is not among the first members: list it, or let it join later");
  }
  if (members.size() > raft::kMembersMax) {
    return InvalidArgument("a group has at most " + std::to_string(raft::kMembersMax) + " members");
  }
  return Ok();
}

}  // namespace

uint64_t DigestOf(const std::vector<Member>& members) {
  return Crc32c(raft::EncodeConfig(ToConfig(members)));
}

Status BootstrapGroup(Disk& disk, const std::string& directory, const NodeIdentity& identity,
                      std::string first_record, const std::vector<Member>& members) {
  if (Status s = CheckFirstMembers(identity, members); !s.ok()) return s;
  std::vector<Entry> first(2);
  first[0] = {.index = 1, .term = 1, .payload = std::move(first_record)};
  first[1] = {.index = 2,
              .term = 1,
              .type = EntryType::kConfig,
              .payload = raft::EncodeConfig(ToConfig(members))};
  return LogStore::Create(disk, directory, identity, first);
}

Status RestoreGroup(Disk& disk, const std::string& directory, const NodeIdentity& identity,
                    std::string_view state, const Member& member) {
  if (Status s = CheckFirstMembers(identity, {member}); !s.ok()) return s;
  return LogStore::CreateFromState(disk, directory, identity,
                                   PackSnapshot(ToConfig({member}), state));
}

Status BootstrapJoining(Disk& disk, const std::string& directory, const NodeIdentity& identity) {
  return LogStore::Create(disk, directory, identity, {});
}

}  // namespace assent::txlog
