#include "txlog/raft/raft.h"

#include <utility>

#include "txlog/raft/core.h"

namespace assent::txlog::raft {

Raft::Raft(Options options) : core_(std::make_unique<Core>(options)) {}
Raft::~Raft() = default;
Raft::Raft(Raft&&) noexcept = default;
Raft& Raft::operator=(Raft&&) noexcept = default;

std::vector<Action> Raft::Step(Event event) { return core_->Step(std::move(event)); }

Role Raft::role() const { return core_->role_; }
Term Raft::term() const { return core_->hard_state_.term; }
NodeId Raft::leader() const { return core_->leader_; }
Index Raft::commit_index() const { return core_->commit_; }
Index Raft::applied_index() const { return core_->applied_; }
Index Raft::last_index() const { return core_->log_.last_index(); }
Index Raft::forced_index() const { return core_->forced_; }
const Config& Raft::config() const { return core_->config(); }
std::optional<SnapshotMeta> Raft::SnapshotMetaAt(Index index) const { return core_->MetaAt(index); }
uint64_t Raft::cached_bytes() const { return core_->log_.cached_bytes(); }

std::vector<PeerStatus> Raft::Peers() const {
  std::vector<PeerStatus> peers;
  for (const Peer& peer : core_->peers_) {
    const Member* member = core_->config().Find(peer.id);
    if (member == nullptr) continue;
    peers.push_back({.member = *member,
                     .match = peer.match,
                     .active = peer.silent_ticks < core_->options_.election_ticks,
                     .installing = peer.mode == Peer::Mode::kSnapshot});
  }
  return peers;
}

}  // namespace assent::txlog::raft
