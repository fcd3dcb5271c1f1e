#include "participant-agent/server/resource_watcher.h"

#include <algorithm>
#include <utility>

namespace assent::agent {
namespace {

// A database that is away is tried so often: services wait for it.
constexpr Duration kAwayInterval = std::chrono::milliseconds(200);

}  // namespace

ResourceWatcher::ResourceWatcher(std::string resource, adapters::ResourceManager& manager,
                                 EventInbox& driver, Duration interval)
    : resource_(std::move(resource)),
      manager_(manager),
      driver_(driver),
      interval_(interval),
      thread_([this] { Run(); }) {}

ResourceWatcher::~ResourceWatcher() {
  Stop();
  thread_.join();
}

void ResourceWatcher::Stop() {
  MutexLock lock(mutex_);
  stopping_ = true;
  changed_.NotifyAll();
}

void ResourceWatcher::AskAllNow() {
  MutexLock lock(mutex_);
  ask_all_ = true;
  changed_.NotifyAll();
}

bool ResourceWatcher::Wait(Duration pause, bool* ask_all) {
  const MonotonicTime until = std::chrono::steady_clock::now() + pause;
  MutexLock lock(mutex_);
  while (!stopping_ && !ask_all_ && changed_.WaitUntil(mutex_, until)) {
  }
  *ask_all = std::exchange(ask_all_, false);
  return !stopping_;
}

void ResourceWatcher::Run() {
  bool probed = false;
  bool owed = false;  // A leader's hello is answered once the database can be asked.
  bool ask_all = false;
  do {
    owed = owed || ask_all;
    if (!probed) probed = Probe();
    if (probed) probed = List(owed);
    if (probed) owed = false;
  } while (Wait(probed ? interval_ : std::min(interval_, kAwayInterval), &ask_all));
}

bool ResourceWatcher::Probe() {
  auto report = manager_.Probe();
  if (!report.ok()) {
    driver_.Post(ResourceUnreachable{.resource = resource_, .detail = report.status().message()});
    return false;
  }
  driver_.Post(ResourceProbed{.resource = resource_, .report = *std::move(report)});
  return true;
}

bool ResourceWatcher::List(bool ask_all) {
  auto unreachable = [this](std::string detail) {
    session_.reset();
    driver_.Post(ResourceUnreachable{.resource = resource_, .detail = std::move(detail)});
    return false;
  };
  if (session_ == nullptr) {
    auto opened = manager_.OpenFinishSession();
    if (auto* error = std::get_if<adapters::WorkError>(&opened)) return unreachable(error->detail);
    session_ = std::get<std::unique_ptr<adapters::FinishSession>>(std::move(opened));
  }
  const MonotonicTime began = std::chrono::steady_clock::now();
  auto listed = session_->Recover();
  if (!listed.ok()) return unreachable(listed.status().message());
  driver_.Post(ResourceListed{
      .resource = resource_, .listed = *std::move(listed), .began = began, .ask_all = ask_all});
  return true;
}

}  // namespace assent::agent
