// The door for clients. Runs on gRPC's few callback threads: checks the request, posts it to the
// driver, and returns; the driver's thread finishes the call.
#pragma once

#include "assent/v1/transaction_service.grpc.pb.h"
#include "coordinator/server/driver.h"

namespace assent::coordinator {

inline constexpr size_t kClientKeyBytesMax = 128;
inline constexpr size_t kLabelBytesMax = 128;
inline constexpr uint32_t kListDefault = 100;
inline constexpr uint32_t kListMax = 1000;

class TransactionService final : public v1::TransactionService::CallbackService {
 public:
  explicit TransactionService(Driver& driver) : driver_(driver) {}

  grpc::ServerUnaryReactor* Begin(grpc::CallbackServerContext* context,
                                  const v1::BeginRequest* request, v1::BeginReply* reply) override;
  grpc::ServerUnaryReactor* Commit(grpc::CallbackServerContext* context,
                                   const v1::CommitRequest* request,
                                   v1::CommitReply* reply) override;
  grpc::ServerUnaryReactor* Rollback(grpc::CallbackServerContext* context,
                                     const v1::RollbackRequest* request,
                                     v1::RollbackReply* reply) override;
  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context, const v1::GetRequest* request,
                                v1::GetReply* reply) override;
  grpc::ServerUnaryReactor* ReportFinished(grpc::CallbackServerContext* context,
                                           const v1::ReportFinishedRequest* request,
                                           v1::ReportFinishedReply* reply) override;
  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context,
                                 const v1::ListRequest* request, v1::ListReply* reply) override;

 private:
  Driver& driver_;
};

}  // namespace assent::coordinator
