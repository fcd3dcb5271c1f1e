// Inputs, and the actions that need no disk.
#include "txlog/replicated/engine.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/random.h"
#include "txlog/replicated/before_groups.h"
#include "txlog/replicated/members.h"
#include "txlog/replicated/wire.h"
#include "txlog/storage/posix_disk.h"

namespace assent::txlog {
namespace {

constexpr uint32_t kElectionTicks = 10;
// How many entries OnApplied gets at a time.
constexpr size_t kApplyEntries = 4096;
// After a full disk it is tried again.
constexpr uint64_t kTryAgainTicks = 2 * kElectionTicks;
// A loaded snapshot that nobody asks pieces of goes.
constexpr uint64_t kKeepLoadedTicks = 20 * kElectionTicks;

Disk& RealDisk() {
  static PosixDisk disk;
  return disk;
}

raft::Options CoreOptions(const ReplicatedLogOptions& options) {
  raft::Options core = options.limits;
  core.id = options.node_id;
  core.seed = options.seed != 0 ? options.seed : SystemRandom64();
  core.election_ticks = kElectionTicks;
  core.heartbeat_ticks = 2;
  core.transfer_ticks = 2 * kElectionTicks;
  core.snapshot_after_bytes = options.snapshot_after_bytes;
  return core;
}

Status NotLeading() { return Unavailable("this node does not lead the log"); }

Status ToStatus(raft::MembershipAnswer answer, const MembershipChange& change) {
  const std::string member = "member " + std::to_string(change.member.id);
  switch (answer) {
    case raft::MembershipAnswer::kDone:
      return Ok();
    case raft::MembershipAnswer::kNotLeader:
      return NotLeading();
    case raft::MembershipAnswer::kNotYet:
      return FailedPrecondition("this leader has only just been elected: try again in a moment");
    case raft::MembershipAnswer::kBusy:
      return FailedPrecondition(
          "another change of members, or a transfer of the lead, is under way: try again when it "
          "is "
          "over");
    case raft::MembershipAnswer::kNotCaughtUp:
      return FailedPrecondition(member +
                                " lacks too much of the log to vote yet: try again when it has "
                                "caught up (assentctl member list shows how far it is)");
    case raft::MembershipAnswer::kWrongMember:
      switch (change.kind) {
        case MembershipChange::Kind::kAddLearner:
          return AlreadyExists(member + " is a member already: list the members");
        case MembershipChange::Kind::kPromote:
          return FailedPrecondition(member + " is no learner: list the members");
        case MembershipChange::Kind::kRemove:
          return NotFound(member + " is no member: list the members");
      }
      return Internal("a change of members of no known kind");
    case raft::MembershipAnswer::kLastVoter:
      return FailedPrecondition(member +
                                " is the last voter: without it the group could decide nothing");
    case raft::MembershipAnswer::kTooMany:
      return FailedPrecondition("a group has at most " + std::to_string(raft::kMembersMax) +
                                " members: remove one first");
    case raft::MembershipAnswer::kInDoubt:
      return Unavailable(
          "this node lost the lead meanwhile: list the members to learn the outcome");
  }
  return Internal("an answer of no known kind");
}

raft::MembershipChange ToCore(MembershipChange::Kind kind) {
  switch (kind) {
    case MembershipChange::Kind::kAddLearner:
      return raft::MembershipChange::kAddLearner;
    case MembershipChange::Kind::kPromote:
      return raft::MembershipChange::kPromote;
    case MembershipChange::Kind::kRemove:
      break;
  }
  return raft::MembershipChange::kRemove;
}

}  // namespace

ReplicatedEngine::ReplicatedEngine(const ReplicatedLogOptions& options, Listener& listener,
                                   PeerLinks& links, Executor& slow,
                                   std::function<void(EngineInput)> post)
    : options_(options),
      disk_(options.disk != nullptr ? *options.disk : RealDisk()),
      listener_(listener),
      links_(links),
      slow_(slow),
      post_(std::move(post)),
      raft_(CoreOptions(options)) {}

ReplicatedEngine::~ReplicatedEngine() = default;

Result<std::unique_ptr<ReplicatedEngine>> ReplicatedEngine::Open(
    const ReplicatedLogOptions& options, Listener& listener, PeerLinks& links, Executor& spares,
    Executor& slow, std::function<void(EngineInput)> post) {
  auto engine = std::unique_ptr<ReplicatedEngine>(
      new ReplicatedEngine(options, listener, links, slow, std::move(post)));
  if (Status s = engine->Recover(spares); !s.ok()) return s;
  return engine;
}

Status ReplicatedEngine::Recover(Executor& spares) {
  LogStoreOptions store_options{.directory = options_.directory,
                                .cluster = options_.cluster,
                                .node_id = options_.node_id,
                                .cluster_uuid = options_.cluster_uuid,
                                .group_incarnation = options_.group_incarnation,
                                .segment_bytes = options_.segment_bytes,
                                .observer = options_.observer};
  Result<std::unique_ptr<LogStore>> store = LogStore::Open(
      disk_, std::move(store_options), spares, [this](const Status& s) { Die(s); }, &recovered_);
  if (!store.ok()) return store.status();
  store_ = std::move(*store);
  if (recovered_.snapshot) {
    Result<UnpackedSnapshot> unpacked = UnpackSnapshot(std::move(recovered_.snapshot->state));
    if (!unpacked.ok()) {
      return DataLoss(options_.directory + ", snapshot of entry " +
                      std::to_string(recovered_.snapshot->index) + ": " +
                      unpacked.status().message());
    }
    recovered_.snapshot->state = std::move(unpacked->state);
    first_ = {recovered_.snapshot->index, recovered_.snapshot->term,
              std::move(unpacked->config).value_or(OnlyMember(options_.node_id))};
  } else if (auto members =
                 MembersBeforeGroups(recovered_.entries, recovered_.hard_state, options_.node_id)) {
    first_.config = std::move(*members);
  }
  return Ok();
}

void ReplicatedEngine::Announce() {
  LogInfo("log_opened", {{"directory", options_.directory},
                         {"term", recovered_.hard_state.term},
                         {"last_index", store_->last_index()},
                         {"snapshot_index", first_.index}});
  raft::Start start{.hard_state = {recovered_.hard_state.term, recovered_.hard_state.vote},
                    .snapshot = std::move(first_)};
  if (recovered_.snapshot) {
    Snapshot snapshot = std::move(*recovered_.snapshot);
    recovered_.snapshot.reset();
    listener_.OnSnapshot(snapshot.index, snapshot.term, std::move(snapshot.state));
  }
  was_member_ = start.snapshot.config.Find(options_.node_id) != nullptr;
  start.entries.reserve(recovered_.entries.size());
  for (Entry& entry : recovered_.entries) {
    raft::Entry one{
        .index = entry.index, .term = entry.term, .type = static_cast<raft::EntryType>(entry.type)};
    if (one.type == raft::EntryType::kConfig && !was_member_) {
      const Result<raft::Config> config = raft::DecodeConfig(entry.payload);
      was_member_ = config.ok() && config->Find(options_.node_id) != nullptr;
    }
    if (!entry.payload.empty()) {
      one.payload = std::make_shared<const std::string>(std::move(entry.payload));
    }
    start.entries.push_back(std::move(one));
  }
  recovered_.entries.clear();
  Step(std::move(start));
  Flush();
}

// ---- Inputs -------------------------------------------------------------------------------------

void ReplicatedEngine::Take(std::vector<EngineInput> inputs) {
  for (EngineInput& input : inputs) {
    std::visit([this](auto& one) { On(one); }, input);
  }
  ProposeGathered();
}

void ReplicatedEngine::Handle(std::vector<EngineInput> inputs) {
  Take(std::move(inputs));
  Flush();
}

void ReplicatedEngine::On(ProposalAsked& input) {
  if (input.record.empty() || input.record.size() > kRecordBytesMax) {
    input.done(Fate::kRefused);
    return;
  }
  if (dead_.load()) {
    input.done(Fate::kInDoubt);
    return;
  }
  if (gathered_.term != input.term) ProposeGathered();
  gathered_.term = input.term;
  gathered_.proposals.push_back({next_id_, std::move(input.record)});
  proposals_.emplace(next_id_++, std::move(input.done));
}

void ReplicatedEngine::ProposeGathered() {
  if (gathered_.proposals.empty()) return;
  Step(std::exchange(gathered_, {}));
}

void ReplicatedEngine::On(BarrierAsked& input) {
  if (dead_.load()) {
    input.done(Unavailable("the log of " + options_.directory + " has stopped"));
    return;
  }
  barriers_.emplace(next_id_, std::move(input.done));
  Step(raft::ReadBarrier{next_id_++});
}

void ReplicatedEngine::On(ChangeAsked& input) {
  raft::ChangeMembership change{.id = next_id_,
                                .change = ToCore(input.change.kind),
                                .member = input.change.member.id,
                                .address = PackAddresses(input.change.member)};
  if (change.address.size() > raft::kAddressBytesMax) {
    input.done(InvalidArgument("the addresses of member " + std::to_string(change.member) +
                               " are longer than " + std::to_string(raft::kAddressBytesMax) +
                               " characters"));
    return;
  }
  changes_.emplace(next_id_++, std::move(input));
  Step(std::move(change));
}

void ReplicatedEngine::On(TransferAsked& input) {
  raft::NodeId to = input.to;
  if (raft_.role() != raft::Role::kLeader) {
    input.done(NotLeading());
    return;
  }
  if (to == 0) {
    Index furthest = 0;
    for (const raft::PeerStatus& peer : raft_.Peers()) {
      if (!peer.member.voter || !peer.active || peer.match < furthest) continue;
      furthest = peer.match;
      to = peer.member.id;
    }
    if (to == 0) {
      input.done(Unavailable("no other voter answers: there is nobody to hand the lead to"));
      return;
    }
  }
  if (!raft_.config().IsVoter(to)) {
    input.done(NotFound("member " + std::to_string(to) + " is no voter: list the members"));
    return;
  }
  if (to == options_.node_id) {
    input.done(FailedPrecondition("member " + std::to_string(to) + " leads already"));
    return;
  }
  transfers_.emplace(next_id_, TransferAsked{to, std::move(input.done)});
  Step(raft::TransferLeadership{next_id_++, to});
}

void ReplicatedEngine::On(MembersAsked& input) {
  GroupProgress progress{
      .group = group_, .last_index = raft_.last_index(), .commit_index = raft_.commit_index()};
  const bool leads = raft_.role() == raft::Role::kLeader;
  for (const Member& member : group_.members) {
    progress.members.push_back({.member = member, .reachable = false});
    if (leads && member.id == options_.node_id) {
      progress.members.back().match_index = raft_.forced_index();
      progress.members.back().reachable = true;
    }
  }
  for (const raft::PeerStatus& peer : raft_.Peers()) {
    for (MemberProgress& one : progress.members) {
      if (one.member.id != peer.member.id) continue;
      one.match_index = peer.match;
      one.reachable = peer.active;
    }
  }
  input.done(std::move(progress));
}

void ReplicatedEngine::On(MessageCame& input) {
  Result<raft::Message> message = DecodeMessage(input.bytes);
  if (!message.ok()) {
    LogWarning("peer_message_dropped",
               {{"from", input.from}, {"reason", message.status().message()}});
    return;
  }
  message->from = input.from;
  message->to = options_.node_id;
  Step(raft::Received{std::move(*message)});
}

void ReplicatedEngine::On(TickCame&) {
  ++ticks_;
  if (full_since_ && ticks_ - *full_since_ >= kTryAgainTicks) {
    full_since_.reset();
    Step(raft::DiskFine{});
  }
  if (loaded_ != nullptr && ticks_ - loaded_used_ >= kKeepLoadedTicks) loaded_.reset();
  if (!chunks_asked_.empty()) LoadSnapshot();  // It could not be read.
  Step(raft::Tick{});
}

void ReplicatedEngine::On(SlowWorkDone& input) { input.then(); }

// ---- The core -----------------------------------------------------------------------------------

void ReplicatedEngine::Step(raft::Event event) {
  if (dead_.load()) return;
  std::vector<raft::Action> actions = raft_.Step(std::move(event));
  for (raft::Action& action : actions) {
    std::visit([this](auto& one) { Perform(one); }, action);
  }
}

void ReplicatedEngine::Perform(raft::SaveHardState& action) { writes_.emplace_back(action); }
void ReplicatedEngine::Perform(raft::WriteEntries& action) {
  writes_.emplace_back(std::move(action));
}

// The owner goes on from the snapshot at once, as it does from entries that are committed; the
// files follow in their turn.
void ReplicatedEngine::Perform(raft::InstallFromStaged& action) {
  ASSENT_CHECK(staged_ != nullptr);
  listener_.OnSnapshot(action.meta.index, action.meta.term, std::move(*staged_));
  staged_.reset();
  writes_.emplace_back(std::move(action));
}

void ReplicatedEngine::Perform(raft::Send& action) {
  if (action.after_write == 0) {
    SendNow(action.message);
  } else {
    // In the order of their writes: what waits for an earlier one must not wait for a later one.
    auto behind = std::upper_bound(
        held_.begin(), held_.end(), action.after_write,
        [](uint64_t write, const raft::Send& send) { return write < send.after_write; });
    held_.insert(behind, std::move(action));
  }
}

void ReplicatedEngine::SendNow(raft::Message& message) {
  links_.Send(message.to, EncodeMessage(message));
}

void ReplicatedEngine::Perform(raft::Apply& action) {
  std::vector<Applied> applied;
  applied.reserve(std::min(action.entries.size(), kApplyEntries));
  for (raft::Entry& entry : action.entries) {
    // No-ops and members are the log's own.
    const bool record = entry.type == raft::EntryType::kRecord;
    applied.push_back({entry.index, entry.term, record ? std::string(entry.view()) : ""});
    if (applied.size() == kApplyEntries) listener_.OnApplied(std::exchange(applied, {}));
  }
  applied_ = action.entries.back().index;
  if (!applied.empty()) listener_.OnApplied(std::move(applied));
}

void ReplicatedEngine::Perform(raft::ProposalFates& action) {
  for (uint64_t id : action.ids) {
    auto done = proposals_.extract(id);
    ASSENT_CHECK(!done.empty());
    done.mapped()(action.fate);
  }
}

void ReplicatedEngine::Perform(raft::LeadershipChanged& action) {
  const bool leads = action.leader == options_.node_id;
  if (leads || group_.leader == options_.node_id) {
    LogInfo(leads ? "log_leader" : "log_leader_no_more", {{"term", action.term}});
  } else if (action.leader != raft::kNobody) {
    LogInfo("log_follows", {{"term", action.term}, {"leader", action.leader}});
  }
  group_.term = action.term;
  group_.leader = action.leader;
  TellGroup();
  listener_.OnLeadership(action.term, leads);
}

// Whoever joins is a learner in its own log before it is a voter. One that first appears there as a
// voter was one before: what it promised then went with its directory, and must not be promised
// anew. (First: the removal of a voter whose log is whole may be taken back.)
void ReplicatedEngine::Perform(raft::MembersChanged& action) {
  if (!was_member_ && action.config.IsVoter(options_.node_id)) {
    Die(FailedPrecondition(
        "node " + std::to_string(options_.node_id) + " was a voter of this group before " +
        options_.directory +
        " was made: what it had promised is lost. Stop it, remove it with assentctl member "
        "remove " +
        std::to_string(options_.node_id) +
        ", and let a node with an id that was never used join from an empty directory"));
    return;
  }
  was_member_ = was_member_ || action.config.Find(options_.node_id) != nullptr;
  group_.members = ToMembers(action.config);
  links_.SetMembers(group_.members);
  TellGroup();
}

void ReplicatedEngine::TellGroup() { listener_.OnGroup(group_); }

void ReplicatedEngine::Perform(raft::ReadReady& action) {
  for (uint64_t id : action.ids) barriers_.extract(id).mapped()(Ok());
}

void ReplicatedEngine::Perform(raft::ReadsRefused& action) {
  for (uint64_t id : action.ids) barriers_.extract(id).mapped()(NotLeading());
}

void ReplicatedEngine::Perform(raft::MembershipAnswered& action) {
  auto change = changes_.extract(action.id);
  change.mapped().done(ToStatus(action.answer, change.mapped().change));
}

void ReplicatedEngine::Perform(raft::TransferEnded& action) {
  auto transfer = transfers_.extract(action.id);
  transfer.mapped().done(action.moved
                             ? Ok()
                             : Unavailable("member " + std::to_string(transfer.mapped().to) +
                                           " did not take the lead in time"));
}

void ReplicatedEngine::Perform(raft::ReadEntries& action) { after_writes_.emplace_back(action); }
void ReplicatedEngine::Perform(raft::Compact& action) { after_writes_.emplace_back(action); }

void ReplicatedEngine::Perform(raft::Halt& action) {
  Die(Internal("the log of " + options_.directory + " must not go on: " + action.why));
}

// ---- Ends ---------------------------------------------------------------------------------------

void ReplicatedEngine::Die(const Status& status) {
  if (dead_.exchange(true)) return;
  LogError("log_died", {{"directory", options_.directory}, {"reason", status.message()}});
  if (options_.on_death) {
    options_.on_death(status);
  } else {
    std::abort();
  }
}

void ReplicatedEngine::Close() {
  if (std::exchange(closed_, true)) return;
  const Status stopped = Unavailable("the log has stopped");
  for (auto& [id, done] : std::exchange(proposals_, {})) done(Fate::kInDoubt);
  for (auto& [id, done] : std::exchange(barriers_, {})) done(stopped);
  for (auto& [id, change] : std::exchange(changes_, {})) {
    change.done(ToStatus(raft::MembershipAnswer::kInDoubt, change.change));
  }
  for (auto& [id, transfer] : std::exchange(transfers_, {})) transfer.done(stopped);
  if (dead_.exchange(true)) return;
  HardState state = store_->hard_state();
  state.log_floor = store_->last_index();
  if (Status s = store_->SaveHardState(state); !s.ok()) {
    LogWarning("log_floor_not_saved", {{"reason", s.message()}});
  }
}

}  // namespace assent::txlog
