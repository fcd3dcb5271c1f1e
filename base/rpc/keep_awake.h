// A guard against gRPC 1.51's idle stall. Callbacks of the whole process run on a few threads, each
// of which sleeps a flat 100 ms once it has seen no event for 1 s: a message that arrives then
// waits up to 100 ms, at servers and at callback clients alike. While a KeepAwake lives, a call
// that never leaves the process keeps those threads from ever being idle.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/server.h>

#include <memory>
#include <thread>

#include "base/mutex.h"

namespace assent::rpc {

// One a process is enough. It costs ten calls a second, some 0.1 % of a core.
class KeepAwake {
 public:
  KeepAwake();
  ~KeepAwake();
  KeepAwake(const KeepAwake&) = delete;
  KeepAwake& operator=(const KeepAwake&) = delete;

 private:
  void Run();
  void Ping();

  grpc::CallbackGenericService answer_;   // Says UNIMPLEMENTED to everything, which will do.
  std::unique_ptr<grpc::Server> server_;  // Without a port.
  std::unique_ptr<grpc::GenericStub> stub_;
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool answered_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace assent::rpc
