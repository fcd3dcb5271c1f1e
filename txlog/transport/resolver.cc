#include "txlog/transport/resolver.h"

#include <thread>
#include <utility>

namespace assent::txlog {

Resolver::Resolver(std::shared_ptr<Waker> waker) : state_(std::make_shared<State>()) {
  state_->waker = std::move(waker);
}

void Resolver::Ask(uint64_t question, const std::string& host, const std::string& port) {
  std::thread([state = state_, question, host, port] {
    Answer answer{question, Resolve(host, port, false)};
    {
      MutexLock lock(state->mutex);
      state->answers.push_back(std::move(answer));
    }
    state->waker->Wake();
  }).detach();
}

std::vector<Resolver::Answer> Resolver::TakeAnswers() {
  MutexLock lock(state_->mutex);
  return std::exchange(state_->answers, {});
}

}  // namespace assent::txlog
