#include "base/rpc/keep_awake.h"

#include <grpcpp/client_context.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/stub_options.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>

#include "base/check.h"

namespace assent::rpc {
namespace {
// A ping every 400 ms was measured to be too rare.
constexpr std::chrono::milliseconds kInterval{100};

// As gRPC 1.51 counts them (CallbackAlternativeCQ).
int CallbackThreads() {
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()) / 2, 2, 16);
}

// A second one that detained threads could take the last.
std::atomic<bool> somebody_detains{false};
}  // namespace

// One call of what nobody offers.
struct KeepAwake::Call {
  grpc::ClientContext context;
  grpc::Slice nothing;
  grpc::ByteBuffer request{&nothing, 1};  // An empty message; no slice at all would be none.
  grpc::ByteBuffer reply;

  void Start(grpc::GenericStub& stub, std::function<void(grpc::Status)> done) {
    stub.UnaryCall(&context, "/assent.KeepAwake/Ping", grpc::StubOptions(), &request, &reply,
                   std::move(done));
  }
};

KeepAwake::KeepAwake() {
  grpc::ServerBuilder builder;
  builder.RegisterCallbackGenericService(&answer_);
  server_ = builder.BuildAndStart();
  ASSENT_CHECK(server_ != nullptr);
  stub_ = std::make_unique<grpc::GenericStub>(server_->InProcessChannel({}));
  detains_ = !somebody_detains.exchange(true);
  if (detains_) DetainThreads();
  thread_ = std::thread([this] { Run(); });
}

KeepAwake::~KeepAwake() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  released_.NotifyAll();
  thread_.join();
  {
    MutexLock lock(mutex_);
    while (detained_ > 0) changed_.Wait(mutex_);
  }
  if (detains_) somebody_detains = false;
  server_->Shutdown();
}

void KeepAwake::DetainThreads() {
  const int count = CallbackThreads() / 2;
  {
    MutexLock lock(mutex_);
    detained_ = count;
  }
  for (int i = 0; i < count; ++i) {
    // Ours, not the callback's: whoever drops the last that holds the channel may end gRPC's
    // callback threads, and one of those must not try to end itself.
    detaining_.push_back(std::make_unique<Call>());
    detaining_.back()->Start(*stub_, [this](const grpc::Status&) {
      MutexLock lock(mutex_);
      while (!stopping_) released_.Wait(mutex_);
      --detained_;
      changed_.NotifyAll();
    });
  }
}

void KeepAwake::Run() {
  auto next = std::chrono::steady_clock::now();
  while (true) {
    Ping();
    // Counted from now, not from the last one: after a pause of the machine there is no backlog.
    next = std::chrono::steady_clock::now() + kInterval;
    MutexLock lock(mutex_);
    while (!stopping_ && changed_.WaitUntil(mutex_, next)) {
    }
    if (stopping_) return;
  }
}

void KeepAwake::Ping() {
  Call call;
  {
    MutexLock lock(mutex_);
    answered_ = false;
  }
  call.Start(*stub_, [this](const grpc::Status&) {
    MutexLock lock(mutex_);
    answered_ = true;
    changed_.NotifyAll();
  });
  MutexLock lock(mutex_);
  while (!answered_) changed_.Wait(mutex_);
}

}  // namespace assent::rpc
