// One member at a time (thesis 4), and giving leadership away (thesis 3.10).
#include <algorithm>
#include <utility>

#include "base/mutant.h"
#include "txlog/raft/core.h"

namespace assent::txlog::raft {

void Raft::Core::On(ChangeMembership& event) {
  Config changed = config();
  const MembershipAnswer answer =
      role_ == Role::kLeader ? Change(event, &changed) : MembershipAnswer::kNotLeader;
  if (answer != MembershipAnswer::kDone) return Do(MembershipAnswered{event.id, answer});
  const Index index = log_.last_index() + 1;
  changes_.push_back({index, event.id});
  AppendToLog({{.index = index,
                .term = hard_state_.term,
                .type = EntryType::kConfig,
                .payload = std::make_shared<const std::string>(EncodeConfig(changed))}},
              false);
  FeedAll();  // Who is removed should hear of it, if it can.
  UpdatePeers();
  FeedAll();
  CountMatches();
}

// kDone: `config` is changed, and may be appended.
MembershipAnswer Raft::Core::Change(const ChangeMembership& event, Config* changed) const {
  // Configurations of two leaders, or two at once, need not share a majority: so the one in force
  // is committed first, and an entry of this leader's term (Ongaro's correction of 2015).
  if (!own_term_committed_ && !MutantOn(Mutant::kRaftConfigBeforeNoop)) {
    return MembershipAnswer::kNotYet;
  }
  if (transfer_) return MembershipAnswer::kBusy;
  if (configs_.back().index > commit_ && !MutantOn(Mutant::kRaftTwoConfigChanges)) {
    return MembershipAnswer::kBusy;
  }
  std::vector<Member>& members = changed->members;
  auto it = std::find_if(members.begin(), members.end(),
                         [&](const Member& m) { return m.id == event.member; });
  switch (event.change) {
    case MembershipChange::kAddLearner: {
      if (it != members.end() || event.member == kNobody ||
          event.address.size() > kAddressBytesMax) {
        return MembershipAnswer::kWrongMember;
      }
      if (members.size() >= kMembersMax) return MembershipAnswer::kTooMany;
      auto behind = std::find_if(members.begin(), members.end(),
                                 [&](const Member& m) { return m.id > event.member; });
      members.insert(behind, {.id = event.member, .voter = false, .address = event.address});
      return MembershipAnswer::kDone;
    }
    case MembershipChange::kPromote: {
      if (it == members.end() || it->voter) return MembershipAnswer::kWrongMember;
      auto peer = std::find_if(peers_.begin(), peers_.end(),
                               [&](const Peer& p) { return p.id == event.member; });
      // It must know at least that it is a member: one that was never there has caught up by count
      // where the log is short, and a voter that shows up as such in its own log at first is one
      // that has lost it (see the shell).
      if (peer == peers_.end() || peer->silent_ticks >= options_.election_ticks ||
          peer->match < configs_.back().index ||
          peer->match + options_.promote_lag_entries_max < log_.last_index()) {
        return MembershipAnswer::kNotCaughtUp;
      }
      it->voter = true;
      return MembershipAnswer::kDone;
    }
    case MembershipChange::kRemove:
      if (it == members.end()) return MembershipAnswer::kWrongMember;
      if (it->voter && changed->voters() == 1) return MembershipAnswer::kLastVoter;
      members.erase(it);
      return MembershipAnswer::kDone;
  }
  return MembershipAnswer::kWrongMember;
}

void Raft::Core::UpdatePeers() {
  std::vector<Peer> peers;
  for (const Member& member : config().members) {
    if (member.id == options_.id) continue;
    if (Peer* known = PeerOf(member.id); known != nullptr) {
      peers.push_back(std::move(*known));
    } else {
      peers.push_back({.id = member.id, .next = log_.last_index() + 1});
    }
  }
  peers_ = std::move(peers);
}

// ---- Transfer ---------------------------------------------------------------------------------

void Raft::Core::On(TransferLeadership& event) {
  if (role_ != Role::kLeader || transfer_ || event.to == options_.id ||
      !config().IsVoter(event.to)) {
    return Do(TransferEnded{event.id, false});
  }
  transfer_ = Transfer{.id = event.id, .to = event.to};
  HurryTransfer();
}

// The target has everything, and proposals are refused meanwhile: it will win.
void Raft::Core::HurryTransfer() {
  if (!transfer_) return;
  const Peer* peer = PeerOf(transfer_->to);
  if (peer == nullptr || peer->match < log_.last_index()) return;
  SendTo(peer->id, TimeoutNow{});
}

void Raft::Core::EndTransfer(bool moved) {
  Do(TransferEnded{transfer_->id, moved});
  transfer_.reset();
}

}  // namespace assent::txlog::raft
