// Between the messages of the doors and the plain values of the driver.
#pragma once

#include <grpcpp/support/status.h>

#include <string>
#include <vector>

#include "assent/v1/admin_service.pb.h"
#include "assent/v1/agent_link.pb.h"
#include "assent/v1/transaction_service.pb.h"
#include "base/rpc/status.h"
#include "coordinator/server/messages.h"

namespace assent::coordinator {

// In one call of a client; more are refused with INVALID_ARGUMENT.
inline constexpr int kTicketsMax = 256;
inline constexpr int kFinishedMax = 1000;
// Evidence goes into the log's record of the decision.
inline constexpr size_t kEvidenceBytesMax = 1024;

grpc::Status ToGrpc(const Refusal& refusal);

void Fill(const BeginAnswer& from, v1::BeginReply* to);
void Fill(const CommitAnswer& from, v1::CommitReply* to);
void Fill(const ReportAnswer& from, v1::ReportFinishedReply* to);
void Fill(const RollbackAnswer& from, v1::RollbackReply* to);
void Fill(const TransactionView& from, v1::GetReply* to);
void Fill(const ListAnswer& from, v1::ListReply* to);
void Fill(const StatusAnswer& from, v1::GetStatusReply* to);  // Without what only the node knows.
void Fill(const ForgetAnswer& from, v1::ForgetReply* to);
void Fill(const txlog::GroupProgress& from, v1::ListMembersReply* to);  // As for GetStatus.
void Fill(const MembershipAnswer& from, v1::AddMemberReply* to);
void Fill(const MembershipAnswer& from, v1::PromoteMemberReply* to);
void Fill(const MembershipAnswer& from, v1::RemoveMemberReply* to);
void Fill(const MembershipAnswer& from, v1::TransferLeadershipReply* to);

// INVALID_ARGUMENT names the field.
Result<AppHeldNews> FromProto(const v1::AppHeld& app_held);
Result<std::vector<BranchAsked>> FromProto(
    const google::protobuf::RepeatedPtrField<v1::BranchRequest>& branches);
Result<std::vector<Ticket>> FromProto(
    const google::protobuf::RepeatedPtrField<v1::Ticket>& tickets);
// The gids of a field `finished` or `gids`.
Result<std::vector<Gid>> FromProto(const std::string& field,
                                   const google::protobuf::RepeatedPtrField<std::string>& gids);

AgentHello FromProto(const v1::Hello& hello, std::string peer);
// `node_id`: of the node that welcomes.
v1::CoordinatorMessage ToProto(const AgentWelcome& welcome, uint64_t node_id);

// What can be read; what can't is named in `problems`. A register with a malformed gtrid is
// answered in `refused`, since it may be a service's own mistake.
struct ReadInput {
  AgentInput input;
  AgentOutput refused;
  std::vector<std::string> problems;
};
ReadInput FromProto(const v1::AgentMessage& message);

// All batches, in order, in as few messages as gRPC's size limits allow.
std::vector<v1::CoordinatorMessage> ToProto(const std::vector<AgentOutput>& batches);

}  // namespace assent::coordinator
