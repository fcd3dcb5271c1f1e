// The core's records and the table's state to and from their messages. What is wrong with a message
// is said in words; record_codec.h makes the error of it.
#pragma once

#include "assent/v1/log_records.pb.h"
#include "base/status.h"
#include "coordinator/core/decision_table.h"

namespace assent::coordinator {

v1::LogRecord ToProto(const GroupStart& record);
v1::LogRecord ToProto(const Decision& record);
v1::LogRecord ToProto(const End& record);
v1::LogRecord ToProto(const Heuristic& record);
v1::LogRecord ToProto(const ForgetHeuristic& record);
v1::LogRecord ToProto(const Tick& record);
v1::TableSnapshot ToProto(const DecisionTable::State& state);

// DATA_LOSS for each.
Result<Record> FromProto(const v1::LogRecord& proto);
Result<DecisionTable::State> FromProto(const v1::TableSnapshot& proto);

}  // namespace assent::coordinator
