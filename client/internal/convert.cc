#include "client/internal/convert.h"

#include <utility>
#include <variant>

namespace assent::client::internal {

static_assert(static_cast<int>(AbortCause::kKeyConflict) == v1::ABORT_CAUSE_KEY_CONFLICT);
static_assert(v1::AbortCause_MAX == v1::ABORT_CAUSE_KEY_CONFLICT);
static_assert(static_cast<int>(BranchCause::kWrongDatabase) == v1::BRANCH_CAUSE_WRONG_DATABASE);
static_assert(v1::BranchCause_MAX == v1::BRANCH_CAUSE_WRONG_DATABASE);

void ToProto(const Value& value, v1::Value* out) {
  struct Write {
    v1::Value* out;
    void operator()(std::monostate) const { out->Clear(); }
    void operator()(bool boolean) const { out->set_boolean(boolean); }
    void operator()(int64_t integer) const { out->set_integer(integer); }
    void operator()(double real) const { out->set_real(real); }
    void operator()(const std::string& text) const { out->set_text(text); }
    void operator()(const Bytes& bytes) const { out->set_blob(bytes.value); }
  };
  std::visit(Write{out}, value.kind());
}

void ToProto(const Statement& statement, v1::Statement* out) {
  out->set_sql(statement.sql);
  for (const Value& parameter : statement.parameters) ToProto(parameter, out->add_parameters());
  out->set_keep_on_error(statement.keep_on_error);
}

v1::IsolationLevel ToProto(Isolation isolation) {
  switch (isolation) {
    case Isolation::kDefault:
      return v1::ISOLATION_LEVEL_UNSPECIFIED;
    case Isolation::kReadCommitted:
      return v1::ISOLATION_LEVEL_READ_COMMITTED;
    case Isolation::kRepeatableRead:
      return v1::ISOLATION_LEVEL_REPEATABLE_READ;
    case Isolation::kSerializable:
      return v1::ISOLATION_LEVEL_SERIALIZABLE;
  }
  return v1::ISOLATION_LEVEL_UNSPECIFIED;
}

Value FromProto(const v1::Value& value) {
  switch (value.kind_case()) {
    case v1::Value::kBoolean:
      return value.boolean();
    case v1::Value::kInteger:
      return value.integer();
    case v1::Value::kReal:
      return value.real();
    case v1::Value::kText:
      return value.text();
    case v1::Value::kBlob:
      return Bytes{value.blob()};
    case v1::Value::KIND_NOT_SET:
      return {};
  }
  return {};
}

Row FromProto(const v1::Row& row) {
  Row values;
  values.reserve(static_cast<size_t>(row.values_size()));
  for (const v1::Value& value : row.values()) values.push_back(FromProto(value));
  return values;
}

ResultSet FromProto(const v1::StatementResult& result) {
  ResultSet set;
  for (const v1::Column& column : result.columns()) {
    set.columns.push_back({column.name(), column.type()});
  }
  set.rows.reserve(static_cast<size_t>(result.rows_size()));
  for (const v1::Row& row : result.rows()) set.rows.push_back(FromProto(row));
  set.rows_affected = result.rows_affected();
  return set;
}

Outcome FromProto(v1::Outcome outcome) {
  if (outcome == v1::OUTCOME_COMMITTED) return Outcome::kCommitted;
  if (outcome == v1::OUTCOME_ABORTED) return Outcome::kAborted;
  if (outcome == v1::OUTCOME_EXPIRED) return Outcome::kExpired;
  return Outcome::kUnknown;
}

AbortCause FromProto(v1::AbortCause cause) {
  return v1::AbortCause_IsValid(cause) ? static_cast<AbortCause>(cause) : AbortCause::kUnspecified;
}

BranchCause FromProto(v1::BranchCause cause) {
  return v1::BranchCause_IsValid(cause) ? static_cast<BranchCause>(cause)
                                        : BranchCause::kUnspecified;
}

Abort FromProto(const v1::Abort& abort) {
  return {FromProto(abort.cause()), abort.resource(), FromProto(abort.branch_cause()),
          abort.database_code(), abort.message()};
}

CommitResult FromProto(const v1::CommitReply& reply) {
  CommitResult result;
  result.outcome = FromProto(reply.outcome());
  result.applied = reply.applied();
  for (const v1::PendingBranch& branch : reply.pending()) {
    result.pending.push_back({branch.gid(), branch.resource(), branch.reason(), branch.yours()});
  }
  if (result.aborted()) result.abort = FromProto(reply.abort());
  result.heuristic = reply.heuristic();
  return result;
}

CommitResult FromProto(const v1::RollbackReply& reply) {
  CommitResult result;
  result.outcome = FromProto(reply.outcome());
  if (result.aborted()) result.abort = FromProto(reply.abort());
  return result;
}

CommitResult FromProto(const v1::Transaction& transaction) {
  CommitResult result;
  result.outcome = FromProto(transaction.outcome());
  result.applied = result.committed() && transaction.state() == v1::STATE_ENDED;
  result.heuristic = transaction.state() == v1::STATE_HEURISTIC;
  for (const v1::Branch& branch : transaction.branches()) {
    if (result.committed() && branch.state() == v1::BRANCH_STATE_COMMITTING) {
      result.pending.push_back({branch.gid(), branch.resource(), branch.detail()});
    }
  }
  if (result.aborted()) result.abort = FromProto(transaction.abort());
  return result;
}

}  // namespace assent::client::internal
