// Looks host names up beside the transport's thread: the system's resolver blocks, sometimes for
// many seconds.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"
#include "txlog/transport/poller.h"
#include "txlog/transport/sockets.h"

namespace assent::txlog {

class Resolver {
 public:
  struct Answer {
    uint64_t question = 0;
    Result<std::vector<SocketAddress>> addresses;
  };

  explicit Resolver(std::shared_ptr<Waker> waker);
  // Does not wait for what is asked: nobody can end it, and nobody hears of it any more.
  ~Resolver() = default;

  // Wakes the waker once there is an answer.
  void Ask(uint64_t question, const std::string& host, const std::string& port);
  std::vector<Answer> TakeAnswers();

 private:
  // Shared with the threads that look up, one each, which may outlive the Resolver.
  struct State {
    Mutex mutex;
    std::vector<Answer> answers GUARDED_BY(mutex);
    std::shared_ptr<Waker> waker;
  };
  const std::shared_ptr<State> state_;
};

}  // namespace assent::txlog
