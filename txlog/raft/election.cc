// Elections: pre-vote, votes, terms, and what is lost with leadership (paper 5.2, thesis 9.6).
#include <algorithm>
#include <utility>

#include "base/mutant.h"
#include "txlog/raft/core.h"

namespace assent::txlog::raft {
namespace {

bool IsFromLeader(const Body& body) {
  return std::holds_alternative<AppendEntries>(body) || std::holds_alternative<Heartbeat>(body) ||
         std::holds_alternative<InstallSnapshot>(body) || std::holds_alternative<TimeoutNow>(body);
}

}  // namespace

// SplitMix64.
uint64_t Raft::Core::Random() {
  uint64_t z = random_ += 0x9E3779B97F4A7C15ull;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ z >> 27) * 0x94D049BB133111EBull;
  return z ^ z >> 31;
}

void Raft::Core::ResetElectionTimer() {
  election_elapsed_ = 0;
  election_timeout_ =
      options_.election_ticks + static_cast<uint32_t>(Random() % options_.election_ticks);
}

// A member that was voted out campaigns as long as that may still be undone: only it may hold the
// entry that says so (thesis 4.2.2).
bool Raft::Core::MayCampaign() const {
  if (disk_full_) return false;
  if (config().IsVoter(options_.id)) return true;
  return configs_.size() > 1 && configs_.back().index > commit_ &&
         configs_[configs_.size() - 2].config.IsVoter(options_.id);
}

// Who hears a leader helps nobody to depose it (thesis 4.2.3).
bool Raft::Core::HearsLeader() const {
  if (MutantOn(Mutant::kRaftNoPrevoteLease)) return false;
  return role_ == Role::kLeader ||
         (leader_ != kNobody && election_elapsed_ < options_.election_ticks);
}

void Raft::Core::StartPreVote() {
  role_ = Role::kPreCandidate;
  leader_ = kNobody;
  votes_.clear();
  ResetElectionTimer();
  Announce();
  AskForVotes(true, false);
  CountVote(options_.id, true);
}

void Raft::Core::StartElection(bool transfer) {
  role_ = Role::kCandidate;
  leader_ = kNobody;
  votes_.clear();
  received_ = 0;
  receiving_.reset();
  SetHardState({hard_state_.term + 1, options_.id});
  ResetElectionTimer();
  Announce();
  AskForVotes(false, transfer);
  // The own vote counts as any other: once it is forced (On(Forced)).
  if (MutantOn(Mutant::kRaftOwnVoteUnforced)) CountVote(options_.id, true);
}

void Raft::Core::AskForVotes(bool pre_vote, bool transfer) {
  for (const Member& member : config().members) {
    if (!member.voter || member.id == options_.id) continue;
    SendTo(member.id,
           RequestVote{.pre_vote = pre_vote,
                       .transfer = transfer,
                       .for_term = hard_state_.term + (pre_vote ? 1 : 0),
                       .last_index = log_.last_index(),
                       .last_term = log_.last_term()},
           log_.last_index());
  }
}

void Raft::Core::CountVote(NodeId from, bool granted) {
  votes_[from] = granted;
  size_t yes = 0;
  size_t no = 0;
  for (const auto& [id, vote] : votes_) {
    if (config().IsVoter(id)) ++(vote ? yes : no);
  }
  if (yes >= config().majority()) {
    if (role_ == Role::kPreCandidate) return StartElection(false);
    return BecomeLeader();
  }
  // Lost: others may win; this node tries again when its time comes.
  if (no >= config().majority()) BecomeFollower(hard_state_.term, kNobody);
}

void Raft::Core::Announce() {
  const std::pair<Term, NodeId> now{leader_ == kNobody ? 0 : hard_state_.term, leader_};
  if (now == announced_) return;
  announced_ = now;
  Do(LeadershipChanged{hard_state_.term, leader_});
}

void Raft::Core::BecomeFollower(Term term, NodeId leader) {
  if (role_ == Role::kLeader) {
    LoseLeadership(log_.last_index());
    ResetElectionTimer();
  }
  role_ = Role::kFollower;
  leader_ = leader;
  votes_.clear();
  if (term > hard_state_.term) {
    SetHardState({term, kNobody});
    received_ = 0;
    receiving_.reset();
  }
  Announce();
}

void Raft::Core::BecomeLeader() {
  role_ = Role::kLeader;
  leader_ = options_.id;
  votes_.clear();
  heartbeat_elapsed_ = quorum_elapsed_ = 0;
  own_term_committed_ = false;
  sent_ = log_.last_index();
  peers_.clear();
  UpdatePeers();
  Announce();
  if (MutantOn(Mutant::kRaftSkipNoop)) {
    own_term_committed_ = true;
    return BroadcastHeartbeat();
  }
  // Entries of older terms are committed by one of the own (paper 5.4.2), and what is committed is
  // known only then (8).
  AppendToLog({{.index = log_.last_index() + 1,
                .term = hard_state_.term,
                .type = EntryType::kNoop,
                .payload = nullptr}},
              false);
  FeedAll();
}

// Entries up to `maybe_kept`, and those that were sent, may yet be committed by others. The rest
// never will be.
void Raft::Core::LoseLeadership(Index maybe_kept) {
  maybe_kept = std::max(maybe_kept, sent_);
  std::vector<uint64_t> in_doubt;
  std::vector<uint64_t> refused;
  for (const Pending& pending : pending_) {
    const bool gone = pending.index > maybe_kept || MutantOn(Mutant::kRaftInDoubtIsRefused);
    (gone ? refused : in_doubt).push_back(pending.id);
  }
  pending_.clear();
  uncommitted_bytes_ = 0;
  if (!in_doubt.empty()) Do(ProposalFates{Fate::kInDoubt, std::move(in_doubt)});
  if (!refused.empty()) Do(ProposalFates{Fate::kRefused, std::move(refused)});
  std::vector<uint64_t> reads = reads_.TakeAll();
  if (!reads.empty()) Do(ReadsRefused{std::move(reads)});
  for (const PendingChange& change : changes_) {
    Do(MembershipAnswered{change.id, MembershipAnswer::kInDoubt});
  }
  changes_.clear();
  if (transfer_) EndTransfer(true);
  peers_.clear();
}

// False: the message is done with.
bool Raft::Core::SettleTerm(const Message& message) {
  const auto* asks = std::get_if<RequestVote>(&message.body);
  if (message.term < hard_state_.term) {
    // Who is behind must learn it: a stale leader steps down, a stale candidate raises its term.
    if (asks != nullptr) {
      SendTo(message.from, VoteReply{asks->pre_vote, asks->for_term, false});
    } else if (IsFromLeader(message.body)) {
      SendTo(message.from, AppendReply{});
    }
    return false;
  }
  if (asks != nullptr && !asks->transfer && HearsLeader()) return false;
  if (message.term > hard_state_.term) {
    BecomeFollower(message.term, IsFromLeader(message.body) ? message.from : kNobody);
  }
  return true;
}

void Raft::Core::Handle(const Message& message, const RequestVote& body) {
  // Who knows of no members holds nothing yet, or nothing any more: its vote may have been given.
  if (config().members.empty()) return;
  bool granted = std::pair(body.last_term, body.last_index) >=
                     std::pair(log_.last_term(), log_.last_index()) ||
                 MutantOn(Mutant::kRaftVoteForStaleLog);
  if (body.pre_vote) {
    granted = granted && body.for_term > hard_state_.term;
  } else {
    const bool free = hard_state_.vote == kNobody || hard_state_.vote == message.from ||
                      MutantOn(Mutant::kRaftDoubleVote);
    granted = granted && free && leader_ == kNobody && role_ == Role::kFollower;
    if (granted) {
      SetHardState({hard_state_.term, message.from});
      ResetElectionTimer();
    }
  }
  SendTo(message.from, VoteReply{body.pre_vote, body.for_term, granted});
}

void Raft::Core::Handle(const Message& message, const VoteReply& body) {
  const bool awaited = body.pre_vote
                           ? role_ == Role::kPreCandidate && body.for_term == hard_state_.term + 1
                           : role_ == Role::kCandidate && body.for_term == hard_state_.term;
  if (awaited) CountVote(message.from, body.granted);
}

void Raft::Core::Handle(const Message&, const TimeoutNow&) {
  if (role_ != Role::kLeader && MayCampaign()) StartElection(true);
}

}  // namespace assent::txlog::raft
