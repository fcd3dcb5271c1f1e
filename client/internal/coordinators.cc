#include "client/internal/coordinators.h"

#include <utility>

namespace assent::client::internal {
namespace {

// Hints must not make the list grow without end, be it that they are wrong, or that coordinators
// come and go at ever new addresses while this process lives.
constexpr size_t kNodesMax = 16;

}  // namespace

Result<std::shared_ptr<Coordinators>> Coordinators::Make(ClientOptions options) {
  if (options.endpoints.empty()) {
    return InvalidArgument("endpoints is empty: give at least one coordinator as host:port");
  }
  if (options.endpoints.size() > kNodesMax) {
    return InvalidArgument("endpoints has " + std::to_string(options.endpoints.size()) +
                           " entries; at most " + std::to_string(kNodesMax) + " are allowed");
  }
  for (const std::string& endpoint : options.endpoints) {
    if (Status status = CheckEndpoint(endpoint, /*unix_allowed=*/true); !status.ok()) return status;
  }
  if (options.try_timeout <= milliseconds(0)) {
    return InvalidArgument("try_timeout is " + std::to_string(options.try_timeout.count()) +
                           " ms; it must be positive");
  }
  auto credentials = MakeCredentials(options.tls);
  if (!credentials.ok()) return credentials.status();
  return std::shared_ptr<Coordinators>(
      new Coordinators(std::move(options), *std::move(credentials)));
}

Coordinators::Coordinators(ClientOptions options,
                           std::shared_ptr<grpc::ChannelCredentials> credentials)
    : options_(std::move(options)), credentials_(std::move(credentials)) {
  MutexLock lock(mutex_);
  for (const std::string& endpoint : options_.endpoints) Find(endpoint);
  configured_ = nodes_.size();
}

std::shared_ptr<const Coordinators::Node> Coordinators::Current() {
  MutexLock lock(mutex_);
  return nodes_[current_];
}

size_t Coordinators::node_count() {
  MutexLock lock(mutex_);
  return nodes_.size();
}

size_t Coordinators::Find(const std::string& endpoint) {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i]->endpoint == endpoint) return i;
  }
  auto node = std::make_shared<const Node>(
      Node{endpoint,
           v1::TransactionService::NewStub(MakeChannel(endpoint, options_.tls, credentials_))});
  if (nodes_.size() < kNodesMax) {
    nodes_.push_back(std::move(node));
    return nodes_.size() - 1;
  }
  if (configured_ == kNodesMax) return (current_ + 1) % nodes_.size();
  const size_t place = configured_ + oldest_named_++ % (kNodesMax - configured_);
  nodes_[place] = std::move(node);
  return place;
}

void Coordinators::SendReports(const FinishedReports::Gids& gids) {
  v1::ReportFinishedRequest request;
  *request.mutable_gids() = gids;
  v1::ReportFinishedReply reply;
  auto may_repeat = [](const Failure& failure) {
    return failure.status.code() == Code::kUnavailable ||
           failure.status.code() == Code::kResourceExhausted;
  };
  // If it does not arrive, the agents find out.
  (void)Call<v1::ReportFinishedRequest, v1::ReportFinishedReply>(
      "ReportFinished", &Stub::ReportFinished, request, &reply,
      {std::chrono::steady_clock::now() + options_.destructor_timeout, may_repeat},
      [](const v1::ReportFinishedReply&) { return true; });
}

bool Coordinators::MoveFrom(const Node* node, const Failure& failure) {
  MutexLock lock(mutex_);
  // Another thread may have moved on meanwhile: then its choice is tried.
  if (nodes_[current_].get() != node) return true;
  if (failure.status.code() == Code::kResourceExhausted) return false;  // The leader is just busy.
  // One that names itself has not heard yet who came after it.
  const bool names_another = !failure.leader.empty() && failure.leader != node->endpoint;
  if (names_another && CheckEndpoint(failure.leader, false).ok()) {
    current_ = Find(failure.leader);
  } else {
    current_ = (current_ + 1) % nodes_.size();
  }
  return nodes_[current_].get() != node;
}

}  // namespace assent::client::internal
