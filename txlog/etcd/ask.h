// One request to etcd at a time, for what is done while no log is open. Blocking.
#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "base/status.h"
#include "txlog/etcd/core/kv.h"
#include "txlog/etcd/endpoints.h"

namespace assent::txlog::etcd {

// Asks one member after the other until one answers; that one stays endpoints.Current.
// UNAVAILABLE: none does. Others: etcd's words.
Result<Done> Ask(Endpoints& endpoints, const Txn& txn);

// A new token for the user of `endpoints`, which has one. Errors: etcd's words.
Status GetToken(Endpoints& endpoints, const std::shared_ptr<grpc::Channel>& channel);

// `status` of a call to `address`, in words for people.
Status ToStatus(const grpc::Status& status, const std::string& address);

}  // namespace assent::txlog::etcd
