// The core's words as etcd's messages, and back.
#pragma once

#include <grpcpp/support/status.h>

#include "etcd/rpc.pb.h"
#include "txlog/etcd/core/events.h"
#include "txlog/etcd/core/kv.h"

namespace assent::txlog::etcd {

etcdserverpb::TxnRequest ToProto(const Txn& txn);
Done FromProto(etcdserverpb::TxnResponse& response);
std::vector<Change> FromProto(etcdserverpb::WatchResponse& response);

// What a call that ended with this status, which is not OK, did. NotDone only where etcd itself, or
// gRPC before it sent anything, says so; anything else is NoAnswer.
Outcome Classify(const grpc::Status& status);

// The user's token is none, or none any more: authenticate anew.
bool WantsToken(const grpc::Status& status);

}  // namespace assent::txlog::etcd
