// Reads what an agent answered to statements and to the wish to prepare.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "assent/v1/branch_service.pb.h"
#include "client/internal/work_failure.h"
#include "client/value.h"

namespace assent::client::internal {

// `doing` begins the message, here and below.
WorkFailure ToFailure(const v1::StatementError& error, const std::string& doing);

// The results of statements, or the first that failed.
std::variant<std::vector<ResultSet>, WorkFailure> ReadResults(
    const google::protobuf::RepeatedPtrField<v1::StatementResult>& results, size_t expected,
    const std::string& doing);

// The vote, if there is any; it dooms the transaction if it is a no.
std::optional<WorkFailure> ReadRefusal(const v1::BranchVerdict& verdict, const std::string& doing);

}  // namespace assent::client::internal
