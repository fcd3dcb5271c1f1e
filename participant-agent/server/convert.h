// Between the values of the doors (assent.v1), of the adapters, and of the core. Pure.
#pragma once

#include <grpcpp/support/status.h>

#include <string>
#include <string_view>

#include "adapters/resource_manager.h"
#include "assent/v1/agent_link.pb.h"
#include "assent/v1/branch_service.pb.h"
#include "participant-agent/core/branch.h"
#include "participant-agent/journal/journal.h"
#include "participant-agent/server/events.h"

namespace assent::agent {

adapters::Value FromProto(const v1::Value& value);
void ToProto(const adapters::Value& value, v1::Value* out);
void ToProto(adapters::Column column, v1::Column* out);
void ToProto(adapters::ResultSet result, v1::StatementResult* out);
adapters::Isolation FromProto(v1::IsolationLevel level);

Cause FromAdapter(adapters::Cause cause);
Refusal FromAdapter(const adapters::WorkError& error);
FinishClass FromAdapter(adapters::Finish finish);
Vote FromAdapter(adapters::Vote vote);

adapters::Decision ToAdapter(Decision decision);
adapters::JournalWord ToAdapter(JournalWord word);

v1::BranchCause ToProto(Cause cause);
v1::BranchVote::Vote ToProto(Vote vote);
v1::BranchState ToProto(Report report);

// A database's words as a message can carry them: valid UTF-8 (other bytes become '?') and not too
// long. A string that is neither ends the link, and with it everybody's votes.
std::string Words(std::string_view text);

JournalWord FromJournal(Journal::Word word);

grpc::Status ToGrpc(const CallError& error);

}  // namespace assent::agent
