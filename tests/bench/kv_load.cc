#include "tests/bench/kv_load.h"

#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>

#include "etcd/rpc.grpc.pb.h"
#include "tests/support/process.h"

namespace assent::bench {
namespace {

using std::chrono::steady_clock;

constexpr size_t kKeyBytes = 8;
// As many keys as entries may be under way, twice: etcd then updates, and its tree stays small.
constexpr size_t kKeys = 1024;

struct Call {
  std::optional<grpc::ClientContext> context;
  etcdserverpb::PutRequest request;
  etcdserverpb::PutResponse response;
  grpc::Status status;
  std::unique_ptr<grpc::ClientAsyncResponseReader<etcdserverpb::PutResponse>> reader;
  steady_clock::time_point begun;
};

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // Whoever has only just been started soon listens.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 50);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

Result<Rates> LoadKv(const std::string& address, const Load& load) {
  auto stub = etcdserverpb::KV::NewStub(Connect(address));
  grpc::CompletionQueue queue;
  std::vector<Call> calls(load.in_flight);
  size_t sent = 0;
  const auto begin = [&](Call& call) {
    std::string key = std::to_string(sent++ % kKeys);
    key.insert(0, kKeyBytes - key.size(), '0');
    call.request.set_key(std::move(key));
    call.context.emplace();
    call.begun = steady_clock::now();
    call.reader = stub->AsyncPut(&*call.context, call.request, &queue);
    call.reader->Finish(&call.response, &call.status, &call);
  };
  Window window(load, steady_clock::now());
  for (Call& call : calls) {
    call.request.set_value(std::string(load.entries_at_once * kEntryBytes - kKeyBytes, 'x'));
    begin(call);
  }
  Status problem;
  void* tag = nullptr;
  bool ok = false;
  for (size_t under_way = calls.size(); under_way > 0 && queue.Next(&tag, &ok);) {
    Call& call = *static_cast<Call*>(tag);
    const auto now = steady_clock::now();
    if (!call.status.ok()) {
      problem = Unavailable("put to " + address + ": " + call.status.error_message());
    }
    window.Add(call.begun, now);
    if (window.Over(now) || !problem.ok()) {
      --under_way;
    } else {
      begin(call);
    }
  }
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) continue;
  if (!problem.ok()) return problem;
  Rates rates = window.Take();
  rates.per_second *= static_cast<double>(load.entries_at_once);
  return rates;
}

Result<size_t> FindLeader(const std::vector<std::string>& addresses,
                          std::chrono::milliseconds patience) {
  std::vector<std::unique_ptr<etcdserverpb::Maintenance::Stub>> stubs;
  for (const std::string& address : addresses) {
    stubs.push_back(etcdserverpb::Maintenance::NewStub(Connect(address)));
  }
  std::optional<size_t> leader;
  test_support::WaitUntil(patience, [&] {
    for (size_t i = 0; i < stubs.size() && !leader; ++i) {
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(200));
      etcdserverpb::StatusResponse status;
      if (!stubs[i]->Status(&context, {}, &status).ok()) continue;
      if (status.leader() != 0 && status.leader() == status.header().member_id()) leader = i;
    }
    return leader.has_value();
  });
  if (leader) return *leader;
  return DeadlineExceeded("none of " + std::to_string(addresses.size()) + " nodes leads");
}

}  // namespace assent::bench
