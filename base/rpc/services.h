// The two services that every gRPC server of ours offers beside its own: health and reflection.
#pragma once

#include <grpcpp/server.h>

namespace assent::rpc {

// Call before the first ServerBuilder of the process; repeats do nothing. Thread-safe.
void EnableHealthAndReflection();

// What grpc.health.v1.Health answers, for all services of `server`. Serving is the default.
void SetServing(grpc::Server& server, bool serving);

}  // namespace assent::rpc
