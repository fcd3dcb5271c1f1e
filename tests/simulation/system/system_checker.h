// What must hold of the whole system, whatever happens to it. It knows observations only: what each
// log applied, who led, what went over the wire, what each database did, what each client was told.
// Sections are those of docs/protocols.md.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/core/decision_table.h"
#include "tests/simulation/system/codec.h"
#include "txlog/decision_log.h"
#include "txlog/raft/messages.h"

namespace assent::simulation {

// "t<epoch>.<seq>", and "/<resource>.<branch>#<attempt>" behind it.
std::string Short(const Gtrid& gtrid);
std::string Short(const Gid& gid);

// What a coordinator may have known of its lead when it said something.
struct LeadView {
  txlog::Term term = 0;
  bool leads = false;
  bool own_entry_applied = false;
};
using LeadViews = std::vector<LeadView>;

// Who asked for a registration: an agent's place, its life, its number. Begin: zeroes.
struct Asker {
  uint64_t place = 0;
  uint64_t life = 0;
  uint64_t request = 0;
  bool operator==(const Asker&) const = default;
};

class SystemChecker {
 public:
  SystemChecker(const SimCodec& codec, coordinator::TableLimits limits)
      : codec_(codec), limits_(limits), model_(limits) {}

  // Empty: nothing is wrong so far. Otherwise the first thing that was.
  const std::string& wrong() const { return wrong_; }
  void Wrong(const std::string& what);

  // ---- The log ----
  // State-machine safety; `node` begins anew, with nothing.
  void OnStart(uint64_t node) { applied_.erase(node); }
  void OnApplied(uint64_t node, const txlog::Applied& entry);
  void OnSnapshot(uint64_t node, txlog::Index index, txlog::Term term, const std::string& state);
  // A state that its owner gave as that of `index`.
  void OnStateGiven(uint64_t node, txlog::Index index, const std::string& state);
  // Election safety, leader completeness.
  void OnLeads(uint64_t node, txlog::Term term, txlog::Index last_index);
  // Log matching, seen on the wire.
  void OnAppend(txlog::Term term, const txlog::raft::AppendEntries& append);
  // What the log said of a proposal, whose bytes are unlike any other's.
  void OnFate(const std::string& record, txlog::Fate fate);
  // Linearizable reads: what was applied anywhere when a barrier was asked for is applied where it
  // was granted.
  txlog::Index decided_index() const { return entries_.size(); }
  void OnBarrier(uint64_t node, txlog::Index when_asked);
  txlog::Index applied(uint64_t node) const;

  // ---- Transactions ----
  void OnBegun(const Gtrid& gtrid) { begun_.insert(gtrid); }
  // The leader acknowledged the branch, which `asker` had asked for.
  void OnRegistered(const Gid& gid, const Asker& asker);
  // A node said how it ended, or what is to be done with it; or that it is under way. To a client
  // or to an agent, and as a leader who knew one of `views` may.
  void OnEndSaid(uint64_t node, const LeadViews& views, const Gtrid& gtrid);
  void OnPendingSaid(uint64_t node, const LeadViews& views, const Gtrid& gtrid);
  void OnReadOnlyVote(const Gid& gid) { read_only_.insert(gid); }
  // Section 5: whose session works in the branch, unless an application's does; and who said YES.
  void OnHeld(const Gid& gid, uint64_t agent_incarnation) {
    holders_.emplace(gid, agent_incarnation);
  }
  void OnYes(const Gid& gid, uint64_t agent_incarnation) { yes_[gid].insert(agent_incarnation); }
  // A statement of it failed.
  void OnFailed(const Gid& gid) { failed_.insert(gid); }
  // A client was told that its write stands in this branch; a later attempt replaces an earlier.
  void OnWorked(const Gid& gid) { worked_[gid.gtrid][gid.bqual.branch] = gid; }
  void OnTold(uint64_t node, const Gtrid& gtrid, coordinator::Outcome outcome);
  // Told COMMITTED, and that no other branches than these wait for it any more.
  void OnPendingTold(uint64_t node, const Gtrid& gtrid, const std::set<Gid>& pending);
  void OnNeverIssued(uint64_t node, const Gtrid& gtrid);
  // A client was told that its key had committed as this transaction before.
  void OnKeyCommitted(const std::string& key, const Gtrid& gtrid);

  // ---- Databases ----
  void OnPrepared(const Gid& gid);
  void OnEnded(const Gid& gid, bool committed);

  bool Committed(const Gtrid& gtrid) const { return decisions_.contains(gtrid); }
  size_t committed() const { return decisions_.size(); }
  size_t terms() const { return leaders_.size(); }
  // I6: reported to an operator, and left to him.
  bool IsHazard(const Gid& gid) const { return hazards_.contains(gid); }
  // Once all is mended: what AC1 and AC5 still lack, or nothing.
  std::string WhyUnfinished();

 private:
  struct Entry {
    txlog::Term term = 0;
    std::string record;
  };
  void Decide(txlog::Index index, const Entry& entry);
  void Decide(const coordinator::Decision& decision, txlog::Term term);
  void Tick();
  bool Forgotten(const Gtrid& gtrid) const;
  void CheckVote(const Gid& gid);
  void CheckEnd(const Gtrid& gtrid);
  bool Lists(const Gid& gid) const;
  void ModelUpTo(txlog::Index index);
  void CheckState(uint64_t node, txlog::Index index, const std::string& state);

  const SimCodec& codec_;
  const coordinator::TableLimits limits_;
  std::string wrong_;

  std::vector<Entry> entries_;  // By index, from 1: what some node has applied.
  std::map<std::string, txlog::Index> index_of_;
  std::map<uint64_t, txlog::Index> applied_;
  std::map<txlog::Term, uint64_t> leaders_;
  std::map<std::pair<txlog::Index, txlog::Term>, std::pair<std::string, txlog::Term>> sent_;
  std::set<std::string> refused_;
  std::set<std::string> durable_;
  coordinator::DecisionTable model_;  // As of entry modelled_.
  txlog::Index modelled_ = 0;

  std::set<Gtrid> begun_;
  std::map<Gtrid, std::map<uint32_t, uint32_t>> registered_;  // Branch: newest attempt.
  std::map<Gid, Asker> askers_;
  std::set<Gid> read_only_;
  std::set<Gid> failed_;
  std::map<Gid, uint64_t> holders_;
  std::map<Gid, std::set<uint64_t>> yes_;
  std::map<Gtrid, std::map<uint32_t, Gid>> worked_;
  std::map<Gtrid, coordinator::Decision> decisions_;
  std::map<std::string, std::pair<Gtrid, uint64_t>> keys_;  // The tick too.
  uint64_t ticks_ = 0;
  // Section 11: the newest decision at each tick, and up to which all may be forgotten.
  std::optional<coordinator::Position> newest_;
  std::deque<std::pair<uint64_t, coordinator::Position>> marks_;
  std::optional<coordinator::Position> watermark_;
  std::set<Gtrid> told_aborted_;
  std::set<Gtrid> told_committed_;
  std::set<Gid> hazards_;
  std::set<Gid> prepared_;     // At some time.
  std::map<Gid, bool> ended_;  // Prepared, then: committed or not.
};

}  // namespace assent::simulation
