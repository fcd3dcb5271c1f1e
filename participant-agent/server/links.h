// All links of an agent, for whoever makes, reads or ends them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "participant-agent/server/link.h"

namespace assent::agent {

// Thread-safe. A link lives as long as this object, also when it was left: events of it may still
// be on their way.
class Links {
 public:
  // `driver` must outlive this object.
  Links(LinkSecurity security, EventInbox& driver)
      : security_(std::move(security)), driver_(driver) {}

  Link* Dial(const std::string& target) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    links_.push_back(std::make_unique<Link>(target, security_, driver_));
    return links_.back().get();
  }

  // In the order of dialling.
  std::vector<Link*> All() const EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    std::vector<Link*> all;
    for (const auto& link : links_) all.push_back(link.get());
    return all;
  }

 private:
  const LinkSecurity security_;
  EventInbox& driver_;
  mutable Mutex mutex_;
  std::vector<std::unique_ptr<Link>> links_ GUARDED_BY(mutex_);
};

}  // namespace assent::agent
