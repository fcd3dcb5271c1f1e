// The agent as a whole: owns everything else, in the order in which it must be taken down again.
#pragma once

#include <grpcpp/server.h>

#include <memory>
#include <thread>

#include "base/http/http_server.h"
#include "base/rpc/keep_awake.h"
#include "participant-agent/server/branch_service.h"
#include "participant-agent/server/driver.h"
#include "participant-agent/server/links.h"

namespace assent::agent {

class Server {
 public:
  // Opens the journal, listens, and begins to dial. Databases and coordinators need not be there
  // yet: each is served once it is. `factory` makes the adapters (MakeManager, or a test's double).
  //
  // Errors: those of Journal::Open, rpc::StartServer and http::Server::Start.
  static Result<std::unique_ptr<Server>> Start(const Options& options, ManagerFactory factory);

  // Takes no more work, rolls back what is not prepared, and ends. Prepared branches stay prepared:
  // the next start asks about them.
  ~Server();

  // The port that was bound; 1 for a unix socket.
  int port() const { return port_; }

 private:
  Server(const Options& options, std::unique_ptr<Journal> journal, ManagerFactory factory);
  Status OpenPages();

  const Options options_;
  std::unique_ptr<Journal> journal_;
  EventInbox inbox_{kInboxMax};
  std::unique_ptr<Links> links_;
  std::unique_ptr<Driver> driver_;
  BranchServiceImpl service_{inbox_};
  rpc::KeepAwake keep_awake_;
  std::unique_ptr<grpc::Server> grpc_;
  int port_ = 0;
  std::thread driver_thread_;
  std::unique_ptr<http::Server> pages_;  // Only reads what the others count.
};

}  // namespace assent::agent
