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

// Posts the call, or says that the queue is full.
inline grpc::ServerUnaryReactor* Forward(Driver& driver, grpc::ServerUnaryReactor* reactor,
                                         DriverEvent call) {
  if (driver.TryPost(std::move(call))) return reactor;
  if (driver.stopping()) {
    reactor->Finish(
        ToGrpc({Unavailable("this coordinator is stopping: retry"), Reason::kNotLeader, 200, {}}));
  } else {
    reactor->Finish(ToGrpc({ResourceExhausted("queue_max calls wait for this coordinator: retry "
                                              "later"),
                            Reason::kLimit,
                            100,
                            {}}));
  }
  return reactor;
}

inline grpc::ServerUnaryReactor* Refuse(grpc::ServerUnaryReactor* reactor, const Status& status) {
  reactor->Finish(rpc::ToGrpc(status));
  return reactor;
}

}  // namespace assent::coordinator
