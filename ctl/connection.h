// One coordinator, asked once for each command.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "assent/v1/admin_service.grpc.pb.h"
#include "assent/v1/transaction_service.grpc.pb.h"
#include "base/rpc/credentials.h"
#include "base/status.h"

namespace assent::ctl {

struct ConnectionOptions {
  std::string endpoint = "127.0.0.1:7400";
  rpc::TlsFiles tls;            // Not for unix sockets.
  std::string tls_server_name;  // Empty: the host of the endpoint.
  std::chrono::milliseconds timeout{5'000};
};

// Errors are those of the services, with the coordinator's address and a remedy in the message.
class Connection {
 public:
  // INVALID_ARGUMENT: the endpoint is malformed. FAILED_PRECONDITION: the TLS files are of no use.
  static Result<Connection> Make(const ConnectionOptions& options);

  Result<v1::GetStatusReply> GetStatus();
  // At most `limit`, over as many pages as that takes.
  Result<v1::ListReply> List(const std::vector<v1::State>& states, uint32_t limit);
  Result<v1::Transaction> Get(const std::string& gtrid);
  Status Forget(const std::string& gtrid);

 private:
  Connection(ConnectionOptions options, const std::shared_ptr<grpc::Channel>& channel);
  template <typename Stub, typename Request, typename Reply>
  Status Call(Stub& stub,
              grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Reply*),
              const Request& request, Reply* reply);

  ConnectionOptions options_;
  std::unique_ptr<v1::TransactionService::StubInterface> transactions_;
  std::unique_ptr<v1::AdminService::StubInterface> admin_;
};

}  // namespace assent::ctl
