// Between the public types and the messages of proto/assent/v1.
#pragma once

#include "assent/v1/branch_service.pb.h"
#include "assent/v1/common.pb.h"
#include "assent/v1/transaction_service.pb.h"
#include "client/options.h"
#include "client/outcome.h"
#include "client/value.h"

namespace assent::client::internal {

void ToProto(const Value& value, v1::Value* out);
void ToProto(const Statement& statement, v1::Statement* out);
v1::IsolationLevel ToProto(Isolation isolation);

Value FromProto(const v1::Value& value);
Row FromProto(const v1::Row& row);
ResultSet FromProto(const v1::StatementResult& result);

// A number that this version does not know becomes kUnknown or kUnspecified: a newer server must
// not be misread.
Outcome FromProto(v1::Outcome outcome);
AbortCause FromProto(v1::AbortCause cause);
BranchCause FromProto(v1::BranchCause cause);
Abort FromProto(const v1::Abort& abort);

CommitResult FromProto(const v1::CommitReply& reply);
CommitResult FromProto(const v1::RollbackReply& reply);
CommitResult FromProto(const v1::Transaction& transaction);

}  // namespace assent::client::internal
