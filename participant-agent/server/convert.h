// Between the values of the doors (assent.v1), of the adapters, and of the core. Pure.
#pragma once

#include <string>

#include "adapters/resource_manager.h"
#include "assent/v1/agent_link.pb.h"
#include "assent/v1/branch_service.pb.h"
#include "participant-agent/core/branch.h"
#include "participant-agent/journal/journal.h"

namespace assent::agent {

adapters::Value FromProto(const v1::Value& value);
void ToProto(const adapters::Value& value, v1::Value* out);
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

JournalWord FromJournal(Journal::Word word);

}  // namespace assent::agent
