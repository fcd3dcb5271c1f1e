// The order service: writes an order into PostgreSQL on a connection of its own, and has the stock
// service take the items, all in one transaction. It places one order and ends; a real one would
// wait for the next. The database has  orders(item VARCHAR(64), quantity BIGINT).
//
//   order_service COORDINATOR POSTGRESQL_URL RESOURCE STOCK_SERVICE ITEM QUANTITY
//   order_service 127.0.0.1:7400 postgresql://postgres@127.0.0.1/shop orders_pg 127.0.0.1:7500 tea
//   3
//
// Exit codes: 0 ordered, 1 not ordered, 2 wrong usage, 3 unknown (ask again for the gtrid).
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <iostream>
#include <pqxx/pqxx>
#include <string>

#include "client/assent.h"
#include "shop.grpc.pb.h"

namespace client = assent::client;

namespace {

// The call belongs to the transaction because its metadata says so.
grpc::Status TakeFromStock(const std::string& stock_service, const client::Transaction& transaction,
                           const shop::TakeRequest& request, shop::TakeReply* reply) {
  grpc::ClientContext call;
  call.AddMetadata(client::kTransactionMetadataKey, transaction.context().ToString());
  call.set_deadline(std::chrono::system_clock::now() + transaction.remaining());
  auto channel = grpc::CreateChannel(stock_service, grpc::InsecureChannelCredentials());
  return shop::Stock::NewStub(channel)->Take(&call, request, reply);
}

int PlaceOrder(char** argv) {
  shop::TakeRequest wanted;
  wanted.set_item(argv[5]);
  wanted.set_quantity(std::stoll(argv[6]));

  pqxx::connection postgres(argv[2]);
  pqxx::nontransaction orders(postgres);  // Begins and ends nothing by itself.
  client::AppSession session(postgres.backendpid(),
                             [&](const std::string& sql) { orders.exec(sql); });
  auto coordinator = client::Client::Connect({.endpoints = {argv[1]}});
  if (!coordinator.ok()) return std::cerr << coordinator.status().ToString() << "\n", 2;

  auto transaction = coordinator->Begin({.label = "order", .branches = {{argv[3], session}}});
  if (!transaction.ok()) return std::cerr << transaction.status().ToString() << "\n", 1;
  orders.exec_params("INSERT INTO orders(item, quantity) VALUES ($1, $2)", wanted.item(),
                     wanted.quantity());
  shop::TakeReply taken;
  // An error here may mean that the stock service did its work all the same: it is in the
  // transaction, and leaving rolls all of it back.
  if (grpc::Status status = TakeFromStock(argv[4], *transaction, wanted, &taken); !status.ok()) {
    return std::cerr << "not ordered: " << status.error_message() << "\n", 1;
  }

  client::CommitResult result = transaction->Commit();
  std::cout << result.ToString() << "; " << taken.left() << " left\n";
  if (result.unknown()) std::cout << "ask again for " << transaction->gtrid() << "\n";
  return result.committed() ? 0 : result.aborted() ? 1 : 3;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) {
    std::cerr << "usage: order_service COORDINATOR POSTGRESQL_URL RESOURCE STOCK_SERVICE ITEM "
                 "QUANTITY\n";
    return 2;
  }
  try {
    return PlaceOrder(argv);
  } catch (const std::exception& error) {  // Of libpqxx, or a quantity that is no number.
    std::cerr << "not ordered: " << error.what() << "\n";
    return 1;
  }
}
