// What an agent counts for monitors. Read at any moment without delaying anybody: relaxed atomics
// (base/metrics); the one lock is taken by the driver only when a resource ceases or begins to be
// served. Expose gives the names under which it is shown; docs/metrics.md lists them.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/metrics/counter.h"
#include "base/metrics/histogram.h"
#include "base/metrics/page.h"
#include "base/mutex.h"
#include "participant-agent/journal/journal.h"

namespace assent::agent {

// What a database is asked to do.
enum class Verb {
  kConnect,
  kStart,
  kExecute,
  kPrepare,
  kCommit,
  kRollback,
  kRecover,
  kLookUp,
  kProbe
};
inline constexpr size_t kVerbs = static_cast<size_t>(Verb::kProbe) + 1;

// What came back, as far as an operator would act on it.
enum class AnswerClass {
  kDone,
  kReadOnly,   // Prepared without writes: over.
  kFailed,     // The statement's or the transaction's own fault.
  kConflict,   // Deadlock, serialization failure, lock time-out: retried by the service.
  kTransient,  // Connection lost, server away, busy: the agent asks again.
  kRefused,    // An administrator must act.
  kHeuristic,  // Ended against the decision, provably.
  kHazard,     // Gone, and no evidence tells how.
};
inline constexpr size_t kAnswerClasses = static_cast<size_t>(AnswerClass::kHazard) + 1;

class ResourceMetrics {
 public:
  // Any thread.
  void Count(Verb verb, AnswerClass answer, std::chrono::nanoseconds took);

  // The driver thread: why the resource is not served; empty: it is.
  void SetWhyNot(const std::string& why) EXCLUDES(mutex_);
  std::string WhyNot() const EXCLUDES(mutex_);

  metrics::Gauge open;      // Branches open, being prepared or being rolled back.
  metrics::Gauge prepared;  // Branches prepared or being finished.
  metrics::Gauge listed;    // Prepared branches that the database showed last.
  metrics::Gauge sessions_in_use;
  metrics::Gauge finishes_waiting;

 private:
  friend class AgentMetrics;
  struct OfVerb {
    std::array<metrics::Counter, kAnswerClasses> answers;
    metrics::Histogram seconds;
  };

  std::array<OfVerb, kVerbs> verbs_;
  metrics::Gauge served_;
  std::string told_;  // The driver thread's copy of why_not_.
  mutable Mutex mutex_;
  std::string why_not_ GUARDED_BY(mutex_);
};

class AgentMetrics {
 public:
  // The names of the configuration, which are all that there will be.
  AgentMetrics(const std::vector<std::string>& resources, size_t sessions_max);

  ResourceMetrics& Of(const std::string& resource) { return *resources_.at(resource); }
  // The driver thread. Up: this coordinator has welcomed the agent, and the link holds.
  void SetLinkUp(const std::string& coordinator, bool up) EXCLUDES(mutex_);
  // It is dialled no more, and shown no more.
  void DropLink(const std::string& coordinator) EXCLUDES(mutex_);

  metrics::Gauge linked_to_leader;  // 0 or 1.
  // The driver thread: takes over what the journal has counted.
  void SetJournal(const Journal::Counts& counts);

  // Adds everything to `page`. Any thread.
  void Expose(metrics::Page& page) const;
  // Why this agent does not serve, a sentence each; empty: it is linked to a leader, and every
  // resource is served. Any thread.
  std::vector<std::string> WhyNotServing() const;

 private:
  void ExposeVerbs(metrics::Page& page) const;

  const size_t sessions_max_;
  std::map<std::string, std::unique_ptr<ResourceMetrics>> resources_;  // Never changes.
  mutable Mutex mutex_;
  std::map<std::string, bool> links_ GUARDED_BY(mutex_);
  metrics::Counter journal_forced_;
  metrics::Counter journal_wills_;
  metrics::Counter journal_dones_;
  metrics::Counter journal_forgets_;
};

}  // namespace assent::agent
