// The door for operators; as transaction_service.h.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <utility>

#include "assent/v1/admin_service.grpc.pb.h"
#include "coordinator/server/backup_stream.h"
#include "coordinator/server/driver.h"

namespace assent::coordinator {

class AdminService final : public v1::AdminService::CallbackService {
 public:
  // `log_status` tells how the log is; thread-safe, and does not block.
  AdminService(Driver& driver, uint64_t node, std::function<void(v1::LogStatus*)> log_status)
      : driver_(driver),
        node_(node),
        log_status_(std::move(log_status)),
        started_(std::chrono::steady_clock::now()) {}

  grpc::ServerUnaryReactor* GetStatus(grpc::CallbackServerContext* context,
                                      const v1::GetStatusRequest* request,
                                      v1::GetStatusReply* reply) override;
  grpc::ServerUnaryReactor* Forget(grpc::CallbackServerContext* context,
                                   const v1::ForgetRequest* request,
                                   v1::ForgetReply* reply) override;
  grpc::ServerUnaryReactor* ListMembers(grpc::CallbackServerContext* context,
                                        const v1::ListMembersRequest* request,
                                        v1::ListMembersReply* reply) override;
  grpc::ServerUnaryReactor* AddMember(grpc::CallbackServerContext* context,
                                      const v1::AddMemberRequest* request,
                                      v1::AddMemberReply* reply) override;
  grpc::ServerUnaryReactor* PromoteMember(grpc::CallbackServerContext* context,
                                          const v1::PromoteMemberRequest* request,
                                          v1::PromoteMemberReply* reply) override;
  grpc::ServerUnaryReactor* RemoveMember(grpc::CallbackServerContext* context,
                                         const v1::RemoveMemberRequest* request,
                                         v1::RemoveMemberReply* reply) override;
  grpc::ServerUnaryReactor* TransferLeadership(grpc::CallbackServerContext* context,
                                               const v1::TransferLeadershipRequest* request,
                                               v1::TransferLeadershipReply* reply) override;
  grpc::ServerWriteReactor<v1::BackupChunk>* Backup(grpc::CallbackServerContext* context,
                                                    const v1::BackupRequest* request) override;

 private:
  Driver& driver_;
  const uint64_t node_;
  const std::function<void(v1::LogStatus*)> log_status_;
  const std::chrono::steady_clock::time_point started_;
  BackupSlot backups_;
};

}  // namespace assent::coordinator
