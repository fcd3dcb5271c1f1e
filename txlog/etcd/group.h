// A group's first moment in etcd, and who it is: what is done before any log is open. Blocking.
#pragma once

#include <string>

#include "base/status.h"
#include "txlog/etcd/core/kv.h"
#include "txlog/etcd/core/layout.h"
#include "txlog/etcd/endpoints.h"

namespace assent::txlog::etcd {

// Makes a group below `prefix`, whose log begins with `first_record`.
//
// ALREADY_EXISTS: there is one. FAILED_PRECONDITION: something is left of one. INVALID_ARGUMENT:
// the prefix, the identity or the record is not allowed. Nothing was changed then, and the message
// says what to do. UNAVAILABLE: etcd did not answer; it may be made all the same, and asking again
// tells. Others: etcd's words.
Status BootstrapGroup(const ClientOptions& options, const std::string& prefix,
                      const Identity& identity, std::string first_record);

// Makes a group below `prefix` that goes on from `state`, which its processes get by OnSnapshot. It
// is there wholly or not at all; an attempt that was cut short leaves nothing that counts, and the
// next one removes it.
//
// Errors as BootstrapGroup, with FAILED_PRECONDITION where something is left of a group, or where
// somebody removes what was written meanwhile.
Status RestoreGroup(const ClientOptions& options, const std::string& prefix,
                    const Identity& identity, std::string state);

// NOT_FOUND: there is no group. DATA_LOSS: what is there is no identity. UNAVAILABLE: etcd does not
// answer. Others: etcd's words.
Result<Identity> ReadIdentity(Endpoints& endpoints, const std::string& prefix);

// Ends the lease, and with it the lead that hangs on it; best effort.
void RevokeLease(const ClientOptions& options, LeaseId lease);

// INVALID_ARGUMENT says what is wrong with it.
Status CheckPrefix(const std::string& prefix);

}  // namespace assent::txlog::etcd
