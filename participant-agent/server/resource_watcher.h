// The watcher of one resource: asks the database whether it is fit to be served, and then lists its
// prepared branches again and again. A thread and a session of its own, never lent to work.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "adapters/resource_manager.h"
#include "base/mutex.h"
#include "participant-agent/server/events.h"

namespace assent::agent {

class ResourceWatcher {
 public:
  // Every `interval`: ResourceListed, or ResourceUnreachable while the database can't tell; then it
  // tries more often, and the database is probed anew (ResourceProbed) before it is listed.
  ResourceWatcher(std::string resource, adapters::ResourceManager& manager, EventInbox& driver,
                  Duration interval);
  ~ResourceWatcher();

  // Lists at once; the listing carries ask_all. Thread-safe.
  void AskAllNow() EXCLUDES(mutex_);
  void Stop() EXCLUDES(mutex_);

 private:
  void Run();
  bool Probe();
  bool List(bool ask_all);
  // Until `pause` has passed or somebody asks. False: stop.
  bool Wait(Duration pause, bool* ask_all) EXCLUDES(mutex_);

  const std::string resource_;
  adapters::ResourceManager& manager_;
  EventInbox& driver_;
  const Duration interval_;
  std::unique_ptr<adapters::FinishSession> session_;
  Mutex mutex_;
  CondVar changed_;
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool ask_all_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace assent::agent
