#include "tests/bench/sessions.h"

#include <cppconn/driver.h>
#include <cppconn/exception.h>
#include <cppconn/resultset.h>

#include <utility>
#include <vector>

namespace assent::bench {
namespace {

using adapters::ConnectOptions;
using test_support::Deployment;

constexpr char kUpdate[] = "bench_update";
constexpr char kInsert[] = "bench_insert";

// Connector/C++ throws.
template <typename Call>
Status Caught(const Call& call) {
  try {
    call();
    return Ok();
  } catch (const sql::SQLException& error) {
    return Unavailable(std::string("MariaDB: ") + error.what());
  }
}

}  // namespace

Result<std::unique_ptr<Postgres>> Postgres::Open(const ConnectOptions& options) {
  const std::string port = std::to_string(options.port);
  const char* keys[] = {"host", "port", "dbname", "user", nullptr};
  const char* values[] = {options.host.c_str(), port.c_str(), options.database.c_str(),
                          options.user.c_str(), nullptr};
  std::unique_ptr<Postgres> made(new Postgres(PQconnectdbParams(keys, values, 0)));
  if (PQstatus(made->connection_) != CONNECTION_OK) return made->Error("connect");
  Status update =
      made->Prepare(kUpdate, "UPDATE accounts SET balance = balance + $1::bigint WHERE id = $2");
  if (!update.ok()) return update;
  Status insert =
      made->Prepare(kInsert, "INSERT INTO transfers(id, account, amount) VALUES ($1, $2, $3)");
  if (!insert.ok()) return insert;
  return made;
}

Status Postgres::Prepare(const char* name, const char* sql) {
  PGresult* result = PQprepare(connection_, name, sql, 0, nullptr);
  const bool done = PQresultStatus(result) == PGRES_COMMAND_OK;
  PQclear(result);
  return done ? Ok() : Error(sql);
}

Status Postgres::Start(const std::string& sql) {
  return PQsendQuery(connection_, sql.c_str()) == 1 ? Ok() : Error(sql);
}

Status Postgres::StartUpdate(int64_t change, int64_t account) {
  return StartPrepared(kUpdate, {change, account});
}

Status Postgres::StartInsert(int64_t id, int64_t account, int64_t change) {
  return StartPrepared(kInsert, {id, account, change});
}

Status Postgres::StartPrepared(const char* name, std::initializer_list<int64_t> parameters) {
  std::vector<std::string> texts;
  std::vector<const char*> pointers;
  for (int64_t parameter : parameters) texts.push_back(std::to_string(parameter));
  for (const std::string& text : texts) pointers.push_back(text.c_str());
  const int sent = PQsendQueryPrepared(connection_, name, static_cast<int>(pointers.size()),
                                       pointers.data(), nullptr, nullptr, 0);
  return sent == 1 ? Ok() : Error(name);
}

Status Postgres::Wait() {
  Status status = Ok();
  while (PGresult* result = PQgetResult(connection_)) {
    if (PQresultStatus(result) != PGRES_COMMAND_OK) status = Error("answer");
    PQclear(result);
  }
  return status;
}

Status Postgres::Error(const std::string& doing) const {
  return Unavailable("PostgreSQL, " + doing + ": " + PQerrorMessage(connection_));
}

Result<std::unique_ptr<Mariadb>> Mariadb::Open(const ConnectOptions& options) {
  std::unique_ptr<Mariadb> made(new Mariadb);
  Status opened = Caught([&] {
    static sql::Driver* const driver = get_driver_instance();
    driver->threadInit();
    sql::ConnectOptionsMap map;
    map["hostName"] = sql::SQLString("tcp://" + options.host + ":" + std::to_string(options.port));
    map["userName"] = sql::SQLString(options.user);
    map["password"] = sql::SQLString(options.password);
    map["schema"] = sql::SQLString(options.database);
    made->connection_.reset(driver->connect(map));
    sql::Connection& connection = *made->connection_;
    made->statement_.reset(connection.createStatement());
    made->update_.reset(
        connection.prepareStatement("UPDATE accounts SET balance = balance + ? WHERE id = ?"));
    made->insert_.reset(
        connection.prepareStatement("INSERT INTO transfers(id, account, amount) VALUES (?, ?, ?)"));
    std::unique_ptr<sql::ResultSet> id(made->statement_->executeQuery("SELECT CONNECTION_ID()"));
    id->next();
    made->connection_id_ = id->getUInt64(1);
  });
  if (!opened.ok()) return opened;
  return made;
}

Status Mariadb::Run(const std::string& sql) {
  return Caught([&] { statement_->execute(sql); });
}

Status Mariadb::Update(int64_t change, int64_t account) {
  return Caught([&] {
    update_->setInt64(1, change);
    update_->setInt64(2, account);
    update_->executeUpdate();
  });
}

Status Mariadb::Insert(int64_t id, int64_t account, int64_t change) {
  return Caught([&] {
    insert_->setInt64(1, id);
    insert_->setInt64(2, account);
    insert_->setInt64(3, change);
    insert_->executeUpdate();
  });
}

Result<Sessions> Sessions::Open(const House& house, Steps steps) {
  const Deployment& deployment = house.deployment;
  auto postgres = Postgres::Open(
      deployment.postgres().ConnectOptions(Deployment::kCluster, Deployment::kPostgresResource));
  if (!postgres.ok()) return postgres.status();
  auto mariadb = Mariadb::Open(
      deployment.mariadb().ConnectOptions(Deployment::kCluster, Deployment::kMariadbResource));
  if (!mariadb.ok()) return mariadb.status();
  return Sessions(steps, *std::move(postgres), *std::move(mariadb));
}

Status Sessions::Work(int64_t id, int64_t account) {
  const int64_t change = PostgresChange(id);
  Status updated = Both([&] { return postgres_->StartUpdate(change, account); },
                        [&] { return mariadb_->Update(-change, account); });
  if (!updated.ok()) return updated;
  return Both([&] { return postgres_->StartInsert(id, account, change); },
              [&] { return mariadb_->Insert(id, account, -change); });
}

}  // namespace assent::bench
