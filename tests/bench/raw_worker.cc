// Two-phase commit by hand: no coordinator, no log, nothing that would find the outcome again after
// a crash. What the databases alone cost, with the same client libraries that the adapters use.
//
// Overlapped means: libpq is told without waiting, MariaDB does the same step meanwhile, then the
// answer is fetched. No second thread, so no hop between threads either.
#include <libpq-fe.h>
#include <mysql_connection.h>

#include <cppconn/driver.h>
#include <cppconn/exception.h>
#include <cppconn/prepared_statement.h>
#include <cppconn/statement.h>

#include <utility>

#include "tests/bench/worker.h"

namespace assent::bench {
namespace {

using adapters::ConnectOptions;
using test_support::Deployment;

constexpr char kUpdate[] = "bench_update";
constexpr char kInsert[] = "bench_insert";

// A connection with both statements prepared at the server. One request at a time: Send, then Get.
class Postgres {
 public:
  explicit Postgres(const ConnectOptions& options) {
    const std::string port = std::to_string(options.port);
    const char* keys[] = {"host", "port", "dbname", "user", nullptr};
    const char* values[] = {options.host.c_str(), port.c_str(), options.database.c_str(),
                            options.user.c_str(), nullptr};
    connection_ = PQconnectdbParams(keys, values, 0);
  }
  ~Postgres() { PQfinish(connection_); }
  Postgres(const Postgres&) = delete;
  Postgres& operator=(const Postgres&) = delete;

  Status Prepare() {
    if (PQstatus(connection_) != CONNECTION_OK) return Error("connect");
    for (auto [name, sql] :
         {std::pair(kUpdate, "UPDATE accounts SET balance = balance + $1::bigint WHERE id = $2"),
          std::pair(kInsert, "INSERT INTO transfers(id, account, amount) VALUES ($1, $2, $3)")}) {
      PQclear(PQprepare(connection_, name, sql, 0, nullptr));
      if (PQstatus(connection_) != CONNECTION_OK || *PQerrorMessage(connection_) != '\0') {
        return Error(sql);
      }
    }
    return Ok();
  }

  void Send(const std::string& sql) { sent_ = PQsendQuery(connection_, sql.c_str()); }
  void SendPrepared(const char* name, std::initializer_list<int64_t> parameters) {
    std::vector<std::string> texts;
    std::vector<const char*> pointers;
    for (int64_t parameter : parameters) texts.push_back(std::to_string(parameter));
    for (const std::string& text : texts) pointers.push_back(text.c_str());
    sent_ = PQsendQueryPrepared(connection_, name, static_cast<int>(pointers.size()),
                                pointers.data(), nullptr, nullptr, 0);
  }
  Status Get() {
    if (sent_ == 0) return Error("send");
    Status status = Ok();
    while (PGresult* result = PQgetResult(connection_)) {
      if (PQresultStatus(result) != PGRES_COMMAND_OK) status = Error("answer");
      PQclear(result);
    }
    return status;
  }

 private:
  Status Error(const std::string& doing) const {
    return Unavailable("PostgreSQL, " + doing + ": " + PQerrorMessage(connection_));
  }

  PGconn* connection_ = nullptr;
  int sent_ = 0;
};

// Throws sql::SQLException.
class Mariadb {
 public:
  explicit Mariadb(const ConnectOptions& options) {
    static sql::Driver* const driver = get_driver_instance();
    driver->threadInit();
    sql::ConnectOptionsMap map;
    map["hostName"] = sql::SQLString("tcp://" + options.host + ":" + std::to_string(options.port));
    map["userName"] = sql::SQLString(options.user);
    map["password"] = sql::SQLString(options.password);
    map["schema"] = sql::SQLString(options.database);
    connection_.reset(driver->connect(map));
    statement_.reset(connection_->createStatement());
    update_.reset(
        connection_->prepareStatement("UPDATE accounts SET balance = balance + ? WHERE id = ?"));
    insert_.reset(connection_->prepareStatement(
        "INSERT INTO transfers(id, account, amount) VALUES (?, ?, ?)"));
  }

  void Run(const std::string& sql) { statement_->execute(sql); }
  void Update(int64_t change, int64_t account) {
    update_->setInt64(1, change);
    update_->setInt64(2, account);
    update_->executeUpdate();
  }
  void Insert(int64_t id, int64_t account, int64_t change) {
    insert_->setInt64(1, id);
    insert_->setInt64(2, account);
    insert_->setInt64(3, change);
    insert_->executeUpdate();
  }

 private:
  std::unique_ptr<sql::Connection> connection_;
  std::unique_ptr<sql::Statement> statement_;
  std::unique_ptr<sql::PreparedStatement> update_;
  std::unique_ptr<sql::PreparedStatement> insert_;
};

class RawWorker final : public Worker {
 public:
  // What an open worker needs may fail by exception (Connector/C++) or by its status.
  RawWorker(const House& house, int64_t account, bool overlapped)
      : account_(account),
        overlapped_(overlapped),
        postgres_(house.deployment.postgres().ConnectOptions(Deployment::kCluster,
                                                             Deployment::kPostgresResource)),
        mariadb_(house.deployment.mariadb().ConnectOptions(Deployment::kCluster,
                                                           Deployment::kMariadbResource)),
        status_(postgres_.Prepare()) {}

  const Status& status() const { return status_; }

  Status Transfer(int64_t id) override {
    const std::string name = "raw-" + std::to_string(id);
    const std::string in_postgres = '\'' + name + '\'';
    const std::string in_mariadb = '\'' + name + "','b'";
    const int64_t change = PostgresChange(id);
    try {
      auto begin = [&] { postgres_.Send("BEGIN"); };
      auto update = [&] { postgres_.SendPrepared(kUpdate, {change, account_}); };
      auto insert = [&] { postgres_.SendPrepared(kInsert, {id, account_, change}); };
      auto my_begin = [&] { mariadb_.Run("XA START " + in_mariadb); };
      auto my_update = [&] { mariadb_.Update(-change, account_); };
      auto my_insert = [&] { mariadb_.Insert(id, account_, -change); };
      auto prepare = [&] { postgres_.Send("PREPARE TRANSACTION " + in_postgres); };
      auto my_prepare = [&] {
        mariadb_.Run("XA END " + in_mariadb);
        mariadb_.Run("XA PREPARE " + in_mariadb);
      };
      auto commit = [&] { postgres_.Send("COMMIT PREPARED " + in_postgres); };
      auto my_commit = [&] { mariadb_.Run("XA COMMIT " + in_mariadb); };
      Both(begin, my_begin);
      Both(update, my_update);
      Both(insert, my_insert);
      Both(prepare, my_prepare);
      Both(commit, my_commit);
    } catch (const sql::SQLException& error) {
      return Unavailable(std::string("MariaDB: ") + error.what());
    }
    return status_;
  }

 private:
  template <typename Send, typename Run>
  void Both(const Send& send, const Run& run) {
    if (!status_.ok()) return;
    send();
    if (!overlapped_) status_ = postgres_.Get();
    if (!status_.ok()) return;
    run();
    if (overlapped_) status_ = postgres_.Get();
  }

  const int64_t account_;
  const bool overlapped_;
  Postgres postgres_;
  Mariadb mariadb_;
  Status status_;  // The first failure.
};

Result<std::unique_ptr<Worker>> Make(const House& house, int64_t account, bool overlapped) {
  try {
    auto worker = std::make_unique<RawWorker>(house, account, overlapped);
    if (!worker->status().ok()) return worker->status();
    return std::unique_ptr<Worker>(std::move(worker));
  } catch (const sql::SQLException& error) {
    return Unavailable(std::string("MariaDB: ") + error.what());
  }
}

}  // namespace

Result<std::unique_ptr<Worker>> MakeRawSeq(const House& house, int64_t account) {
  return Make(house, account, /*overlapped=*/false);
}

Result<std::unique_ptr<Worker>> MakeRawOverlapped(const House& house, int64_t account) {
  return Make(house, account, /*overlapped=*/true);
}

}  // namespace assent::bench
