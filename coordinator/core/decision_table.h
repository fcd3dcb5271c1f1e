// The replicated state machine: what the group's log says about transactions (docs/protocols.md
// sections 3, 4.3 and 11). Deterministic: the same entries in the same order make the same table on
// every replica. No clock: retention is counted in the leader's ticks.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "coordinator/core/ended_transactions.h"
#include "coordinator/core/types.h"

namespace assent::coordinator {

// ---- Records, decoded ---------------------------------------------------------------------------

struct GroupStart {
  std::string cluster;
  std::string cluster_uuid;
  uint32_t group = 0;
  // 0: not drawn yet. The first members of a group each write its first record, and must write the
  // same, so they name no incarnation; the first that leads draws one and puts it on record.
  uint64_t incarnation = 0;

  bool operator==(const GroupStart&) const = default;
};
// Decision (types.h) is DECIDE-C.
struct End {
  std::vector<Gtrid> gtrids;
};
struct Heuristic {
  Gid gid;
  BranchEnd end = BranchEnd::kHazard;
  std::string detail;

  bool operator==(const Heuristic&) const = default;
};
struct ForgetHeuristic {
  Gtrid gtrid;
};
struct Tick {};
using Record = std::variant<GroupStart, Decision, End, Heuristic, ForgetHeuristic, Tick>;

// What applying a record did. The driver acts on this, never on durability alone.
enum class ApplyAnswer {
  kAccepted,
  kWrongTerm,       // DECIDE-C of an epoch other than its entry's term: it never counts.
  kAlreadyDecided,  // The first DECIDE-C of a gtrid stands; END, HEUR or FORGET repeated.
  kForgotten,       // At or below the watermark.
  kKeyConflict,     // Another transaction with this client key committed first: this one aborts.
  kForeign,         // Of another cluster, group or incarnation, or a second GroupStart.
  kNotFound,        // END, HEUR or FORGET of a gtrid that is not on record.
};

// ---- The table ----------------------------------------------------------------------------------

// Named maxima. Retention is part of the replicated state's meaning: the same on all replicas.
struct TableLimits {
  uint64_t outcome_retention_ticks = 7 * 24 * 60;  // With one tick a minute: 7 days.
  uint64_t key_retention_ticks = 60;
  size_t keys_max = 1'000'000;  // Beyond it Begin with a key is refused, none is evicted early.
};

class DecisionTable {
 public:
  struct Unfinished {
    Decision decision;
    std::vector<Heuristic> heuristics;

    bool operator==(const Unfinished&) const = default;
  };
  struct Key {
    Gtrid gtrid;
    uint64_t tick = 0;

    bool operator==(const Key&) const = default;
  };
  // Everything, as plain values: what a snapshot keeps.
  struct State {
    std::optional<GroupStart> group;
    uint64_t ticks = 0;
    // Heuristic outcomes of branches that no unfinished commit lists: of aborted transactions, of
    // ended and of forgotten ones. Kept until an operator forgets them.
    std::map<Gtrid, std::vector<Heuristic>> strays;
    std::map<Gtrid, Unfinished> unfinished;  // Committed, END not yet applied.
    EndedTransactions ended;                 // Of the group's own incarnation.
    // Of those that it was restored from, by incarnation, until all is forgotten.
    std::map<uint64_t, EndedTransactions> older;
    std::map<std::string, Key> keys;

    bool operator==(const State&) const = default;
  };

  explicit DecisionTable(TableLimits limits) : limits_(limits) {}

  // Applies one record that was committed at `term`.
  ApplyAnswer Apply(Term term, const Record& record);

  // What is on record about a gtrid of this group.
  enum class Word {
    kNoRecord,
    kUnfinished,  // Committed; Find() has the decision.
    kEnded,       // Committed, every branch done; only a bit is left.
    // Not unfinished, and at or below the watermark, or of another incarnation that it is not on
    // record for: nobody can tell any more.
    kForgotten,
  };
  Word Look(const Gtrid& gtrid) const;
  const Unfinished* Find(const Gtrid& gtrid) const;
  // True if a commit decision lists exactly this gid. For ended ones: the branch's winning attempt.
  bool ListsCommit(const Gid& gid) const;
  // The evidence that the decision carries for this gid; empty if none or ended.
  std::string EvidenceOf(const Gid& gid) const;

  // The heuristic outcomes on record that no unfinished commit of this gtrid lists, or null.
  const std::vector<Heuristic>* FindStrays(const Gtrid& gtrid) const;

  const Key* FindKey(const std::string& client_key) const;
  bool KeysFull() const { return state_.keys.size() >= limits_.keys_max; }

  // Nothing: it has no incarnation yet, and can begin and answer nothing.
  const std::optional<GroupStart>& group() const;
  const State& state() const { return state_; }
  // Replaces everything by a snapshot's state.
  void Restore(State state);

 private:
  ApplyAnswer On(Term term, const GroupStart& record);
  ApplyAnswer On(Term term, const Decision& record);
  ApplyAnswer On(Term term, const End& record);
  ApplyAnswer On(Term term, const Heuristic& record);
  ApplyAnswer On(Term term, const ForgetHeuristic& record);
  ApplyAnswer On(Term term, const Tick& record);

  bool IsOurs(const Gtrid& gtrid) const;
  bool IsOfOurGroup(const Gtrid& gtrid) const;  // Of any incarnation.
  // Of the gtrid's incarnation; null if there is none, or it is of another group.
  const EndedTransactions* EndedOf(const Gtrid& gtrid) const;
  void Finish(std::map<Gtrid, Unfinished>::iterator it);  // Only a bit stays.

  const TableLimits limits_;
  State state_;
  // The keys of state_, oldest first; made anew by Restore.
  std::deque<std::pair<uint64_t, std::string>> keys_by_age_;
};

}  // namespace assent::coordinator
