// What every call of the library shares: channels, errors read from the wire, and patience.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string>

#include "assent/v1/common.pb.h"
#include "base/clock.h"
#include "base/status.h"
#include "client/options.h"

namespace assent::client::internal {

using std::chrono::milliseconds;

// Why a call failed.
struct Failure {
  Status status;
  // The server itself said so: with an ErrorDetail, or by a code that only servers use. Otherwise
  // the error comes from the way there and back, and the request may or may not have had its
  // effect: gRPC answers UNAVAILABLE for a refused connection and for a connection that broke while
  // the server was at work.
  bool answered = false;
  v1::Reason reason = v1::REASON_UNSPECIFIED;
  milliseconds retry_delay{0};
  std::string leader;
  std::string gtrid;
};

// `doing` says what was tried and where; it begins the message.
Failure ToFailure(const grpc::Status& status, const std::string& doing);

// INVALID_ARGUMENT: a TLS file is missing, unreadable or of no use; the message has all problems.
Result<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(const TlsOptions& tls);

// INVALID_ARGUMENT unless "host:port" or, where allowed, "unix:/path".
Status CheckEndpoint(const std::string& endpoint, bool unix_allowed);

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& endpoint, const TlsOptions& tls,
                                           std::shared_ptr<grpc::ChannelCredentials> credentials);

// Delays between tries: doubling from 10 ms to `most`, with jitter so that many clients do not come
// back in one wave, and never sooner than the server asked.
class Backoff {
 public:
  explicit Backoff(milliseconds most = milliseconds(500)) : most_(most) {}
  milliseconds Next(milliseconds at_least);

 private:
  const milliseconds most_;
  milliseconds next_{10};
};

// gRPC measures deadlines on its own clock type.
std::chrono::system_clock::time_point GrpcDeadline(milliseconds from_now);

// Rounded up, never negative.
milliseconds Left(MonotonicTime until);

}  // namespace assent::client::internal
