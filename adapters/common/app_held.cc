#include "adapters/common/app_held.h"

#include <string_view>
#include <utility>

#include "base/mutant.h"

namespace assent::adapters {
namespace {

constexpr std::string_view kHolds = " app=holds";
constexpr std::string_view kFinishes = " app=finishes";

}  // namespace

Evidence WithHolder(Evidence evidence, Holder holder) {
  switch (holder) {
    case Holder::kAgent:
      break;
    case Holder::kApp:
      evidence += kHolds;
      break;
    case Holder::kAppFinishes:
      evidence += kFinishes;
      break;
  }
  return evidence;
}

Holder TakeHolder(Evidence* evidence) {
  auto take = [evidence](std::string_view mark) {
    if (!evidence->ends_with(mark)) return false;
    evidence->resize(evidence->size() - mark.size());
    return true;
  };
  if (take(kHolds)) return Holder::kApp;
  if (take(kFinishes)) return Holder::kAppFinishes;
  return Holder::kAgent;
}

Holder HolderOf(const AppHeldBranch& branch) {
  return branch.finished_by_app ? Holder::kAppFinishes : Holder::kApp;
}

PrepareAnswer VoteNo(Cause cause, std::string detail) {
  return {.vote = Vote::kNo, .error = {.cause = cause, .detail = std::move(detail)}};
}

PrepareAnswer NotPrepared(const Gid& gid, const std::vector<Gid>& others) {
  if (MutantOn(Mutant::kUnlistedVotesYes)) return {.vote = Vote::kYes};
  std::string detail = "the server does not list " + ToString(gid) + " as prepared";
  if (others.empty()) {
    detail +=
        ": its PREPARE was not sent, or failed, or was answered with ROLLBACK because an earlier "
        "statement had failed; or another gid was used, or it was ended since";
  } else {
    detail += ", but of the same transaction:";
    for (const Gid& other : others) detail += " " + ToString(other);
    detail += "; send PREPARE with the gid that was handed out last";
  }
  return VoteNo(Cause::kNotPrepared, std::move(detail));
}

}  // namespace assent::adapters
