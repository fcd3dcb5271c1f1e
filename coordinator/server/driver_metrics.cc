#include "coordinator/server/driver_metrics.h"

#include <utility>

namespace assent::coordinator {

void DriverMetrics::Settled(const Settle& settle, std::optional<MonotonicTime> commit_asked,
                            MonotonicTime now) {
  switch (settle.outcome) {
    case Outcome::kCommitted:
      if (settle.read_only) {
        read_only.Add();
        return;
      }
      committed.Add();
      if (commit_asked) commit_seconds.Observe(now - *commit_asked);
      return;
    case Outcome::kAborted:
      aborted.Add();
      aborted_by_cause[static_cast<size_t>(settle.abort.value_or(AbortReason{}).cause)].Add();
      return;
    case Outcome::kUnknown:
    case Outcome::kExpired:
      break;  // Nothing settles so.
  }
}

void DriverMetrics::Proposed(const Record& record) {
  proposals[record.index()].Add();
  proposals_waiting.Add(1);
}

void PhaseTwoShare::Update(const PhaseTwo& core, DriverMetrics& metrics) {
  std::vector<metrics::Gauge*> now;
  for (const PhaseTwo::Branch& branch : core.branches()) {
    if (branch.phase != PhaseTwo::BranchPhase::kPending) continue;
    now.push_back(&metrics.in_doubt.Of(branch.decided.bqual.resource));
  }
  if (core.HasHeuristic()) now.push_back(&metrics.heuristic_unfinished);
  if (now == counted_) return;
  // In this order, a reader in between sees too much for a moment and never too little.
  now.swap(counted_);
  Count(1);
  now.swap(counted_);
  Count(-1);
  counted_ = std::move(now);
}

void PhaseTwoShare::Count(int64_t one) {
  for (metrics::Gauge* gauge : counted_) gauge->Add(one);
}

}  // namespace assent::coordinator
