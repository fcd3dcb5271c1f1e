// The stock service: takes items off the shelf in MariaDB or MySQL, inside the transaction of
// whoever calls. Its agent holds the database session. The database has
//   stock(item VARCHAR(64) PRIMARY KEY, in_store BIGINT NOT NULL).
//
//   stock_service LISTEN COORDINATOR AGENT RESOURCE
//   stock_service 127.0.0.1:7500 127.0.0.1:7400 127.0.0.1:7420 stock_my
#include <grpcpp/grpcpp.h>

#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "client/assent.h"
#include "shop.grpc.pb.h"

namespace client = assent::client;

namespace {

class StockService final : public shop::Stock::Service {
 public:
  StockService(client::Client coordinator, client::Agent agent, std::string resource)
      : coordinator_(std::move(coordinator)),
        agent_(std::move(agent)),
        resource_(std::move(resource)) {}

  grpc::Status Take(grpc::ServerContext* call, const shop::TakeRequest* request,
                    shop::TakeReply* reply) override {
    auto metadata = call->client_metadata().find(client::kTransactionMetadataKey);
    if (metadata == call->client_metadata().end()) {
      return {grpc::StatusCode::INVALID_ARGUMENT, "call me inside a transaction"};
    }
    auto context = client::TransactionContext::Parse(
        std::string_view(metadata->second.data(), metadata->second.size()));
    if (!context.ok()) {
      return {grpc::StatusCode::INVALID_ARGUMENT, context.status().message()};
    }

    // Going out of scope commits nothing, and rolls back only what failed: the caller decides.
    client::Transaction transaction = coordinator_.Join(*context);
    client::OpenOptions work;
    work.statements = {{"UPDATE stock SET in_store = in_store - ? WHERE item = ? AND in_store >= ?",
                        {request->quantity(), request->item(), request->quantity()}},
                       {"SELECT in_store FROM stock WHERE item = ?", {request->item()}}};
    work.prepare = true;  // All of this branch's work: its vote is given now, not at Commit.
    auto branch = transaction.Open(agent_, resource_, work);
    if (!branch.ok()) return {grpc::StatusCode::ABORTED, branch.status().message()};
    if (branch->open_results()[0].rows_affected != 1) {
      // The caller will hear this error, or not: in either case nothing may be committed.
      transaction.RollbackOnly("not enough in store");
      return {grpc::StatusCode::FAILED_PRECONDITION, "not enough of '" + request->item() + "'"};
    }
    auto left = branch->open_results()[1].Scalar();
    if (left.ok()) reply->set_left(left->AsInt64().ok() ? *left->AsInt64() : 0);
    return grpc::Status::OK;
  }

 private:
  client::Client coordinator_;
  client::Agent agent_;
  const std::string resource_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return std::cerr << "usage: stock_service LISTEN COORDINATOR AGENT RESOURCE\n", 2;
  auto coordinator = client::Client::Connect({.endpoints = {argv[2]}});
  auto agent = client::Agent::Connect({.endpoint = argv[3]});
  if (!coordinator.ok()) return std::cerr << coordinator.status().ToString() << "\n", 2;
  if (!agent.ok()) return std::cerr << agent.status().ToString() << "\n", 2;
  StockService service(*coordinator, *agent, argv[4]);
  grpc::ServerBuilder builder;
  builder.AddListeningPort(argv[1], grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return std::cerr << "can't listen on " << argv[1] << "\n", 2;
  std::cout << "stock_service: listening on " << argv[1] << std::endl;
  server->Wait();
}
