#include "base/rpc/keep_awake.h"

#include <grpcpp/client_context.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/stub_options.h>

#include <chrono>

#include "base/check.h"

namespace assent::rpc {
namespace {
// A ping every 400 ms was measured to be too rare.
constexpr std::chrono::milliseconds kInterval{100};
}  // namespace

KeepAwake::KeepAwake() {
  grpc::ServerBuilder builder;
  builder.RegisterCallbackGenericService(&answer_);
  server_ = builder.BuildAndStart();
  ASSENT_CHECK(server_ != nullptr);
  stub_ = std::make_unique<grpc::GenericStub>(server_->InProcessChannel({}));
  thread_ = std::thread([this] { Run(); });
}

KeepAwake::~KeepAwake() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  thread_.join();
  server_->Shutdown();
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
  grpc::ClientContext context;
  grpc::Slice nothing;
  grpc::ByteBuffer request(&nothing, 1);  // An empty message; no slice at all would be none.
  grpc::ByteBuffer reply;
  {
    MutexLock lock(mutex_);
    answered_ = false;
  }
  stub_->UnaryCall(&context, "/assent.KeepAwake/Ping", grpc::StubOptions(), &request, &reply,
                   [this](grpc::Status) {
                     MutexLock lock(mutex_);
                     answered_ = true;
                     changed_.NotifyAll();
                   });
  MutexLock lock(mutex_);
  while (!answered_) changed_.Wait(mutex_);
}

}  // namespace assent::rpc
