#include "adapters/postgres/classify.h"

#include <initializer_list>

namespace assent::adapters::postgres {
namespace {

bool HasAny(std::string_view text, std::initializer_list<std::string_view> parts) {
  for (std::string_view part : parts) {
    if (text.find(part) != std::string_view::npos) return true;
  }
  return false;
}

}  // namespace

bool EndsSession(std::string_view code) {
  return code.starts_with("08") || code == "57P01" /* terminated */ ||
         code == "57P02" /* crash */ || code == "57P03" /* not accepting connections */ ||
         code == "57P04" /* database dropped */ || code == "57P05" /* idle too long */ ||
         code == "25P03" /* idle in transaction too long */;
}

Cause CauseOfStatement(std::string_view code) {
  if (code == "40P01") return Cause::kDeadlock;
  if (code == "40001") return Cause::kSerialization;
  if (code == "55P03") return Cause::kLockTimeout;
  if (code == "25P02") return Cause::kTransactionFailed;
  if (code == "25006") return Cause::kReadOnlyViolation;
  if (code == "42501") return Cause::kPermission;
  if (EndsSession(code)) return Cause::kConnectionLost;
  return Cause::kStatementFailed;
}

Cause CauseOfPrepare(std::string_view code) {
  if (code == "0A000") return Cause::kNotPreparable;
  if (code == "55000") return Cause::kConfiguration;  // max_prepared_transactions = 0.
  if (code == "53200") return Cause::kPreparedLimit;
  if (code == "42710") return Cause::kDuplicateGid;
  return CauseOfStatement(code);
}

Cause CauseOfConnect(std::string_view message) {
  if (HasAny(message, {"certificate", "does not support SSL", "SSL error", "SSL is required"})) {
    return Cause::kConfiguration;
  }
  if (HasAny(message, {"authentication failed", "no pg_hba.conf entry", "permission denied for",
                       "no password supplied", "is not permitted to log in"}) ||
      (HasAny(message, {"role \""}) && HasAny(message, {"does not exist"}))) {
    return Cause::kPermission;
  }
  if (HasAny(message, {"database \""}) && HasAny(message, {"does not exist"})) {
    return Cause::kConfiguration;
  }
  return Cause::kUnavailable;
}

FinishReply ReplyOfFinish(std::string_view code) {
  if (code == "42704") return FinishReply::kAbsent;
  if (code == "25006") return FinishReply::kReadOnlyServer;
  if (code == "42501" || code == "0A000") return FinishReply::kRefused;
  if (code == "25001" || code == "25P02") return FinishReply::kUncleanSession;
  return FinishReply::kAskAgain;  // 55000 busy, 57014 timed out, class 53, and the unforeseen.
}

}  // namespace assent::adapters::postgres
