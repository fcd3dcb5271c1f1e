// The door for operators; as transaction_service.h.
#pragma once

#include <chrono>
#include <string>

#include "assent/v1/admin_service.grpc.pb.h"
#include "coordinator/server/driver.h"

namespace assent::coordinator {

class AdminService final : public v1::AdminService::CallbackService {
 public:
  AdminService(Driver& driver, std::string node)
      : driver_(driver), node_(std::move(node)), started_(std::chrono::steady_clock::now()) {}

  grpc::ServerUnaryReactor* GetStatus(grpc::CallbackServerContext* context,
                                      const v1::GetStatusRequest* request,
                                      v1::GetStatusReply* reply) override;
  grpc::ServerUnaryReactor* Forget(grpc::CallbackServerContext* context,
                                   const v1::ForgetRequest* request,
                                   v1::ForgetReply* reply) override;

 private:
  Driver& driver_;
  const std::string node_;
  const std::chrono::steady_clock::time_point started_;
};

}  // namespace assent::coordinator
