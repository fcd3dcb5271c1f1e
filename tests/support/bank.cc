// The workload; the checker stands in bank_check.cc.
#include "tests/support/bank.h"

#include <utility>

#include "tests/support/connect.h"

namespace assent::test_support {
namespace {

using client::Outcome;
using std::chrono::milliseconds;
using std::chrono::seconds;

// One wait for an answer; afterwards the client asks again with the same gtrid.
constexpr milliseconds kAskFor{3'000};
constexpr milliseconds kPauseBetweenQuestions{20};
constexpr milliseconds kPauseAfterRefusal{50};

}  // namespace

Bank::Bank(const Deployment& deployment, BankOptions options)
    : deployment_(deployment), options_(std::move(options)) {}

Bank::~Bank() { Stop(seconds(5)); }

Status Bank::Open() {
  std::string rows;
  for (int i = 0; i < options_.accounts; ++i) {
    rows += (i == 0 ? "(" : ", (") + std::to_string(i) + ", " +
            std::to_string(options_.initial_balance) + ")";
  }
  // The index of a transfer's id is the database's own proof that it was applied once.
  const std::string accounts =
      "CREATE TABLE accounts(id bigint PRIMARY KEY, balance bigint NOT NULL)";
  const std::string transfers =
      "CREATE TABLE transfers(id varchar(64) PRIMARY KEY, account bigint NOT NULL, "
      "amount bigint NOT NULL)";
  for (const std::string& sql : {accounts, transfers, "INSERT INTO accounts VALUES " + rows}) {
    if (Status done = deployment_.postgres().Execute(sql); !done.ok()) return done;
    if (Status done = deployment_.mariadb().Execute(sql); !done.ok()) return done;
  }
  sum_before_ = 2 * options_.accounts * options_.initial_balance;

  auto made_client = client::Client::Connect(ToCoordinator(deployment_));
  if (!made_client.ok()) return made_client.status();
  client_ = std::move(*made_client);
  for (auto [agent, process] : {std::pair(&postgres_agent_, &deployment_.postgres_agent()),
                                std::pair(&mariadb_agent_, &deployment_.mariadb_agent())}) {
    auto made = client::Agent::Connect(ToAgent(deployment_, *process));
    if (!made.ok()) return made.status();
    *agent = std::move(*made);
  }
  return Ok();
}

Status Bank::Start() {
  if (!client_) return FailedPrecondition("Open the bank before its workers start");
  for (int i = 0; i < options_.concurrency; ++i) {
    workers_.push_back(std::make_unique<Worker>());
    Worker* worker = workers_.back().get();
    worker->thread = std::thread([this, i, worker] { Work(i, worker); });
  }
  return Ok();
}

void Bank::Stop(milliseconds settle) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_.exchange(true)) return;
    give_up_ = std::chrono::steady_clock::now() + settle;
  }
  stopped_.notify_all();
  for (const auto& worker : workers_) worker->thread.join();
}

BankProgress Bank::progress() const {
  return {committed_.load(), aborted_.load(), asking_.load(), unsure_.load(), refused_.load()};
}

Status Bank::Close() {
  for (const char* sql : {"DROP TABLE accounts", "DROP TABLE transfers"}) {
    if (Status done = deployment_.postgres().Execute(sql); !done.ok()) return done;
    if (Status done = deployment_.mariadb().Execute(sql); !done.ok()) return done;
  }
  return Ok();
}

bool Bank::MayAskOn() const { return std::chrono::steady_clock::now() < give_up_.load(); }

void Bank::Pause(milliseconds time) {
  std::unique_lock<std::mutex> lock(mutex_);
  stopped_.wait_for(lock, time, [this] { return Stopping(); });
}

void Bank::Work(int index, Worker* worker) {
  std::mt19937_64 random(options_.seed * 1000 + static_cast<uint64_t>(index));
  for (uint64_t number = 0; !Stopping(); ++number) {
    Transfer transfer = Draw(index, number, &random);
    const bool changes_mind = static_cast<int>(random() % 100) < options_.rollback_percent;
    client::BeginOptions begin;
    begin.timeout = options_.transaction_timeout;
    begin.label = transfer.told.id;
    auto transaction = client_->Begin(begin);
    if (!transaction.ok()) {
      ++refused_;
      Pause(kPauseAfterRefusal);
      continue;
    }
    transfer.told.gtrid = transaction->gtrid();
    const bool commit = DoWork(&*transaction, transfer) && !changes_mind;
    Finish(&*transaction, commit, &transfer);
    // A database that is away aborts at once: no use in running thousands of transfers against it.
    if (!commit && !changes_mind) Pause(kPauseAfterRefusal);
    worker->transfers.push_back(std::move(transfer));
  }
}

Bank::Transfer Bank::Draw(int worker, uint64_t number, std::mt19937_64* random) const {
  const auto accounts = static_cast<uint64_t>(options_.accounts);
  Transfer transfer;
  transfer.told.id = "t" + std::to_string(worker) + "-" + std::to_string(number);
  transfer.from_postgres = (*random)() % 2 == 0;
  transfer.postgres_account = static_cast<int64_t>((*random)() % accounts);
  transfer.mariadb_account = static_cast<int64_t>((*random)() % accounts);
  transfer.amount = static_cast<int64_t>(1 + (*random)() % 10);
  return transfer;
}

bool Bank::DoWork(client::Transaction* transaction, const Transfer& transfer) {
  const int64_t change = transfer.from_postgres ? -transfer.amount : transfer.amount;
  // Always PostgreSQL first, whatever the direction: locks taken in one order can't deadlock across
  // databases, where no database would see it.
  return WorkOn(transaction, *postgres_agent_, Deployment::kPostgresResource, transfer.told.id,
                transfer.postgres_account, change) &&
         WorkOn(transaction, *mariadb_agent_, Deployment::kMariadbResource, transfer.told.id,
                transfer.mariadb_account, -change);
}

bool Bank::WorkOn(client::Transaction* transaction, const client::Agent& agent,
                  const std::string& resource, const std::string& id, int64_t account,
                  int64_t change) {
  client::OpenOptions open;
  open.lock_timeout = seconds(2);
  if (resource == Deployment::kPostgresResource) {
    open.statements = {
        {"UPDATE accounts SET balance = balance + $1 WHERE id = $2 AND balance + $1 >= 0",
         {change, account}},
        {"INSERT INTO transfers(id, account, amount) VALUES ($1, $2, $3)", {id, account, change}},
    };
  } else {
    open.statements = {
        {"UPDATE accounts SET balance = balance + ? WHERE id = ? AND balance + ? >= 0",
         {change, account, change}},
        {"INSERT INTO transfers(id, account, amount) VALUES (?, ?, ?)", {id, account, change}},
    };
  }
  auto branch = transaction->Open(agent, resource, open);
  if (!branch.ok()) return false;
  // No row: the account has not enough money.
  return branch->open_results().at(0).rows_affected == 1;
}

void Bank::Finish(client::Transaction* transaction, bool commit, Transfer* transfer) {
  auto ask = [&] {
    if (!commit) return transaction->Rollback(kAskFor);
    client::CommitOptions options;
    options.retry_for = kAskFor;
    return transaction->Commit(options);
  };
  client::CommitResult result = ask();
  if (result.unknown()) {
    ++asking_;
    ++unsure_;
    while (result.unknown() && MayAskOn()) {
      std::this_thread::sleep_for(kPauseBetweenQuestions);
      result = ask();
    }
    --asking_;
  }
  switch (result.outcome) {
    case Outcome::kCommitted:
      transfer->told.told = Told::kCommitted;
      ++committed_;
      if (!commit) transfer->told.problem = "was rolled back, and told COMMITTED";
      if (result.heuristic)
        transfer->told.problem = "has a heuristic outcome: " + result.ToString();
      break;
    case Outcome::kAborted:
      transfer->told.told = Told::kAborted;
      ++aborted_;
      NoteAbort(*transaction, result.abort);
      break;
    case Outcome::kUnknown:
    case Outcome::kExpired:
      transfer->told.problem = "was never told an outcome: " + result.ToString();
      break;
  }
}

void Bank::NoteAbort(const client::Transaction& transaction, const client::Abort& abort) {
  // "BRANCH_VOTED_NO/DEADLOCK", or what went wrong in the work before.
  std::string why(client::AbortCauseName(abort.cause));
  std::string message = abort.message;
  client::BranchCause branch_cause = abort.branch_cause;
  if (std::optional<client::WorkError> failure = transaction.failure()) {
    why = "work failed: " + std::string(CodeName(failure->status.code()));
    message = failure->status.message();
    branch_cause = failure->cause;
  }
  if (branch_cause != client::BranchCause::kUnspecified) {
    why += "/" + std::string(client::BranchCauseName(branch_cause));
  }
  std::lock_guard<std::mutex> lock(mutex_);
  AbortCount& aborts = abort_causes_[why];
  if (aborts.count++ == 0) aborts.example = std::move(message);
}

}  // namespace assent::test_support
