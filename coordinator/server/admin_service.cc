#include "coordinator/server/admin_service.h"

#include "base/net/address.h"
#include "base/options.h"
#include "coordinator/server/call.h"

namespace assent::coordinator {
namespace {

using txlog::MembershipChange;

constexpr std::chrono::milliseconds kDrain{10'000};
constexpr std::chrono::milliseconds kDrainMax{600'000};

// One change, whatever the kind.
template <typename Proto>
grpc::ServerUnaryReactor* Change(Driver& driver, grpc::ServerUnaryReactor* reactor, Proto* reply,
                                 MembershipChange change) {
  if (change.member.id == 0) {
    return Refuse(reactor, InvalidArgument("id is 0: member ids begin at 1"));
  }
  return Forward(driver, reactor,
                 ChangeCall{std::move(change), Finisher<MembershipAnswer>(reactor, reply)});
}

}  // namespace

grpc::ServerUnaryReactor* AdminService::GetStatus(grpc::CallbackServerContext* context,
                                                  const v1::GetStatusRequest*,
                                                  v1::GetStatusReply* reply) {
  auto* reactor = context->DefaultReactor();
  reply->set_version(std::string(Version()));
  reply->set_node(std::to_string(node_));
  log_status_(reply->mutable_log());
  reply->set_uptime_ms(static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                                 std::chrono::steady_clock::now() - started_)
                                                 .count()));
  return Forward(driver_, reactor, StatusCall{Finisher<StatusAnswer>(reactor, reply)});
}

grpc::ServerUnaryReactor* AdminService::Forget(grpc::CallbackServerContext* context,
                                               const v1::ForgetRequest* request,
                                               v1::ForgetReply* reply) {
  auto* reactor = context->DefaultReactor();
  Result<Gtrid> gtrid = ParseGtrid(request->gtrid());
  if (!gtrid.ok()) return Refuse(reactor, gtrid.status());
  return Forward(driver_, reactor,
                 ForgetCall{std::move(*gtrid), Finisher<ForgetAnswer>(reactor, reply)});
}

grpc::ServerUnaryReactor* AdminService::ListMembers(grpc::CallbackServerContext* context,
                                                    const v1::ListMembersRequest*,
                                                    v1::ListMembersReply* reply) {
  auto* reactor = context->DefaultReactor();
  reply->set_node(node_);
  return Forward(driver_, reactor, MembersCall{Finisher<txlog::GroupProgress>(reactor, reply)});
}

grpc::ServerUnaryReactor* AdminService::AddMember(grpc::CallbackServerContext* context,
                                                  const v1::AddMemberRequest* request,
                                                  v1::AddMemberReply* reply) {
  auto* reactor = context->DefaultReactor();
  for (const auto& [field, address] : {std::pair("peer_address", &request->peer_address()),
                                       std::pair("address", &request->address())}) {
    if (Status s = net::CheckDialAddress(field, *address); !s.ok()) return Refuse(reactor, s);
  }
  return Change(driver_, reactor, reply,
                {.kind = MembershipChange::Kind::kAddLearner,
                 .member = {.id = request->id(),
                            .peer_address = request->peer_address(),
                            .address = request->address(),
                            .voter = false}});
}

grpc::ServerUnaryReactor* AdminService::PromoteMember(grpc::CallbackServerContext* context,
                                                      const v1::PromoteMemberRequest* request,
                                                      v1::PromoteMemberReply* reply) {
  return Change(driver_, context->DefaultReactor(), reply,
                {.kind = MembershipChange::Kind::kPromote, .member = {.id = request->id()}});
}

grpc::ServerUnaryReactor* AdminService::RemoveMember(grpc::CallbackServerContext* context,
                                                     const v1::RemoveMemberRequest* request,
                                                     v1::RemoveMemberReply* reply) {
  return Change(driver_, context->DefaultReactor(), reply,
                {.kind = MembershipChange::Kind::kRemove, .member = {.id = request->id()}});
}

grpc::ServerUnaryReactor* AdminService::TransferLeadership(
    grpc::CallbackServerContext* context, const v1::TransferLeadershipRequest* request,
    v1::TransferLeadershipReply* reply) {
  auto* reactor = context->DefaultReactor();
  if (request->drain_ms() > static_cast<uint64_t>(kDrainMax.count())) {
    return Refuse(reactor, InvalidArgument("drain_ms " + std::to_string(request->drain_ms()) +
                                           " is more than " + std::to_string(kDrainMax.count()) +
                                           ": ask for less"));
  }
  const std::chrono::milliseconds drain(request->drain_ms());
  return Forward(driver_, reactor,
                 TransferCall{.to = request->to(),
                              .drain = drain.count() == 0 ? kDrain : drain,
                              .reply = Finisher<MembershipAnswer>(reactor, reply)});
}

grpc::ServerWriteReactor<v1::BackupChunk>* AdminService::Backup(
    grpc::CallbackServerContext* context, const v1::BackupRequest*) {
  return BackupStream::Start(*context, driver_, backups_);
}

}  // namespace assent::coordinator
