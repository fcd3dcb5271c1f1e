#include "coordinator/core/decision_table.h"

#include <algorithm>
#include <utility>

#include "base/mutant.h"

namespace assent::coordinator {
namespace {

constexpr uint64_t kWordBits = 64;

Position PositionOf(const Gtrid& gtrid) { return {gtrid.epoch, gtrid.seq}; }

}  // namespace

ApplyAnswer DecisionTable::Apply(Term term, const Record& record) {
  return std::visit([&](const auto& r) { return On(term, r); }, record);
}

ApplyAnswer DecisionTable::On(Term, const GroupStart& record) {
  if (state_.group) return ApplyAnswer::kForeign;
  state_.group = record;
  return ApplyAnswer::kAccepted;
}

ApplyAnswer DecisionTable::On(Term term, const Decision& record) {
  const Gtrid& gtrid = record.gtrid;
  if (!IsOurs(gtrid)) return ApplyAnswer::kForeign;
  // Only the term that issued a gtrid may decide it: a leader of a later term has already answered
  // "no record, so aborted". An entry proposed in term 5 may well commit under term 7.
  if (gtrid.epoch != term && !MutantOn(Mutant::kLiveKeptAcrossTerms)) {
    return ApplyAnswer::kWrongTerm;
  }
  if (state_.unfinished.contains(gtrid) || HasEndedBit(gtrid)) return ApplyAnswer::kAlreadyDecided;
  if (AtOrBelowWatermark(gtrid)) return ApplyAnswer::kForgotten;
  if (!record.client_key.empty()) {
    if (state_.keys.contains(record.client_key) && !MutantOn(Mutant::kKeyTwice)) {
      return ApplyAnswer::kKeyConflict;
    }
    state_.keys.emplace(record.client_key, Key{.gtrid = gtrid, .tick = state_.ticks});
    keys_by_age_.emplace_back(state_.ticks, record.client_key);
  }
  state_.unfinished.emplace(gtrid, Unfinished{.decision = record});
  if (!state_.newest || *state_.newest < PositionOf(gtrid)) state_.newest = PositionOf(gtrid);
  return ApplyAnswer::kAccepted;
}

ApplyAnswer DecisionTable::On(Term, const End& record) {
  ApplyAnswer answer = ApplyAnswer::kNotFound;
  for (const Gtrid& gtrid : record.gtrids) {
    auto it = state_.unfinished.find(gtrid);
    // A heuristic outcome stays on record until an operator forgets it, whatever END says.
    if (it == state_.unfinished.end() || !it->second.heuristics.empty()) continue;
    Shrink(it->second);
    state_.unfinished.erase(it);
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
  Shrink(it->second);
  state_.unfinished.erase(it);
  return ApplyAnswer::kAccepted;
}

ApplyAnswer DecisionTable::On(Term, const Tick&) {
  ++state_.ticks;
  if (state_.newest && (state_.marks.empty() || state_.marks.rbegin()->second != *state_.newest)) {
    state_.marks.emplace(state_.ticks, *state_.newest);
  }
  if (state_.ticks > limits_.outcome_retention_ticks) {
    auto end = state_.marks.upper_bound(state_.ticks - limits_.outcome_retention_ticks);
    if (end != state_.marks.begin()) ForgetUpTo(std::prev(end)->second);
    state_.marks.erase(state_.marks.begin(), end);
  }
  while (!keys_by_age_.empty() &&
         keys_by_age_.front().first + limits_.key_retention_ticks < state_.ticks) {
    state_.keys.erase(keys_by_age_.front().second);
    keys_by_age_.pop_front();
  }
  return ApplyAnswer::kAccepted;
}

DecisionTable::Word DecisionTable::Look(const Gtrid& gtrid) const {
  if (state_.unfinished.contains(gtrid)) return Word::kUnfinished;
  if (!IsOurs(gtrid)) return Word::kNoRecord;
  if (HasEndedBit(gtrid)) return Word::kEnded;
  if (AtOrBelowWatermark(gtrid)) return Word::kForgotten;
  return Word::kNoRecord;
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
  if (!IsOurs(gid.gtrid) || !HasEndedBit(gid.gtrid)) return false;
  // Only the attempts that were not the first are kept. A branch that voted read-only at its first
  // was never prepared, so nobody asks for it.
  uint32_t winner = 1;
  if (auto it = state_.attempts.find(PositionOf(gid.gtrid)); it != state_.attempts.end()) {
    auto branch = it->second.find(gid.bqual.branch);
    if (branch != it->second.end()) winner = branch->second;
  }
  return gid.bqual.attempt == winner;
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

bool DecisionTable::AtOrBelowWatermark(const Gtrid& gtrid) const {
  return state_.watermark && PositionOf(gtrid) <= *state_.watermark;
}

bool DecisionTable::HasEndedBit(const Gtrid& gtrid) const {
  if (AtOrBelowWatermark(gtrid)) return false;
  auto epoch = state_.ended.find(gtrid.epoch);
  if (epoch == state_.ended.end()) return false;
  auto word = epoch->second.find(gtrid.seq / kWordBits);
  return word != epoch->second.end() && (word->second >> gtrid.seq % kWordBits & 1) != 0;
}

void DecisionTable::Shrink(const Unfinished& entry) {
  const Gtrid& gtrid = entry.decision.gtrid;
  // What the watermark has passed is forgotten the moment it ends: it was kept one by one.
  if (!IsOurs(gtrid) || AtOrBelowWatermark(gtrid)) return;
  state_.ended[gtrid.epoch][gtrid.seq / kWordBits] |= uint64_t{1} << gtrid.seq % kWordBits;
  for (const DecidedBranch& branch : entry.decision.branches) {
    if (branch.bqual.attempt != 1) {
      state_.attempts[PositionOf(gtrid)][branch.bqual.branch] = branch.bqual.attempt;
    }
  }
  if (MutantOn(Mutant::kVoidedReaderWins)) return;
  for (uint32_t branch : entry.decision.voided_readers) {
    state_.attempts[PositionOf(gtrid)][branch] = 0;
  }
}

void DecisionTable::ForgetUpTo(Position watermark) {
  if (state_.watermark && watermark <= *state_.watermark) return;
  state_.watermark = watermark;
  state_.ended.erase(state_.ended.begin(), state_.ended.lower_bound(watermark.epoch));
  if (auto epoch = state_.ended.find(watermark.epoch); epoch != state_.ended.end()) {
    // Whole words only; HasEndedBit looks at the watermark first.
    epoch->second.erase(epoch->second.begin(),
                        epoch->second.lower_bound((watermark.seq + 1) / kWordBits));
    if (epoch->second.empty()) state_.ended.erase(epoch);
  }
  state_.attempts.erase(state_.attempts.begin(), state_.attempts.upper_bound(watermark));
}

}  // namespace assent::coordinator
