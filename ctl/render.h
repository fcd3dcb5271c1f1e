// Answers as text for people and as JSON for programs. The text is aligned and plain: no colours,
// nothing that depends on a terminal. The JSON's keys are documented in docs/assentctl.md and do
// not change; new ones may be added.
#pragma once

#include <string>
#include <string_view>

#include "assent/v1/admin_service.pb.h"
#include "assent/v1/transaction_service.pb.h"

namespace assent::ctl {

// Names without their prefix: "COMMITTED" for STATE_COMMITTED. A number for what this version does
// not know.
std::string Name(v1::State state);
std::string Name(v1::Outcome outcome);
std::string Name(v1::BranchState state);
std::string Name(v1::AbortCause cause);
std::string Name(v1::BranchCause cause);

// It waits to lead, keeps nothing, and so has no place where others reach it: how far it is, nobody
// but itself knows.
inline bool IsStandby(const v1::Member& member) {
  return !member.leader() && member.peer_address().empty();
}

std::string StatusText(const v1::GetStatusReply& status, const std::string& endpoint);
std::string ListText(const v1::ListReply& list);
std::string TransactionText(const v1::Transaction& transaction);

std::string MembersText(const v1::ListMembersReply& members);

std::string MembersJson(const v1::ListMembersReply& members);
std::string StatusJson(const v1::GetStatusReply& status);
std::string ListJson(const v1::ListReply& list);
std::string TransactionJson(const v1::Transaction& transaction);
std::string ForgetJson(std::string_view gtrid);

}  // namespace assent::ctl
