#include "tests/simulation/etcd_model.h"

#include <algorithm>

namespace assent::simulation {

using namespace txlog::etcd;  // NOLINT

const EtcdModel::Version* EtcdModel::At(const std::string& key, Revision revision) const {
  auto found = keys_.find(key);
  if (found == keys_.end()) return nullptr;
  const Version* last = nullptr;
  for (const Version& one : found->second) {
    if (one.from <= revision) last = &one;
  }
  return last == nullptr || last->change.deleted ? nullptr : last;
}

bool EtcdModel::Holds(const Compare& compare) const {
  const Version* version = At(compare.key, revision_);
  Revision revision = 0;
  if (version != nullptr) {
    revision = compare.what == Compare::What::kCreateRevision ? version->change.now.create_revision
                                                              : version->change.now.mod_revision;
  }
  return compare.is == Compare::Is::kEqual ? revision == compare.revision
                                           : revision > compare.revision;
}

std::vector<KeyValue> EtcdModel::Read(const Range& range) const {
  const Revision revision = range.revision == 0 ? revision_ : range.revision;
  std::vector<KeyValue> found;
  for (auto it = keys_.lower_bound(range.key); it != keys_.end(); ++it) {
    if (range.end.empty() ? it->first != range.key : it->first >= range.end) break;
    const Version* version = At(it->first, revision);
    if (version == nullptr) continue;
    found.push_back(version->change.now);
    if (range.keys_only) found.back().value.clear();
    if (range.limit != 0 && found.size() == static_cast<size_t>(range.limit)) break;
  }
  return found;
}

bool EtcdModel::Puts(const std::vector<Operation>& operations) const {
  return std::any_of(operations.begin(), operations.end(),
                     [](const Operation& one) { return std::holds_alternative<Put>(one); });
}

void EtcdModel::DeleteKey(const std::string& key) {
  keys_[key].push_back({revision_, {true, {.key = key, .mod_revision = revision_}}});
  leased_.erase(key);
  changed_ = true;
}

Outcome EtcdModel::Execute(const Txn& txn) {
  if (space_ || !(Puts(txn.then) || Puts(txn.otherwise))) return Perform(txn);
  if (crossing_ > 0) {
    --crossing_;
    (void)Perform(txn);
  }
  return NotDone{NotDone::Why::kNoSpace, "etcdserver: mvcc: database space exceeded"};
}

Outcome EtcdModel::Perform(const Txn& txn) {
  const bool holds = std::all_of(txn.compares.begin(), txn.compares.end(),
                                 [this](const Compare& one) { return Holds(one); });
  const std::vector<Operation>& operations = holds ? txn.then : txn.otherwise;
  for (const Operation& one : operations) {
    if (const auto* range = std::get_if<Range>(&one)) {
      if (range->revision != 0 && range->revision < compacted_) {
        return NotDone{NotDone::Why::kRefused, "etcdserver: mvcc: revision has been compacted"};
      }
    } else if (const auto* put = std::get_if<Put>(&one)) {
      if (put->lease != 0 && !leases_.contains(put->lease)) {
        return NotDone{NotDone::Why::kRefused, "etcdserver: requested lease not found"};
      }
    }
  }
  Done done{.succeeded = holds};
  ++revision_;
  changed_ = false;
  for (const Operation& one : operations) {
    if (const auto* put = std::get_if<Put>(&one)) {
      const Version* before = At(put->key, revision_);
      const Revision made = before == nullptr ? revision_ : before->change.now.create_revision;
      keys_[put->key].push_back({revision_, {false, {put->key, put->value, made, revision_}}});
      leased_.erase(put->key);
      if (put->lease != 0) leased_[put->key] = put->lease;
      changed_ = true;
    } else if (const auto* gone = std::get_if<Delete>(&one)) {
      for (const KeyValue& key : Read({.key = gone->key, .end = gone->end})) DeleteKey(key.key);
    } else {
      done.ranges.push_back(Read(std::get<Range>(one)));
    }
  }
  if (!changed_) --revision_;
  done.revision = revision_;
  return done;
}

LeaseId EtcdModel::Grant(Duration ttl, MonotonicTime now) {
  leases_[next_lease_] = {ttl, now + ttl};
  return next_lease_++;
}

bool EtcdModel::Keep(LeaseId lease, MonotonicTime now) {
  auto found = leases_.find(lease);
  if (found == leases_.end()) return false;
  found->second.until = now + found->second.ttl;
  return true;
}

void EtcdModel::EndLease(LeaseId lease) {
  if (leases_.erase(lease) == 0) return;
  std::vector<std::string> keys;
  for (const auto& [key, held] : leased_) {
    if (held == lease) keys.push_back(key);
  }
  if (keys.empty()) return;
  ++revision_;
  for (const std::string& key : keys) DeleteKey(key);
}

void EtcdModel::Advance(MonotonicTime now) {
  std::vector<LeaseId> over;
  for (const auto& [id, lease] : leases_) {
    if (lease.until <= now) over.push_back(id);
  }
  for (LeaseId id : over) EndLease(id);
}

std::vector<Change> EtcdModel::ChangesAt(Revision at, const std::string& key,
                                         const std::string& end) const {
  std::vector<Change> changes;
  for (auto it = keys_.lower_bound(key); it != keys_.end() && it->first < end; ++it) {
    for (const Version& one : it->second) {
      if (one.from == at) changes.push_back(one.change);
    }
  }
  return changes;
}

}  // namespace assent::simulation
