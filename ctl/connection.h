// The coordinators of a group: whoever of them can answer is asked.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <grpcpp/security/credentials.h>

#include "assent/v1/admin_service.grpc.pb.h"
#include "assent/v1/transaction_service.grpc.pb.h"
#include "base/rpc/credentials.h"
#include "base/status.h"

namespace assent::ctl {

struct ConnectionOptions {
  // One or more, host:port, with commas between.
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

  // From the leader if it can be reached, else from any node, with what that one knows.
  Result<v1::ListMembersReply> ListMembers();
  Status AddMember(const v1::AddMemberRequest& request);
  Status PromoteMember(uint64_t id);
  Status RemoveMember(uint64_t id);
  Status TransferLeadership(uint64_t to, std::chrono::milliseconds drain);
  // The same of the first endpoint's node alone; whoever else leads keeps the lead. False: that
  // node does not lead.
  Result<bool> TransferIfLeading(uint64_t to, std::chrono::milliseconds drain);
  // Hands the bytes of a backup's file to `take`, piece by piece; ends with its first error. Only
  // with OK were they all.
  Status Backup(const std::function<Status(std::string_view)>& take);

  // Who gave the last answer.
  const std::string& answered_by() const { return nodes_[current_].endpoint; }

 private:
  using Transactions = v1::TransactionService::StubInterface;
  using Admin = v1::AdminService::StubInterface;
  struct Node {
    std::string endpoint;
    std::unique_ptr<Transactions> transactions;
    std::unique_ptr<Admin> admin;

    Transactions& Get(const Transactions*) const { return *transactions; }
    Admin& Get(const Admin*) const { return *admin; }
  };
  template <typename Stub, typename Request, typename Reply>
  using Method = grpc::Status (Stub::*)(grpc::ClientContext*, const Request&, Reply*);

  Connection(ConnectionOptions options, std::shared_ptr<grpc::ChannelCredentials> credentials);
  size_t Find(const std::string& endpoint);
  // Who is asked after current_: the one that is said to lead, else another. None: all are in
  // `asked`.
  std::optional<size_t> NextToAsk(const std::set<size_t>& asked, const std::string& leader);
  // Goes on to another node where this one can't be reached, or does not lead and the call needs a
  // leader; and while nobody leads, again for as long as a call may take. `more`: how much longer
  // than usual the answer may take.
  using Attempt = std::function<grpc::Status(const Node&, grpc::ClientContext&)>;
  Status Try(const Attempt& attempt, std::chrono::milliseconds more);
  template <typename Stub, typename Request, typename Reply>
  Status Call(Method<Stub, Request, Reply> method, const Request& request, Reply* reply,
              std::chrono::milliseconds more = {});

  ConnectionOptions options_;
  std::shared_ptr<grpc::ChannelCredentials> credentials_;
  std::vector<Node> nodes_;
  size_t current_ = 0;
};

}  // namespace assent::ctl
