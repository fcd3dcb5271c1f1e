#include "participant-agent/core/opened_gids.h"

namespace assent::agent {

OpenedGids::Verdict OpenedGids::Open(const Gid& gid, uint64_t holder) {
  if (holder != incarnation_) return Verdict::kOtherHolder;
  Epoch& epoch = epochs_[gid.gtrid.epoch];
  const Key key{gid.gtrid.seq, gid.bqual.branch, gid.bqual.attempt};
  if (epoch.forgot && key <= epoch.forgotten) return Verdict::kTooOld;
  if (!epoch.opened.insert(key).second) return Verdict::kRepeated;
  if (epoch.opened.size() > remembered_) {
    epoch.forgotten = *epoch.opened.begin();
    epoch.forgot = true;
    epoch.opened.erase(epoch.opened.begin());
  }
  return Verdict::kFresh;
}

}  // namespace assent::agent
