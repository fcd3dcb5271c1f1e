#include "coordinator/server/metrics_page.h"

#include <algorithm>
#include <cctype>
#include <iterator>

#include "base/options.h"

namespace assent::coordinator {
namespace {

// The records in the order of the variant Record.
constexpr const char* kRecordKinds[] = {"group_start", "decision", "end",
                                        "heuristic",   "forget",   "tick"};
static_assert(std::size(kRecordKinds) == std::variant_size_v<Record>);

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

constexpr AbortCause kCauses[] = {
    AbortCause::kClientRollback,   AbortCause::kDeadlinePassed, AbortCause::kPrepareTimeout,
    AbortCause::kAgentUnreachable, AbortCause::kBranchVotedNo,  AbortCause::kBranchLost,
    AbortCause::kPresumed,         AbortCause::kLogRefused,     AbortCause::kKeyConflict};

void ExposeTransactions(const DriverMetrics& metrics, metrics::Page& page) {
  page.Counters("assent_transactions_begun_total", "Transactions that Begin gave a gtrid.")
      .Series({}, metrics.begun);
  page.Counters("assent_transactions_total",
                "Transactions that were settled; unknown: alive when leadership was lost.")
      .Series({{"outcome", "committed"}}, metrics.committed)
      .Series({{"outcome", "read_only"}}, metrics.read_only)
      .Series({{"outcome", "aborted"}}, metrics.aborted)
      .Series({{"outcome", "unknown"}}, metrics.unknown);
  auto aborted = page.Counters("assent_transactions_aborted_total", "Aborts by their cause.");
  for (const AbortCause cause : kCauses) {
    aborted.Series({{"cause", LowerCase(AbortCauseName(cause))}},
                   metrics.aborted_by_cause[static_cast<size_t>(cause)]);
  }
  page.Gauges("assent_transactions_in_flight", "Begun and not settled.").Series({}, metrics.live);
  page.Gauges("assent_transactions_unfinished",
              "Committed, and END is not on record: some branch is not done, or END waits for its "
              "batch.")
      .Series({}, metrics.unfinished);
  page.Gauges("assent_in_doubt_branches",
              "Branches of committed transactions that their database has not confirmed.")
      .Series("resource", metrics.in_doubt);
  page.Gauges("assent_heuristic_transactions",
              "Transactions with a heuristic outcome that nobody has settled and forgotten yet.")
      .Series({},
              static_cast<double>(metrics.heuristic_unfinished.value() + metrics.strays.value()));
  page.Counters("assent_heuristic_outcomes_total", "Heuristic outcomes put on record, by branch.")
      .Series({{"kind", "rollback"}},
              metrics.heuristics[static_cast<size_t>(BranchEnd::kHeuristicRollback)])
      .Series({{"kind", "commit"}},
              metrics.heuristics[static_cast<size_t>(BranchEnd::kHeuristicCommit)])
      .Series({{"kind", "hazard"}}, metrics.heuristics[static_cast<size_t>(BranchEnd::kHazard)]);
  page.Histograms("assent_commit_seconds",
                  "From Commit to the durable decision: votes and log; only where a branch wrote.")
      .Series({}, metrics.commit_seconds);
  page.Histograms("assent_apply_seconds",
                  "From the decision until every database has confirmed its branch.")
      .Series({}, metrics.apply_seconds);
}

}  // namespace

void Expose(const DriverMetrics& metrics, metrics::Page& page) {
  page.Gauges("assent_build_info", "1; the label tells the version that runs.")
      .Series({{"version", std::string(Version())}}, 1);
  page.Gauges("assent_leader", "1: this node leads, and has read its log; only then it serves.")
      .Series({}, metrics.leading);
  page.Gauges("assent_term", "The term of the log, as this node knows it.")
      .Series({}, metrics.term);
  page.Gauges("assent_agents_connected", "Agents that have a link to this node.")
      .Series({}, metrics.agents);
  ExposeTransactions(metrics, page);
  auto proposals = page.Counters("assent_log_proposals_total",
                                 "Records that this node proposed to the log, by kind.");
  for (size_t kind = 1; kind < std::size(kRecordKinds); ++kind) {
    proposals.Series({{"kind", kRecordKinds[kind]}}, metrics.proposals[kind]);
  }
}

void Expose(const LogMetrics& metrics, metrics::Page& page) {
  page.Counters("assent_log_forced_writes_total",
                "Forced writes of the log: each makes all records durable that had gathered.")
      .Series({}, metrics.forced_writes);
  page.Counters("assent_log_records_total", "Records that they made durable.")
      .Series({}, metrics.records);
  page.Counters("assent_log_bytes_total", "Bytes that they made durable.")
      .Series({}, metrics.bytes);
  page.Histograms("assent_log_fsync_seconds", "How long the disk took to force a write.")
      .Series({}, metrics.fsync_seconds);
}

void ExposeQueues(const DriverMetrics& metrics, size_t driver_queue, metrics::Page& page) {
  page.Gauges("assent_queue_depth", "What waits in a queue of this process.")
      .Series({{"queue", "driver"}}, static_cast<double>(driver_queue))
      .Series({{"queue", "log"}}, metrics.proposals_waiting);
}

std::vector<std::string> WhyNotServing(const DriverMetrics& metrics) {
  if (metrics.leading.value() != 0 || metrics.following.value() != 0) return {};
  const std::string term = "(term " + std::to_string(metrics.term.value()) + ")";
  if (metrics.leader_reading.value() != 0) {
    return {"this node leads " + term + " and has not read its log to the end yet"};
  }
  return {"this node does not lead, and knows of no leader " + term};
}

}  // namespace assent::coordinator
