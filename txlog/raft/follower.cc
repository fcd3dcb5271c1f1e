// Receiving from a leader: entries and heartbeats (paper 5.3).
#include <algorithm>
#include <string>
#include <utility>

#include "base/mutant.h"
#include "txlog/raft/core.h"

namespace assent::txlog::raft {

void Raft::Core::FollowLeader(NodeId leader) {
  if (role_ == Role::kLeader) {
    return Break("member " + std::to_string(leader) + " leads in term " +
                 std::to_string(hard_state_.term) + ", and so does this one");
  }
  if (role_ != Role::kFollower || leader_ != leader) BecomeFollower(hard_state_.term, leader);
  ResetElectionTimer();
}

// Memory is only refused while waiting alone will free some: what is not committed yet may need
// further entries to become so.
bool Raft::Core::HasRoom() const {
  if (disk_full_) return false;
  return unapplied_bytes_ <= options_.unapplied_bytes_max || commit_ <= applied_;
}

void Raft::Core::Refuse(const Message& message, const AppendEntries& body) {
  AppendReply reply{.prev_index = body.prev_index};
  if (body.prev_index > log_.last_index()) {
    reply.conflict_index = log_.last_index() + 1;
  } else {
    reply.conflict_term = *log_.TermAt(body.prev_index);
    reply.conflict_index = std::max(log_.FirstOfRun(body.prev_index), commit_ + 1);
  }
  SendTo(message.from, reply);
}

void Raft::Core::Handle(const Message& message, AppendEntries& body) {
  std::vector<Entry>& entries = body.entries;
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].index != body.prev_index + 1 + i) return;  // No leader sends that.
  }
  FollowLeader(message.from);
  if (broken_) return;
  AppendReply reply{.success = true, .prev_index = body.prev_index};
  reply.match = body.prev_index + entries.size();

  // Up to the commit index the logs are the same, if Raft holds.
  if (body.prev_index == commit_ && log_.TermAt(commit_) &&
      *log_.TermAt(commit_) != body.prev_term && body.prev_index > 0) {
    return Break("the leader's entry " + std::to_string(commit_) + " is of term " +
                 std::to_string(body.prev_term) + ", the one committed here of term " +
                 std::to_string(*log_.TermAt(commit_)));
  }
  if (body.prev_index >= commit_ && log_.TermAt(body.prev_index) != body.prev_term &&
      !(MutantOn(Mutant::kRaftPrevNotChecked) && body.prev_index <= log_.last_index())) {
    return Refuse(message, body);
  }
  size_t known = 0;
  while (known < entries.size()) {
    const Entry& entry = entries[known];
    if (entry.index > commit_ && log_.TermAt(entry.index) != entry.term) break;
    ++known;
  }
  // An entry that is there already proves nothing about those behind it: it stays, and they do. A
  // message that was overtaken must not cut off what was acknowledged since.
  if (MutantOn(Mutant::kRaftTruncateOnMatch)) {
    known = std::min<size_t>(known, commit_ > body.prev_index ? commit_ - body.prev_index : 0);
  }
  if (known < entries.size()) {
    if (HasRoom()) {
      entries.erase(entries.begin(), entries.begin() + static_cast<ptrdiff_t>(known));
      const bool truncate = entries.front().index <= log_.last_index();
      AppendToLog(std::move(entries), truncate);
      if (broken_) return;
    } else {
      reply.no_room = true;
      reply.match = body.prev_index + known;
    }
  }
  received_ = std::max(received_, reply.match);
  const Index verified = MutantOn(Mutant::kRaftApplyUncommitted) ? log_.last_index() : reply.match;
  AdvanceCommit(std::min(body.commit, verified));
  SendTo(message.from, reply, reply.match);
}

void Raft::Core::Handle(const Message& message, const Heartbeat& body) {
  FollowLeader(message.from);
  if (broken_) return;
  // The leader counts on no more than what this node acknowledged, and so still has.
  AdvanceCommit(std::min(body.commit, log_.last_index()));
  SendTo(message.from, HeartbeatReply{.read_round = body.read_round,
                                      .sent = body.sent,
                                      .received = received_,
                                      .match = std::min(received_, forced_)});
}

}  // namespace assent::txlog::raft
