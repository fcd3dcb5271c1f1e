#include "client/internal/results.h"

#include <utility>

#include "client/internal/convert.h"

namespace assent::client::internal {
namespace {

std::string Describe(BranchCause cause, const std::string& code, const std::string& message) {
  return std::string(BranchCauseName(cause)) + (code.empty() ? "" : " " + code) + ": " + message;
}

}  // namespace

WorkFailure ToFailure(const v1::StatementError& error, const std::string& doing) {
  const BranchCause cause = FromProto(error.cause());
  Status status =
      FailedPrecondition(doing + ": " + Describe(cause, error.database_code(), error.message()));
  WorkFailure failure = error.branch_doomed() ? Doomed(AbortCause::kBranchVotedNo, status)
                                              : Harmless(std::move(status));
  failure.as = AbortCause::kBranchVotedNo;  // Should the caller doom it on its own account.
  failure.error.cause = cause;
  failure.error.database_code = error.database_code();
  return failure;
}

std::variant<std::vector<ResultSet>, WorkFailure> ReadResults(
    const google::protobuf::RepeatedPtrField<v1::StatementResult>& results, size_t expected,
    const std::string& doing) {
  std::vector<ResultSet> sets;
  for (const v1::StatementResult& result : results) {
    if (result.has_error()) {
      WorkFailure failure = ToFailure(result.error(), doing);
      failure.error.statement = sets.size();
      return failure;
    }
    sets.push_back(FromProto(result));
  }
  if (sets.size() == expected) return sets;
  return Doomed(
      AbortCause::kBranchLost,
      Internal(doing + ": the agent answered " + std::to_string(sets.size()) + " results for " +
               std::to_string(expected) + " statements; please report this"));
}

std::optional<WorkFailure> ReadRefusal(const v1::BranchVerdict& verdict, const std::string& doing) {
  if (!verdict.has_refusal()) return std::nullopt;
  const v1::BranchRefusal& refusal = verdict.refusal();
  const BranchCause cause = FromProto(refusal.cause());
  WorkFailure failure =
      Doomed(AbortCause::kBranchVotedNo,
             Aborted(doing + ": the branch votes no: " +
                     Describe(cause, refusal.database_code(), refusal.message())));
  failure.error.cause = cause;
  failure.error.database_code = refusal.database_code();
  return failure;
}

}  // namespace assent::client::internal
