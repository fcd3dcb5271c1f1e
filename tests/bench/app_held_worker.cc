// A transfer through libassent on the worker's own sessions, which are those of the raw worker: it
// sends the same statements in the same order. No agent is called from here.
#include <memory>
#include <optional>
#include <utility>

#include "tests/bench/sessions.h"
#include "tests/bench/worker.h"

namespace assent::bench {
namespace {

using client::AppSession;
using test_support::Deployment;

class AppHeldWorker final : public Worker {
 public:
  AppHeldWorker(const House& house, Sessions sessions, int64_t account)
      : house_(house),
        client_(house.client),
        sessions_(std::move(sessions)),
        account_(account),
        in_postgres_(
            sessions_.postgres().backend_pid(),
            [this](const std::string& sql) {
              EndCallBeforeStatement();
              return sessions_.postgres().Start(sql);
            },
            [this] { return sessions_.postgres().Wait(); }),
        in_mariadb_(sessions_.mariadb().connection_id(), [this](const std::string& sql) {
          EndCallBeforeStatement();
          return sessions_.mariadb().Run(sql);
        }) {}

  Status Transfer(int64_t id) override {
    calls_.Begin();
    before_statement_ = Call::kBegin;
    auto transaction = client_.Begin({.branches = {{Deployment::kPostgresResource, in_postgres_},
                                                   {Deployment::kMariadbResource, in_mariadb_}}});
    if (!transaction.ok()) return transaction.status();
    calls_.End(Call::kStart);

    if (Status worked = sessions_.Work(id, account_); !worked.ok()) return worked;
    calls_.End(Call::kWork);

    if (auto prepared = transaction->Prepare(); !prepared.ok()) return prepared.status();
    calls_.End(Call::kPrepare);

    before_statement_ = Call::kCommit;
    client::CommitResult result = transaction->Commit({.ack = house_.ack});
    if (Status committed = ToStatus(result, house_.ack); !committed.ok()) return committed;
    calls_.End(Call::kFinish);
    return Ok();
  }

 private:
  // libassent asks the coordinator first, and runs statements then.
  void EndCallBeforeStatement() {
    if (before_statement_) calls_.End(*std::exchange(before_statement_, std::nullopt));
  }

  const House& house_;
  client::Client client_;  // A handle; its calls are not const.
  Sessions sessions_;
  const int64_t account_;
  std::optional<Call> before_statement_;
  const AppSession in_postgres_;
  const AppSession in_mariadb_;
};

}  // namespace

Result<std::unique_ptr<Worker>> MakeAppHeld(const House& house, int64_t account) {
  auto sessions = Sessions::Open(house, Steps::kOverlapped);
  if (!sessions.ok()) return sessions.status();
  return std::unique_ptr<Worker>(
      std::make_unique<AppHeldWorker>(house, *std::move(sessions), account));
}

}  // namespace assent::bench
