// BranchService: checks what services send, hands it to the driver, and answers when the driver
// says so. Callbacks never block.
#pragma once

#include "assent/v1/branch_service.grpc.pb.h"
#include "participant-agent/server/events.h"

namespace assent::agent {

inline constexpr size_t kStatementsMax = 100;  // Of one call.
inline constexpr size_t kSqlBytesMax = 1 << 20;
inline constexpr size_t kParametersMax = 65'535;
inline constexpr size_t kOpenIdBytesMax = 64;
inline constexpr size_t kRequestBytesMax = 16 << 20;
inline constexpr size_t kConnectionIdDigitsMax = 20;
inline constexpr size_t kRoleBytesMax = 63;             // As PostgreSQL has it.
inline constexpr uint32_t kRemainingMsMax = 3'600'000;  // The longest that a transaction may last.

// What is wrong with a request that no state is needed to see. INVALID_ARGUMENT names the field,
// the value and the remedy.
Status CheckOpen(const v1::OpenRequest& request);
Status CheckExecute(const v1::ExecuteRequest& request);
Status CheckStream(const v1::ExecuteRequest& request);
Status CheckEnlist(const v1::EnlistRequest& request);
Status CheckVote(const v1::VoteRequest& request);

class BranchServiceImpl final : public v1::BranchService::CallbackService {
 public:
  explicit BranchServiceImpl(EventInbox& driver) : driver_(driver) {}

  grpc::ServerUnaryReactor* Open(grpc::CallbackServerContext* context,
                                 const v1::OpenRequest* request, v1::OpenReply* reply) override;
  grpc::ServerUnaryReactor* Execute(grpc::CallbackServerContext* context,
                                    const v1::ExecuteRequest* request,
                                    v1::ExecuteReply* reply) override;
  grpc::ServerWriteReactor<v1::ExecutePart>* ExecuteStream(
      grpc::CallbackServerContext* context, const v1::ExecuteRequest* request) override;
  grpc::ServerUnaryReactor* Enlist(grpc::CallbackServerContext* context,
                                   const v1::EnlistRequest* request,
                                   v1::EnlistReply* reply) override;
  grpc::ServerUnaryReactor* Vote(grpc::CallbackServerContext* context,
                                 const v1::VoteRequest* request, v1::VoteReply* reply) override;

 private:
  EventInbox& driver_;
};

}  // namespace assent::agent
