// Two-phase commit by hand: no coordinator, no log, nothing that would find the outcome again after
// a crash. What the databases alone cost.
#include <memory>
#include <utility>

#include "tests/bench/sessions.h"
#include "tests/bench/worker.h"

namespace assent::bench {
namespace {

class RawWorker final : public Worker {
 public:
  RawWorker(Sessions sessions, int64_t account)
      : sessions_(std::move(sessions)), account_(account) {}

  Status Transfer(int64_t id) override {
    const std::string name = "raw-" + std::to_string(id);
    const std::string in_postgres = '\'' + name + '\'';
    const std::string in_mariadb = '\'' + name + "','b'";
    Postgres& postgres = sessions_.postgres();
    Mariadb& mariadb = sessions_.mariadb();
    calls_.Begin();
    Status status = sessions_.Both([&] { return postgres.Start("BEGIN"); },
                                   [&] { return mariadb.Run("XA START " + in_mariadb); });
    if (!status.ok()) return status;
    calls_.End(Call::kStart);

    status = sessions_.Work(id, account_);
    if (!status.ok()) return status;
    calls_.End(Call::kWork);

    status = sessions_.Both([&] { return postgres.Start("PREPARE TRANSACTION " + in_postgres); },
                            [&] {
                              Status ended = mariadb.Run("XA END " + in_mariadb);
                              return ended.ok() ? mariadb.Run("XA PREPARE " + in_mariadb) : ended;
                            });
    if (!status.ok()) return status;
    calls_.End(Call::kPrepare);

    status = sessions_.Both([&] { return postgres.Start("COMMIT PREPARED " + in_postgres); },
                            [&] { return mariadb.Run("XA COMMIT " + in_mariadb); });
    calls_.End(Call::kFinish);
    return status;
  }

 private:
  Sessions sessions_;
  const int64_t account_;
};

Result<std::unique_ptr<Worker>> Make(const House& house, int64_t account, Steps steps) {
  auto sessions = Sessions::Open(house, steps);
  if (!sessions.ok()) return sessions.status();
  return std::unique_ptr<Worker>(std::make_unique<RawWorker>(*std::move(sessions), account));
}

}  // namespace

Result<std::unique_ptr<Worker>> MakeRawSeq(const House& house, int64_t account) {
  return Make(house, account, Steps::kInTurn);
}

Result<std::unique_ptr<Worker>> MakeRawOverlapped(const House& house, int64_t account) {
  return Make(house, account, Steps::kOverlapped);
}

}  // namespace assent::bench
