// etcd as its clients may rely on it: a key-value store with revisions, one atomic step at a time,
// leases, and the history for watches. Leases end by the time that the caller says it is.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "txlog/etcd/core/kv.h"

namespace assent::simulation {

class EtcdModel {
 public:
  // Done or NotDone.
  txlog::etcd::Outcome Execute(const txlog::etcd::Txn& txn);

  txlog::etcd::LeaseId Grant(Duration ttl, MonotonicTime now);
  // False: there is no such lease.
  bool Keep(txlog::etcd::LeaseId lease, MonotonicTime now);
  // Keys of leases that have ended go.
  void Advance(MonotonicTime now);
  void EndLease(txlog::etcd::LeaseId lease);

  // The alarm NOSPACE: nothing can be put.
  // Without space the first `crossing` writes are done, and answered as if they were not, as etcd
  // does with those that use up its quota.
  void SetSpace(bool space, int crossing = 0) {
    space_ = space;
    crossing_ = space ? 0 : crossing;
  }
  bool space() const { return space_; }
  // What was before can't be read any more.
  void Compact() { compacted_ = revision_; }

  txlog::etcd::Revision revision() const { return revision_; }
  txlog::etcd::Revision compacted() const { return compacted_; }
  // What happened to keys from `key` up to `end` in revision `at`.
  std::vector<txlog::etcd::Change> ChangesAt(txlog::etcd::Revision at, const std::string& key,
                                             const std::string& end) const;
  // What is there now.
  std::vector<txlog::etcd::KeyValue> Read(const txlog::etcd::Range& range) const;

 private:
  // Of a key, from `now.mod_revision` on. Deleted: without revisions of its own.
  struct Version {
    txlog::etcd::Revision from = 0;
    txlog::etcd::Change change;
  };
  struct Lease {
    Duration ttl{};
    MonotonicTime until{};
  };

  const Version* At(const std::string& key, txlog::etcd::Revision revision) const;
  bool Holds(const txlog::etcd::Compare& compare) const;
  txlog::etcd::Outcome Perform(const txlog::etcd::Txn& txn);
  bool Puts(const std::vector<txlog::etcd::Operation>& operations) const;
  void DeleteKey(const std::string& key);

  std::map<std::string, std::vector<Version>> keys_;
  std::map<std::string, txlog::etcd::LeaseId> leased_;
  std::map<txlog::etcd::LeaseId, Lease> leases_;
  txlog::etcd::LeaseId next_lease_ = 1;
  txlog::etcd::Revision revision_ = 1;
  txlog::etcd::Revision compacted_ = 0;
  bool changed_ = false;  // In the step under way.
  bool space_ = true;
  int crossing_ = 0;
};

}  // namespace assent::simulation
