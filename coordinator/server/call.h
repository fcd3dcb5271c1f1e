// From a unary call to the driver and back, for every service alike.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <utility>
#include <variant>

#include "coordinator/server/driver.h"
#include "coordinator/server/proto_convert.h"

namespace assent::coordinator {

// Answers the call from the driver's thread.
template <typename T, typename Proto>
Reply<T> Finisher(grpc::ServerUnaryReactor* reactor, Proto* to) {
  return [reactor, to](Answer<T> answer) {
    if (const auto* refusal = std::get_if<Refusal>(&answer)) {
      reactor->Finish(ToGrpc(*refusal));
      return;
    }
    Fill(std::get<T>(answer), to);
    reactor->Finish(grpc::Status::OK);
  };
}

// Why the driver did not take a call.
inline grpc::Status NotTaken(Driver& driver) {
  if (driver.stopping()) {
    return ToGrpc(
        {Unavailable("this coordinator is stopping: retry"), Reason::kNotLeader, 200, {}});
  }
  return ToGrpc({ResourceExhausted("queue_max calls wait for this coordinator: retry later"),
                 Reason::kLimit,
                 100,
                 {}});
}

// Posts the call, or says that the queue is full.
inline grpc::ServerUnaryReactor* Forward(Driver& driver, grpc::ServerUnaryReactor* reactor,
                                         DriverEvent call) {
  if (!driver.TryPost(std::move(call))) reactor->Finish(NotTaken(driver));
  return reactor;
}

inline grpc::ServerUnaryReactor* Refuse(grpc::ServerUnaryReactor* reactor, const Status& status) {
  reactor->Finish(rpc::ToGrpc(status));
  return reactor;
}

}  // namespace assent::coordinator
