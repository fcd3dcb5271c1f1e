// What the driver counts for monitors. The driver thread writes, anybody reads at any moment: all
// of it is relaxed atomics (base/metrics), so a scrape costs the driver nothing. metrics_page.h has
// the names under which it is exposed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "base/metrics/counter.h"
#include "base/metrics/gauges_by_label.h"
#include "base/metrics/histogram.h"
#include "coordinator/core/decision_table.h"
#include "coordinator/core/phase_two.h"
#include "coordinator/core/two_phase.h"

namespace assent::coordinator {

struct DriverMetrics {
  // ---- Transactions
  metrics::Counter begun;
  metrics::Counter committed;
  metrics::Counter read_only;  // Committed without a record: no branch wrote.
  metrics::Counter aborted;
  metrics::Counter unknown;  // Alive when leadership was lost: the next leader's log tells.
  std::array<metrics::Counter, 1 + static_cast<size_t>(AbortCause::kKeyConflict)> aborted_by_cause;
  metrics::Gauge live;
  metrics::Gauge unfinished;
  metrics::Gauge heuristic_unfinished;
  metrics::Gauge strays;
  metrics::GaugesByLabel in_doubt;  // By resource.
  metrics::Histogram commit_seconds;
  metrics::Histogram apply_seconds;
  std::array<metrics::Counter, 1 + static_cast<size_t>(BranchEnd::kHazard)> heuristics;

  // ---- The log
  std::array<metrics::Counter, std::variant_size_v<Record>> proposals;  // By kind of record.
  metrics::Gauge proposals_waiting;

  // ---- The node
  metrics::Gauge term;
  metrics::Gauge leading;         // 1: it leads, and has applied its own term's entry.
  metrics::Gauge leader_reading;  // 1: it leads, and has not yet.
  metrics::Gauge following;       // 1: it does not lead, and knows who does.
  metrics::Gauge agents;

  // `commit_asked`: when Commit came, if it did.
  void Settled(const Settle& settle, std::optional<MonotonicTime> commit_asked, MonotonicTime now);
  void Proposed(const Record& record);
};

// What one transaction in phase two adds to the gauges of its kind: takes it back when it dies,
// wherever that happens. Driver thread only.
class PhaseTwoShare {
 public:
  PhaseTwoShare() = default;
  PhaseTwoShare(PhaseTwoShare&& other) noexcept : counted_(std::move(other.counted_)) {}
  PhaseTwoShare& operator=(PhaseTwoShare&&) = delete;
  ~PhaseTwoShare() { Count(-1); }

  // After each step of `core`. `metrics` must outlive this object.
  void Update(const PhaseTwo& core, DriverMetrics& metrics);

 private:
  void Count(int64_t one);

  std::vector<metrics::Gauge*> counted_;  // Once for each unit.
};

}  // namespace assent::coordinator
