#include "tests/simulation/system/system_checker.h"

#include <algorithm>

namespace assent::simulation {

using coordinator::Outcome;

std::string Short(const Gtrid& gtrid) {
  return "t" + std::to_string(gtrid.epoch) + "." + std::to_string(gtrid.seq);
}

std::string Short(const Gid& gid) {
  return Short(gid.gtrid) + "/" + gid.bqual.resource + "." + std::to_string(gid.bqual.branch) +
         "#" + std::to_string(gid.bqual.attempt);
}

void SystemChecker::Wrong(const std::string& what) {
  if (wrong_.empty()) wrong_ = what;
}

// ---- The log ------------------------------------------------------------------------------------

txlog::Index SystemChecker::applied(uint64_t node) const {
  auto it = applied_.find(node);
  return it == applied_.end() ? 0 : it->second;
}

void SystemChecker::OnApplied(uint64_t node, const txlog::Applied& entry) {
  const std::string where = "node " + std::to_string(node) + ", entry " +
                            std::to_string(entry.index) + " of term " + std::to_string(entry.term);
  txlog::Index& last = applied_[node];
  if (entry.index != last + 1) {
    return Wrong("applied out of order: " + where + " after entry " + std::to_string(last));
  }
  last = entry.index;
  if (entry.index <= entries_.size()) {
    const Entry& known = entries_[entry.index - 1];
    if (known.term != entry.term || known.record != entry.record) {
      Wrong("state-machine safety: " + where + " is not what another applied, of term " +
            std::to_string(known.term));
    }
    return;
  }
  if (refused_.contains(entry.record)) Wrong("applied, though it was refused: " + where);
  entries_.push_back({entry.term, entry.record});
  if (!entry.record.empty()) index_of_[entry.record] = entry.index;
  Decide(entry.index, entries_.back());
}

void SystemChecker::OnSnapshot(uint64_t node, txlog::Index index, txlog::Term term,
                               const std::string& state) {
  txlog::Index& last = applied_[node];
  const std::string where =
      "node " + std::to_string(node) + ", snapshot of entry " + std::to_string(index);
  if (index < last) Wrong("restored the past: " + where + ", applied " + std::to_string(last));
  last = index;
  if (index > entries_.size()) return Wrong("a snapshot of what nobody has applied: " + where);
  if (entries_[index - 1].term != term) Wrong("a snapshot of another history: " + where);
  CheckState(node, index, state);
}

void SystemChecker::OnStateGiven(uint64_t node, txlog::Index index, const std::string& state) {
  if (index > entries_.size()) return Wrong("a state of what nobody has applied");
  CheckState(node, index, state);
}

void SystemChecker::ModelUpTo(txlog::Index index) {
  if (index < modelled_) {
    model_.Restore({});
    modelled_ = 0;
  }
  while (modelled_ < index) {
    const Entry& entry = entries_[modelled_++];
    if (entry.record.empty()) continue;
    model_.Apply(entry.term, *codec_.Decode(entry.record));
  }
}

void SystemChecker::CheckState(uint64_t node, txlog::Index index, const std::string& state) {
  ModelUpTo(index);
  Result<coordinator::DecisionTable::State> given = codec_.DecodeState(state);
  if (!given.ok() || *given != model_.state()) {
    Wrong("node " + std::to_string(node) + " holds another state than entry " +
          std::to_string(index) + " makes");
  }
}

void SystemChecker::OnLeads(uint64_t node, txlog::Term term, txlog::Index last_index) {
  auto [leader, fresh] = leaders_.emplace(term, node);
  if (!fresh && leader->second != node) {
    Wrong("election safety: nodes " + std::to_string(leader->second) + " and " +
          std::to_string(node) + " lead in term " + std::to_string(term));
  }
  // What a later leader has committed this one need not have: the news of its lead is old.
  if (!entries_.empty() && entries_.back().term > term) return;
  if (last_index < entries_.size()) {
    Wrong("leader completeness: node " + std::to_string(node) + " leads in term " +
          std::to_string(term) + " with a log that ends at " + std::to_string(last_index) +
          ", applied elsewhere is " + std::to_string(entries_.size()));
  }
}

void SystemChecker::OnAppend(txlog::Term, const txlog::raft::AppendEntries& append) {
  txlog::Term previous = append.prev_term;
  for (const txlog::raft::Entry& entry : append.entries) {
    std::pair<std::string, txlog::Term> content(entry.view(), previous);
    auto [known, fresh] = sent_.emplace(std::pair(entry.index, entry.term), content);
    if (!fresh && known->second != content) {
      Wrong("log matching: entry " + std::to_string(entry.index) + " of term " +
            std::to_string(entry.term) + " is two");
    }
    previous = entry.term;
  }
}

void SystemChecker::OnFate(const std::string& record, txlog::Fate fate) {
  if (fate == txlog::Fate::kDurable) {
    durable_.insert(record);
  } else if (fate == txlog::Fate::kRefused) {
    refused_.insert(record);
    if (index_of_.contains(record)) Wrong("refused, though it was applied: " + record);
  }
}

void SystemChecker::OnBarrier(uint64_t node, txlog::Index when_asked) {
  if (applied(node) >= when_asked) return;
  Wrong("stale read: node " + std::to_string(node) + " has applied " +
        std::to_string(applied(node)) + ", and " + std::to_string(when_asked) +
        " was when it was asked");
}

// ---- Decisions ----------------------------------------------------------------------------------

void SystemChecker::Decide(txlog::Index index, const Entry& entry) {
  if (entry.record.empty()) return;
  Result<coordinator::Record> record = codec_.Decode(entry.record);
  if (!record.ok()) return Wrong("entry " + std::to_string(index) + " is no record");
  if (std::holds_alternative<coordinator::Tick>(*record)) Tick();
  if (auto* decision = std::get_if<coordinator::Decision>(&*record)) Decide(*decision, entry.term);
  if (auto* end = std::get_if<coordinator::End>(&*record)) {
    for (const Gtrid& gtrid : end->gtrids) CheckEnd(gtrid);
  }
  if (auto* heuristic = std::get_if<coordinator::Heuristic>(&*record)) {
    // Nobody meddles with databases here. But what is forgotten before all have heard it, or just
    // after somebody has asked, is nobody's to tell any more.
    const Gid& gid = heuristic->gid;
    if (heuristic->end == coordinator::BranchEnd::kHazard && Forgotten(gid.gtrid)) {
      if (!Lists(gid)) hazards_.insert(gid);
      if (!Lists(gid) || ended_.contains(gid)) return;
    }
    Wrong("a heuristic outcome where there was none: " + Short(heuristic->gid) + ", " +
          heuristic->detail);
  }
}

void SystemChecker::Tick() {
  ++ticks_;
  if (newest_ && (marks_.empty() || marks_.back().second != *newest_)) {
    marks_.emplace_back(ticks_, *newest_);
  }
  while (!marks_.empty() && marks_.front().first + limits_.outcome_retention_ticks <= ticks_) {
    watermark_ = marks_.front().second;
    marks_.pop_front();
  }
}

bool SystemChecker::Forgotten(const Gtrid& gtrid) const {
  return watermark_ && coordinator::Position{gtrid.epoch, gtrid.seq} <= *watermark_;
}

void SystemChecker::Decide(const coordinator::Decision& decision, txlog::Term term) {
  const Gtrid& gtrid = decision.gtrid;
  // What was proposed for one term is refused in every other, so that apply need not even ignore
  // it.
  if (term != gtrid.epoch) {
    Wrong("3: a decision of epoch " + std::to_string(gtrid.epoch) + " in an entry of term " +
          std::to_string(term) + ": " + Short(gtrid));
  }
  // Section 3: what apply must ignore.
  if (term != gtrid.epoch || decisions_.contains(gtrid) || Forgotten(gtrid)) return;
  if (!decision.client_key.empty()) {
    auto known = keys_.find(decision.client_key);
    if (known != keys_.end() && known->second.second + limits_.key_retention_ticks >= ticks_) {
      return;
    }
    keys_[decision.client_key] = {gtrid, ticks_};
  }
  decisions_.emplace(gtrid, decision);
  const coordinator::Position position{gtrid.epoch, gtrid.seq};
  if (!newest_ || *newest_ < position) newest_ = position;
  if (told_aborted_.contains(gtrid))
    Wrong("I8: decided after a client heard ABORTED: " + Short(gtrid));
  std::set<uint32_t> listed;
  for (const coordinator::DecidedBranch& branch : decision.branches) {
    const Gid gid{gtrid, branch.bqual};
    listed.insert(branch.bqual.branch);
    if (!prepared_.contains(gid)) Wrong("AC3: decided without being prepared: " + Short(gid));
    CheckVote(gid);
    auto ended = ended_.find(gid);
    if (ended != ended_.end() && !ended->second)
      Wrong("AC1: rolled back, then decided: " + Short(gid));
  }
  for (const auto& [branch, attempt] : registered_[gtrid]) {
    if (listed.contains(branch)) continue;
    const bool read_only = std::any_of(read_only_.begin(), read_only_.end(), [&](const Gid& gid) {
      return gid.gtrid == gtrid && gid.bqual.branch == branch;
    });
    if (!read_only) {
      Wrong("AC3: decided without the vote of branch " + std::to_string(branch) + ": " +
            Short(gtrid));
    }
  }
}

// AC3: only the agent that holds its session can vote for a branch; for an application's, any that
// has looked.
void SystemChecker::CheckVote(const Gid& gid) {
  if (failed_.contains(gid)) Wrong("13: decided, and a statement of it failed: " + Short(gid));
  auto said = yes_.find(gid);
  auto holder = holders_.find(gid);
  if (said == yes_.end()) return Wrong("AC3: decided without a YES: " + Short(gid));
  if (holder != holders_.end() && !said->second.contains(holder->second)) {
    Wrong("AC3: decided without the YES of its holder: " + Short(gid));
  }
}

void SystemChecker::CheckEnd(const Gtrid& gtrid) {
  auto it = decisions_.find(gtrid);
  if (it == decisions_.end()) return Wrong("END of what was never decided: " + Short(gtrid));
  for (const coordinator::DecidedBranch& branch : it->second.branches) {
    const Gid gid{gtrid, branch.bqual};
    auto ended = ended_.find(gid);
    if (ended == ended_.end() || !ended->second) Wrong("4.1: END before DONE of " + Short(gid));
  }
}

bool SystemChecker::Lists(const Gid& gid) const {
  auto it = decisions_.find(gid.gtrid);
  if (it == decisions_.end()) return false;
  return std::any_of(
      it->second.branches.begin(), it->second.branches.end(),
      [&](const coordinator::DecidedBranch& branch) { return branch.bqual == gid.bqual; });
}

void SystemChecker::OnRegistered(const Gid& gid, const Asker& asker) {
  auto [first, fresh] = askers_.emplace(gid, asker);
  if (!fresh && first->second != asker) Wrong("16.3: given out for two attempts: " + Short(gid));
  uint32_t& attempt = registered_[gid.gtrid][gid.bqual.branch];
  attempt = std::max(attempt, gid.bqual.attempt);
}

// 4.3 and 16.1: only who leads in that epoch or a later one, and has applied its own entry.
void SystemChecker::OnEndSaid(uint64_t node, const LeadViews& views, const Gtrid& gtrid) {
  if (std::any_of(views.begin(), views.end(), [&](const LeadView& view) {
        return view.leads && view.own_entry_applied && view.term >= gtrid.epoch;
      })) {
    return;
  }
  Wrong("16.1: node " + std::to_string(node) + " tells the end of " + Short(gtrid) +
        ", as of term " + std::to_string(views.back().term) +
        (views.back().leads ? ", before its own entry" : ", in which it does not lead"));
}

// 16.10: what is alive ends with the lead of the term that issued it.
void SystemChecker::OnPendingSaid(uint64_t node, const LeadViews& views, const Gtrid& gtrid) {
  if (std::any_of(views.begin(), views.end(),
                  [&](const LeadView& view) { return view.leads && view.term == gtrid.epoch; })) {
    return;
  }
  Wrong("16.10: " + Short(gtrid) + " is alive at node " + std::to_string(node) + " in term " +
        std::to_string(views.back().term));
}

std::string SystemChecker::WhyUnfinished() {
  for (const auto& [gtrid, decision] : decisions_) {
    for (const coordinator::DecidedBranch& branch : decision.branches) {
      auto ended = ended_.find({gtrid, branch.bqual});
      if (ended == ended_.end() || !ended->second) {
        return Short(Gid{gtrid, branch.bqual}) + " is decided and not committed";
      }
    }
  }
  for (const std::string& record : durable_) {
    if (!index_of_.contains(record)) return "durable and never applied: " + record;
  }
  ModelUpTo(entries_.size());
  if (model_.state().unfinished.empty()) return "";
  return "END is missing: " + Short(model_.state().unfinished.begin()->first);
}

// ---- Clients ------------------------------------------------------------------------------------

void SystemChecker::OnTold(uint64_t node, const Gtrid& gtrid, Outcome outcome) {
  const std::string who = " told by node " + std::to_string(node) + ": " + Short(gtrid);
  auto worked = worked_.find(gtrid);
  const bool wrote = worked != worked_.end() && !worked->second.empty();
  switch (outcome) {
    case Outcome::kCommitted:
      // What wrote nothing is not remembered (section 12).
      if (told_aborted_.contains(gtrid) && wrote) Wrong("I8: COMMITTED after ABORTED," + who);
      told_committed_.insert(gtrid);
      if (!decisions_.contains(gtrid)) {
        if (wrote) Wrong("I8: COMMITTED without a decision," + who);
        return;
      }
      if (!wrote) return;
      for (const auto& [branch, gid] : worked->second) {
        if (!Lists(gid)) Wrong("I7: COMMITTED without " + Short(gid) + "," + who);
      }
      return;
    case Outcome::kAborted:
      if (decisions_.contains(gtrid)) Wrong("I8: ABORTED, though decided," + who);
      if (!told_committed_.contains(gtrid) || wrote) told_aborted_.insert(gtrid);
      if (told_committed_.contains(gtrid) && wrote) Wrong("I8: ABORTED after COMMITTED," + who);
      return;
    case Outcome::kExpired:
      if (!Forgotten(gtrid)) Wrong("11: EXPIRED too early," + who);
      return;
    case Outcome::kUnknown:
      return;
  }
}

void SystemChecker::OnPendingTold(uint64_t node, const Gtrid& gtrid, const std::set<Gid>& pending) {
  auto it = decisions_.find(gtrid);
  if (it == decisions_.end()) return;
  for (const coordinator::DecidedBranch& branch : it->second.branches) {
    const Gid gid{gtrid, branch.bqual};
    if (pending.contains(gid)) continue;
    auto ended = ended_.find(gid);
    if (ended != ended_.end() && ended->second) continue;
    Wrong("4.4: told by node " + std::to_string(node) + " as committed: " + Short(gid));
  }
}

void SystemChecker::OnNeverIssued(uint64_t node, const Gtrid& gtrid) {
  if (begun_.contains(gtrid)) {
    Wrong("node " + std::to_string(node) + " says that it was never begun: " + Short(gtrid));
  }
}

void SystemChecker::OnKeyCommitted(const std::string& key, const Gtrid& gtrid) {
  auto known = keys_.find(key);
  if (known == keys_.end() || known->second.first != gtrid) {
    Wrong("key " + key + " did not commit as " + Short(gtrid));
  }
}

// ---- Databases ----------------------------------------------------------------------------------

void SystemChecker::OnPrepared(const Gid& gid) {
  if (!prepared_.insert(gid).second) Wrong("16.3: prepared twice under one gid: " + Short(gid));
}

void SystemChecker::OnEnded(const Gid& gid, bool committed) {
  ended_[gid] = committed;
  if (committed && !Lists(gid)) Wrong("AC1: committed and not decided: " + Short(gid));
  if (!committed && Lists(gid)) Wrong("AC1: rolled back, though decided: " + Short(gid));
}

}  // namespace assent::simulation
