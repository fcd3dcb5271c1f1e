// Whether an etcd still is the one that holds the group's decisions, asked before a log is opened.
// (A process that runs sees for itself that something is missing: what it has applied.)
#pragma once

#include <string>

#include "base/status.h"
#include "txlog/etcd/core/layout.h"
#include "txlog/etcd/endpoints.h"

namespace assent::txlog::etcd {

// What to put into Options::lineage; all 0 if this etcd does not tell (a proxy before it).
// Blocking.
//
// FAILED_PRECONDITION: etcd was restored from a snapshot of its own, or the keys were copied here
// from another one; the message says what to do. UNAVAILABLE: etcd does not answer. Others: etcd's
// words.
Result<Lineage> CheckLineage(Endpoints& endpoints, const std::string& prefix);

}  // namespace assent::txlog::etcd
