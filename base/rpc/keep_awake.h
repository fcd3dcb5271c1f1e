// Two guards against gRPC 1.51's threads for callbacks, of which the whole process has a few:
//  - Each sleeps a flat 100 ms once it has seen no event for 1 s: a message that arrives then waits
//    up to 100 ms, at servers and at callback clients alike. While a KeepAwake lives, a call that
//    never leaves the process keeps them from ever being idle.
//  - Before one of them handles an event, it wakes another to wait for the next one in its place.
//    Where every event is a little work, that costs more than the work. So a KeepAwake detains half
//    of them: of two, the usual number on small machines, one is left, which hands over to nobody.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/server.h>

#include <memory>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace assent::rpc {

// One a process is enough, and only the first detains threads. It costs ten calls a second, some
// 0.1 % of a core. Callbacks must not block while it lives (they never should).
class KeepAwake {
 public:
  KeepAwake();
  ~KeepAwake();
  KeepAwake(const KeepAwake&) = delete;
  KeepAwake& operator=(const KeepAwake&) = delete;

 private:
  struct Call;
  void DetainThreads();
  void Run();
  void Ping();

  grpc::CallbackGenericService answer_;   // Says UNIMPLEMENTED to everything, which will do.
  std::unique_ptr<grpc::Server> server_;  // Without a port.
  std::unique_ptr<grpc::GenericStub> stub_;
  Mutex mutex_;
  CondVar changed_;
  CondVar released_;  // For the detained, whom nothing but the end shall wake.
  bool stopping_ GUARDED_BY(mutex_) = false;
  int detained_ GUARDED_BY(mutex_) = 0;  // Threads, or calls on the way to detain one.
  bool detains_ = false;
  std::vector<std::unique_ptr<Call>> detaining_;  // Until the end.
  bool answered_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace assent::rpc
