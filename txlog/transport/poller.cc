#include "txlog/transport/poller.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <limits>
#include <utility>

#include "base/check.h"

namespace assent::txlog {
namespace {

// epoll_wait's unit; rounded up, so that nobody is called before their time.
int Milliseconds(Duration duration) {
  using std::chrono::milliseconds;
  const auto ms = std::chrono::ceil<milliseconds>(duration).count();
  return static_cast<int>(std::clamp<int64_t>(ms, 0, std::numeric_limits<int>::max()));
}

}  // namespace

Waker::Waker() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { ASSENT_CHECK(fd_.valid()); }

void Waker::Wake() {
  const uint64_t one = 1;
  // It can only fail when it is as good as set already.
  [[maybe_unused]] const ssize_t n = write(fd_.get(), &one, sizeof one);
}

void Waker::Clear() {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t n = read(fd_.get(), &count, sizeof count);
}

Poller::Poller() : epoll_(epoll_create1(EPOLL_CLOEXEC)), waker_(std::make_shared<Waker>()) {
  ASSENT_CHECK(epoll_.valid());
  epoll_event event = {.events = EPOLLIN, .data = {.u64 = 0}};
  ASSENT_CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, waker_->fd(), &event) == 0);
}

Poller::Token Poller::Add(int fd, uint32_t events, Watcher* watcher) {
  const Token token = ++last_;
  epoll_event event = {.events = events, .data = {.u64 = token}};
  ASSENT_CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0);
  watched_[token] = {fd, events, watcher};
  return token;
}

void Poller::Change(Token token, uint32_t events) {
  Watched& watched = watched_.at(token);
  if (watched.events == events) return;
  watched.events = events;
  epoll_event event = {.events = events, .data = {.u64 = token}};
  ASSENT_CHECK(epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, watched.fd, &event) == 0);
}

void Poller::Remove(Token token) {
  const auto it = watched_.find(token);
  if (it == watched_.end()) return;
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, it->second.fd, nullptr);
  watched_.erase(it);
}

void Poller::CallAgain(Token token) {
  Watched& watched = watched_.at(token);
  if (!std::exchange(watched.again, true)) again_.push_back(token);
}

void Poller::Tell(Token token, uint32_t events) {
  const auto it = watched_.find(token);
  if (it != watched_.end()) it->second.watcher->OnReady(events);
}

void Poller::Wait(MonotonicTime until) {
  const MonotonicTime now = std::chrono::steady_clock::now();
  std::array<epoll_event, 64> events;
  const int n = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                           again_.empty() ? Milliseconds(until - now) : 0);
  ASSENT_CHECK(n >= 0 || errno == EINTR);
  const std::vector<Token> again = std::exchange(again_, {});
  for (int i = 0; i < n; ++i) {
    const Token token = events[static_cast<size_t>(i)].data.u64;
    if (token == 0) {
      waker_->Clear();
    } else {
      Tell(token, events[static_cast<size_t>(i)].events);
    }
  }
  for (const Token token : again) {
    const auto it = watched_.find(token);
    if (it == watched_.end()) continue;
    it->second.again = false;
    Tell(token, EPOLLIN);
  }
}

}  // namespace assent::txlog
