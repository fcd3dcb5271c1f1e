#include "coordinator/core/decision_table.h"

#include <algorithm>
#include <utility>

#include "base/mutant.h"

namespace assent::coordinator {

ApplyAnswer DecisionTable::Apply(Term term, const Record& record) {
  return std::visit([&](const auto& r) { return On(term, r); }, record);
}

ApplyAnswer DecisionTable::On(Term, const GroupStart& record) {
  if (state_.group) {
    GroupStart drawn = *state_.group;
    drawn.incarnation = record.incarnation;
    if (state_.group->incarnation != 0 || drawn != record) return ApplyAnswer::kForeign;
  }
  state_.group = record;
  return ApplyAnswer::kAccepted;
}

const std::optional<GroupStart>& DecisionTable::group() const {
  static const std::optional<GroupStart> kNone;
  return state_.group && state_.group->incarnation != 0 ? state_.group : kNone;
}

ApplyAnswer DecisionTable::On(Term term, const Decision& record) {
  const Gtrid& gtrid = record.gtrid;
  if (!IsOurs(gtrid)) return ApplyAnswer::kForeign;
  // Only the term that issued a gtrid may decide it: a leader of a later term has already answered
  // "no record, so aborted". An entry proposed in term 5 may well commit under term 7.
  if (gtrid.epoch != term && !MutantOn(Mutant::kLiveKeptAcrossTerms)) {
    return ApplyAnswer::kWrongTerm;
  }
  const Position position = PositionOf(gtrid);
  if (state_.unfinished.contains(gtrid) || state_.ended.Has(position)) {
    return ApplyAnswer::kAlreadyDecided;
  }
  if (state_.ended.Forgot(position)) return ApplyAnswer::kForgotten;
  if (!record.client_key.empty()) {
    if (state_.keys.contains(record.client_key) && !MutantOn(Mutant::kKeyTwice)) {
      return ApplyAnswer::kKeyConflict;
    }
    state_.keys.emplace(record.client_key, Key{.gtrid = gtrid, .tick = state_.ticks});
    keys_by_age_.emplace_back(state_.ticks, record.client_key);
  }
  state_.unfinished.emplace(gtrid, Unfinished{.decision = record});
  state_.ended.NoteDecided(position);
  return ApplyAnswer::kAccepted;
}

ApplyAnswer DecisionTable::On(Term, const End& record) {
  ApplyAnswer answer = ApplyAnswer::kNotFound;
  for (const Gtrid& gtrid : record.gtrids) {
    auto it = state_.unfinished.find(gtrid);
    // A heuristic outcome stays on record until an operator forgets it, whatever END says.
    if (it == state_.unfinished.end() || !it->second.heuristics.empty()) continue;
    Finish(it);
    answer = ApplyAnswer::kAccepted;
  }
  return answer;
}

ApplyAnswer DecisionTable::On(Term, const Heuristic& record) {
  const Gtrid& gtrid = record.gid.gtrid;
  if (!IsOfOurGroup(gtrid)) return ApplyAnswer::kForeign;
  auto it = state_.unfinished.find(gtrid);
  const bool listed = it != state_.unfinished.end() && ListsCommit(record.gid);
  // No outcome against a decision is silent, whether that decision stands in a record or is
  // presumed, or is too old to be told.
  auto& known = listed ? it->second.heuristics : state_.strays[gtrid];
  if (std::any_of(known.begin(), known.end(),
                  [&](const Heuristic& h) { return h.gid == record.gid; })) {
    return ApplyAnswer::kAlreadyDecided;
  }
  known.push_back(record);
  return ApplyAnswer::kAccepted;
}

ApplyAnswer DecisionTable::On(Term, const ForgetHeuristic& record) {
  const bool strayed = state_.strays.erase(record.gtrid) > 0;
  auto it = state_.unfinished.find(record.gtrid);
  if (it == state_.unfinished.end() || it->second.heuristics.empty()) {
    return strayed ? ApplyAnswer::kAccepted : ApplyAnswer::kNotFound;
  }
  Finish(it);
  return ApplyAnswer::kAccepted;
}

ApplyAnswer DecisionTable::On(Term, const Tick&) {
  ++state_.ticks;
  state_.ended.Tick(state_.ticks, limits_.outcome_retention_ticks);
  for (auto& [incarnation, ended] : state_.older) {
    ended.Tick(state_.ticks, limits_.outcome_retention_ticks);
  }
  std::erase_if(state_.older, [](const auto& one) { return one.second.Spent(); });
  while (!keys_by_age_.empty() &&
         keys_by_age_.front().first + limits_.key_retention_ticks < state_.ticks) {
    state_.keys.erase(keys_by_age_.front().second);
    keys_by_age_.pop_front();
  }
  return ApplyAnswer::kAccepted;
}

DecisionTable::Word DecisionTable::Look(const Gtrid& gtrid) const {
  if (state_.unfinished.contains(gtrid)) return Word::kUnfinished;
  if (!IsOfOurGroup(gtrid)) return Word::kNoRecord;
  const Position position = PositionOf(gtrid);
  const EndedTransactions* ended = EndedOf(gtrid);
  if (ended != nullptr && ended->Has(position)) return Word::kEnded;
  return IsOurs(gtrid) && !ended->Forgot(position) ? Word::kNoRecord : Word::kForgotten;
}

const DecisionTable::Unfinished* DecisionTable::Find(const Gtrid& gtrid) const {
  auto it = state_.unfinished.find(gtrid);
  return it == state_.unfinished.end() ? nullptr : &it->second;
}

bool DecisionTable::ListsCommit(const Gid& gid) const {
  if (const Unfinished* entry = Find(gid.gtrid)) {
    return std::any_of(entry->decision.branches.begin(), entry->decision.branches.end(),
                       [&](const DecidedBranch& b) {
                         if (MutantOn(Mutant::kAnyAttemptCommits)) {
                           return b.bqual.branch == gid.bqual.branch;
                         }
                         return b.bqual == gid.bqual;
                       });
  }
  const EndedTransactions* ended = EndedOf(gid.gtrid);
  return ended != nullptr && ended->Has(PositionOf(gid.gtrid)) &&
         gid.bqual.attempt == ended->WinnerOf(PositionOf(gid.gtrid), gid.bqual.branch);
}

std::string DecisionTable::EvidenceOf(const Gid& gid) const {
  if (const Unfinished* entry = Find(gid.gtrid)) {
    for (const DecidedBranch& branch : entry->decision.branches) {
      if (branch.bqual == gid.bqual) return branch.evidence;
    }
  }
  return {};
}

const std::vector<Heuristic>* DecisionTable::FindStrays(const Gtrid& gtrid) const {
  auto it = state_.strays.find(gtrid);
  return it == state_.strays.end() ? nullptr : &it->second;
}

const DecisionTable::Key* DecisionTable::FindKey(const std::string& client_key) const {
  auto it = state_.keys.find(client_key);
  return it == state_.keys.end() ? nullptr : &it->second;
}

void DecisionTable::Restore(State state) {
  state_ = std::move(state);
  if (MutantOn(Mutant::kSnapshotForgetsEnded)) state_.ended.bits.clear();
  keys_by_age_.clear();
  for (const auto& [name, key] : state_.keys) keys_by_age_.emplace_back(key.tick, name);
  std::sort(keys_by_age_.begin(), keys_by_age_.end());
}

bool DecisionTable::IsOfOurGroup(const Gtrid& gtrid) const {
  return state_.group && gtrid.cluster == state_.group->cluster &&
         gtrid.group == state_.group->group;
}

bool DecisionTable::IsOurs(const Gtrid& gtrid) const {
  return IsOfOurGroup(gtrid) && gtrid.incarnation == state_.group->incarnation;
}

const EndedTransactions* DecisionTable::EndedOf(const Gtrid& gtrid) const {
  if (!IsOfOurGroup(gtrid)) return nullptr;
  if (IsOurs(gtrid)) return &state_.ended;
  auto it = state_.older.find(gtrid.incarnation);
  return it == state_.older.end() ? nullptr : &it->second;
}

void DecisionTable::Finish(std::map<Gtrid, Unfinished>::iterator it) {
  const Decision& decision = it->second.decision;
  if (IsOurs(decision.gtrid)) {
    state_.ended.Add(decision);
  } else if (auto older = state_.older.find(decision.gtrid.incarnation);
             older != state_.older.end()) {
    older->second.Add(decision);
  }
  state_.unfinished.erase(it);
}

}  // namespace assent::coordinator
