// Waits for sockets (epoll), and can be woken by other threads.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "txlog/transport/fd.h"

namespace assent::txlog {

// Wakes whoever waits in a Poller. Thread-safe; a wake that comes early is not lost.
class Waker {
 public:
  Waker();
  void Wake();
  void Clear();
  int fd() const { return fd_.get(); }

 private:
  const Fd fd_;
};

// Of one thread.
class Poller {
 public:
  class Watcher {
   public:
    virtual ~Watcher() = default;
    // EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP. May remove this or any other watcher.
    virtual void OnReady(uint32_t events) = 0;
  };
  using Token = uint64_t;

  Poller();

  // As long as the socket is so, its watcher hears of it in each Wait (level-triggered).
  Token Add(int fd, uint32_t events, Watcher* watcher);
  void Change(Token token, uint32_t events);
  // Before the socket is closed. What was ready is not told any more.
  void Remove(Token token);

  // Once more in the next Wait, whatever the socket says.
  void CallAgain(Token token);

  // Waits until something is ready, the waker wakes, or `until`; tells the watchers.
  void Wait(MonotonicTime until);

  // Shared with threads that may outlive this object.
  const std::shared_ptr<Waker>& waker() const { return waker_; }

 private:
  struct Watched {
    int fd;
    uint32_t events;
    Watcher* watcher;
    bool again = false;
  };
  void Tell(Token token, uint32_t events);

  const Fd epoll_;
  const std::shared_ptr<Waker> waker_;
  Token last_ = 0;  // 0 is the waker's.
  std::unordered_map<Token, Watched> watched_;
  std::vector<Token> again_;
};

}  // namespace assent::txlog
