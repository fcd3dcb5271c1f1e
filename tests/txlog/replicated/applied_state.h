// The owner of a log whose state is simply everything that was applied.
#pragma once

#include <string>
#include <vector>

#include "txlog/decision_log.h"

namespace assent::txlog {

// One applied entry, without the filling of its record.
struct Seen {
  Index index = 0;
  Term term = 0;
  std::string name;  // Of the record, up to its first space; empty for an entry of the log's own.

  bool operator==(const Seen&) const = default;
};

inline std::string Show(const Seen& seen) {
  return std::to_string(seen.index) + "/" + std::to_string(seen.term) + " '" + seen.name + "'";
}

// Not thread-safe.
class AppliedState final : public Listener {
 public:
  void OnSnapshot(Index index, Term term, std::string state) override {
    from_snapshot = true;
    if (!seen.empty()) Complain("a snapshot behind entries");
    for (size_t at = 0; at < state.size();) {
      Seen entry;
      const size_t end = state.find('\n', at);
      const std::string line = state.substr(at, end - at);
      const size_t first = line.find(' '), second = line.find(' ', first + 1);
      entry.index = std::stoull(line.substr(0, first));
      entry.term = std::stoull(line.substr(first + 1, second - first - 1));
      entry.name = line.substr(second + 1);
      seen.push_back(std::move(entry));
      at = end + 1;
    }
    if (seen.back().index != index || seen.back().term != term) Complain("snapshot's position");
  }
  void OnApplied(std::vector<Applied> entries) override {
    for (Applied& entry : entries) {
      const Index expected = seen.empty() ? 1 : seen.back().index + 1;
      if (entry.index != expected) Complain("a gap before " + std::to_string(entry.index));
      if (!seen.empty() && entry.term < seen.back().term) Complain("the term fell");
      seen.push_back({entry.index, entry.term, entry.record.substr(0, entry.record.find(' '))});
    }
  }
  void OnLeadership(Term term, bool leader) override {
    if (leader && (leads || term <= led)) Complain("leadership of term " + std::to_string(term));
    leads = leader;
    if (leader) led = term;
  }
  void OnSnapshotWanted() override {}

  // As a snapshot of the first `count` entries keeps it.
  std::string State(size_t count) const {
    std::string state;
    for (size_t i = 0; i < count; ++i) {
      state += std::to_string(seen[i].index) + " " + std::to_string(seen[i].term) + " " +
               seen[i].name + "\n";
    }
    return state;
  }
  // The term's own entry has come: everything before it is known.
  bool Whole() const { return leads && !seen.empty() && seen.back().term == led; }

  std::vector<Seen> seen;
  Term led = 0;  // Last.
  bool leads = false;
  bool from_snapshot = false;
  std::string complaint;  // The first one.

 private:
  void Complain(const std::string& what) {
    if (complaint.empty()) complaint = what;
  }
};

}  // namespace assent::txlog
