#include "client/internal/rpc.h"

#include <algorithm>
#include <utility>

#include "base/net/address.h"
#include "base/random.h"
#include "base/rpc/connect_hint.h"
#include "base/rpc/credentials.h"
#include "base/rpc/pings.h"
#include "base/rpc/proxy.h"
#include "base/rpc/status.h"

namespace assent::client::internal {
namespace {

constexpr int kMessageBytesMax = 16 << 20;  // Results are at most 4 MiB, plus their wrapping.

// Codes that gRPC's own library never makes up (its documentation of status codes).
bool OnlyServersSay(Code code) {
  return code == Code::kInvalidArgument || code == Code::kNotFound ||
         code == Code::kAlreadyExists || code == Code::kFailedPrecondition ||
         code == Code::kAborted || code == Code::kOutOfRange || code == Code::kDataLoss;
}

}  // namespace

Failure ToFailure(const grpc::Status& status, const std::string& doing) {
  v1::ErrorDetail detail;
  Status plain = rpc::FromGrpc(status, &detail);
  Failure failure;
  failure.status =
      Status(plain.code(), doing + ": " + plain.message() + rpc::ConnectHint(plain.message()));
  failure.answered = !status.error_details().empty() || OnlyServersSay(plain.code());
  failure.reason = detail.reason();
  failure.retry_delay = milliseconds(detail.retry_delay_ms());
  failure.leader = detail.leader();
  failure.gtrid = detail.gtrid();
  return failure;
}

Result<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(const TlsOptions& tls) {
  auto credentials = rpc::ChannelCredentials({tls.ca_file, tls.cert_file, tls.key_file});
  // To the caller of Connect these are wrong arguments.
  if (!credentials.ok()) return InvalidArgument(credentials.status().message());
  return *std::move(credentials);
}

Status CheckEndpoint(const std::string& endpoint, bool unix_allowed) {
  if (unix_allowed && endpoint.starts_with("unix:") && endpoint.size() > 5) return Ok();
  Status checked = net::CheckDialAddress("endpoint", endpoint);
  if (checked.ok() || !unix_allowed) return checked;
  return InvalidArgument(checked.message() + ", or unix:/path");
}

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& endpoint, const TlsOptions& tls,
                                           std::shared_ptr<grpc::ChannelCredentials> credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMessageBytesMax);
  // A server that comes back is to be found again at once: gRPC's own defaults wait for minutes.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  // Between two tries gRPC resolves the name anew, by default at most once in 30 s: an endpoint
  // that came back at once would be missed for that long.
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 100);
  // A host that froze or was cut off says nothing, not even that its connection broke: while a call
  // waits, ask whether anybody is there. (How often others may ask is settled in base/rpc.)
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, rpc::kPingEveryMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, rpc::kPingAnswerMs);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Repeating is our business: we know which repeats are safe.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  rpc::GoStraightToLoopback(endpoint, arguments);
  if (!tls.server_name.empty()) arguments.SetSslTargetNameOverride(tls.server_name);
  if (endpoint.starts_with("unix:")) credentials = grpc::InsecureChannelCredentials();
  return grpc::CreateCustomChannel(endpoint, credentials, arguments);
}

milliseconds Backoff::Next(milliseconds at_least) {
  milliseconds delay = next_;
  next_ = std::min(next_ * 2, most_);
  delay =
      delay / 2 + milliseconds(SystemRandom64() % (static_cast<uint64_t>(delay.count()) / 2 + 1));
  return std::max(delay, at_least);
}

std::chrono::system_clock::time_point GrpcDeadline(milliseconds from_now) {
  return std::chrono::system_clock::now() + from_now;
}

milliseconds Left(MonotonicTime until) {
  auto left = std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now());
  return std::max(left, milliseconds(0));
}

}  // namespace assent::client::internal
