// base/status.h on the wire, and back. ErrorDetail (assent/v1/common.proto) travels as the details
// of the gRPC status.
#pragma once

#include <grpcpp/support/status.h>

#include "assent/v1/common.pb.h"
#include "base/status.h"

namespace assent::rpc {

// Longer messages are cut before they are sent: a header larger than gRPC's limit would turn the
// error into another one.
inline constexpr size_t kMessageBytesMax = 1500;

grpc::Status ToGrpc(const Status& status, const v1::ErrorDetail& detail = {});

// A code that we do not know is kUnknown. `*detail`, if asked for, is empty when none came.
Status FromGrpc(const grpc::Status& status, v1::ErrorDetail* detail = nullptr);

}  // namespace assent::rpc
