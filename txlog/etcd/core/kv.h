// etcd's key-value store as the core sees it: what one request may compare, do and read.
//
// A Txn is one atomic step of etcd. One without Put and Delete is a linearizable read.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace assent::txlog::etcd {

// etcd's clock: rises with every step that changed anything.
using Revision = int64_t;
// 0: none.
using LeaseId = int64_t;

struct KeyValue {
  std::string key;
  std::string value;
  Revision create_revision = 0;
  Revision mod_revision = 0;

  bool operator==(const KeyValue&) const = default;
};

// A key that is not there has both revisions 0.
struct Compare {
  enum class What { kCreateRevision, kModRevision };
  enum class Is { kEqual, kGreater };
  std::string key;
  What what = What::kCreateRevision;
  Is is = Is::kEqual;
  Revision revision = 0;
};

struct Put {
  std::string key;
  std::string value;
  LeaseId lease = 0;  // The key goes when the lease does.
};
// Keys from `key` up to but without `end`; only `key` if that is empty.
struct Delete {
  std::string key;
  std::string end;
};
// The same keys, rising; at most `limit`, all if that is 0.
struct Range {
  std::string key;
  std::string end;
  int64_t limit = 0;
  Revision revision = 0;  // As of then; 0: now.
  bool keys_only = false;
};
using Operation = std::variant<Put, Delete, Range>;

// If all `compares` hold, `then` is done, otherwise `otherwise`. No key is touched twice.
struct Txn {
  std::vector<Compare> compares;
  std::vector<Operation> then;
  std::vector<Operation> otherwise;
};

// What became of a Txn.
struct Done {
  bool succeeded = false;                     // The compares held.
  Revision revision = 0;                      // Of the store, behind this step.
  std::vector<std::vector<KeyValue>> ranges;  // One for each Range of the branch that was done.
  uint64_t member = 0;                        // Of etcd, that answered.
};
// etcd has done nothing of it, and never will; but see kNoSpace.
struct NotDone {
  enum class Why {
    kBusy,     // Or it was never sent: try again in a moment.
    kNoSpace,  // The alarm NOSPACE is raised, or the quota used up. With the requests that cross it
               // etcd says so and has done them all the same (quotaApplierV3; etcd issue 16659).
    kTooLarge,  // For etcd's max-request-bytes.
    kRefused,   // Anything else, such as a revision that is compacted, or a missing permission.
  };
  Why why = Why::kBusy;
  std::string message;
};
// It may be done, or not, or done later: only what is read afterwards can tell.
struct NoAnswer {
  std::string message;
};
using Outcome = std::variant<Done, NotDone, NoAnswer>;

// A key was put, or deleted (then without value, and mod_revision is that of the deletion).
struct Change {
  bool deleted = false;
  KeyValue now;
};

}  // namespace assent::txlog::etcd
