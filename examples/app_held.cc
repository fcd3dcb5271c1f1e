// Moves money between databases on connections of its own: libpqxx to PostgreSQL, Connector/C++ to
// MariaDB or MySQL. The coordinator registers both with Begin; no agent is called from here. Both
// databases have  accounts(id BIGINT PRIMARY KEY, balance BIGINT).
//
//   app_held COORDINATOR POSTGRESQL_URL MYSQL_URL USER DATABASE FROM TO AMOUNT
//   app_held 127.0.0.1:7400 postgresql://postgres@127.0.0.1/bank tcp://127.0.0.1:3306 root bank 1 2
//   50
//
// Exit codes: 0 committed, 1 aborted (nothing was changed), 2 wrong usage or no connection, 3
// unknown (ask again).
#include <mysql_connection.h>

#include <cppconn/driver.h>
#include <cppconn/exception.h>
#include <cppconn/prepared_statement.h>
#include <cppconn/resultset.h>
#include <cppconn/statement.h>

#include <cstdint>
#include <iostream>
#include <memory>
#include <pqxx/pqxx>
#include <string>

#include "client/assent.h"

namespace client = assent::client;

namespace {

uint64_t ConnectionId(sql::Statement& statement) {
  std::unique_ptr<sql::ResultSet> row(statement.executeQuery("SELECT CONNECTION_ID()"));
  row->next();
  return row->getUInt64(1);
}

int Transfer(char** argv) {
  // nontransaction and auto-commit: the drivers must not begin or end transactions of their own.
  pqxx::connection postgres(argv[2]);
  pqxx::nontransaction orders(postgres);
  std::unique_ptr<sql::Connection> mysql(
      get_driver_instance()->connect(argv[3], argv[4], /*password=*/""));
  mysql->setSchema(argv[5]);
  std::unique_ptr<sql::Statement> stock(mysql->createStatement());

  client::AppSession in_postgres(postgres.backendpid(),
                                 [&](const std::string& sql) { orders.exec(sql); });
  client::AppSession in_mysql(ConnectionId(*stock),
                              [&](const std::string& sql) { stock->execute(sql); });

  auto coordinator = client::Client::Connect({.endpoints = {argv[1]}});
  if (!coordinator.ok()) return std::cerr << coordinator.status().ToString() << "\n", 2;
  auto transaction = coordinator->Begin(
      {.label = "app_held", .branches = {{"bank_pg", in_postgres}, {"bank_my", in_mysql}}});
  if (!transaction.ok()) return std::cerr << transaction.status().ToString() << "\n", 2;

  // From here on both connections stand in the transaction. Whatever throws below leaves this
  // scope: both sessions give their work up, and the transaction is rolled back.
  pqxx::result taken = orders.exec_params(
      "UPDATE accounts SET balance = balance - $1 WHERE id = $2 AND balance >= $1", argv[8],
      argv[6]);
  std::unique_ptr<sql::PreparedStatement> give(
      mysql->prepareStatement("UPDATE accounts SET balance = balance + ? WHERE id = ?"));
  give->setString(1, argv[8]);
  give->setString(2, argv[7]);
  // A statement that changed nothing is no error to a database: only we know that it should have.
  if (taken.affected_rows() != 1) return std::cerr << "not enough money, or no account\n", 1;
  if (give->executeUpdate() != 1) return std::cerr << "no account to give to\n", 1;

  client::CommitResult result = transaction->Commit();
  std::cout << result.ToString() << "\n";
  if (result.unknown()) std::cout << "ask again for " << transaction->gtrid() << "\n";
  return result.committed() ? 0 : result.aborted() ? 1 : 3;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 9) {
    std::cerr << "usage: app_held COORDINATOR POSTGRESQL_URL MYSQL_URL USER DATABASE FROM TO "
                 "AMOUNT\n";
    return 2;
  }
  try {
    return Transfer(argv);
  } catch (const std::exception& error) {  // Of the drivers; libassent throws nothing.
    std::cerr << error.what() << "\n";
    return 1;
  }
}
