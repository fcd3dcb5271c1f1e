// One way to make a transfer, and what a thread needs to make it. A new mode is a row of Modes()
// and a maker.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "client/assent.h"
#include "tests/bench/calls.h"
#include "tests/support/deployment.h"

namespace assent::bench {

// What all workers share. Outlives them.
struct House {
  const test_support::Deployment& deployment;
  client::Client client;
  client::Agent postgres_agent;
  client::Agent mariadb_agent;
  client::Acknowledgement ack = client::Acknowledgement::kApplied;
};

// The same work in every mode: in each database one UPDATE of the worker's own account and one
// INSERT of the transfer. An amount of 1 goes from PostgreSQL to MariaDB for even ids, and back for
// odd ones.
inline int64_t PostgresChange(int64_t id) { return id % 2 == 0 ? -1 : 1; }

// One thread's; its connections are open when it is made.
class Worker {
 public:
  virtual ~Worker() = default;
  // `id` is fresh. OK: committed, in both databases. ABORTED: in neither. Anything else ends the
  // bench.
  virtual Status Transfer(int64_t id) = 0;

  // Of the last transfer that was committed.
  const CallTimes& calls() const { return calls_; }

 protected:
  CallTimes calls_;
};

// OK: committed, and applied where `ack` asks for that. ABORTED: in no database. Otherwise
// INTERNAL.
Status ToStatus(const client::CommitResult& result, client::Acknowledgement ack);

// `account` exists in both databases and is nobody else's.
using MakeWorker = Result<std::unique_ptr<Worker>> (*)(const House& house, int64_t account);

Result<std::unique_ptr<Worker>> MakeRawSeq(const House& house, int64_t account);
Result<std::unique_ptr<Worker>> MakeRawOverlapped(const House& house, int64_t account);
Result<std::unique_ptr<Worker>> MakeAppHeld(const House& house, int64_t account);
Result<std::unique_ptr<Worker>> MakeAgentHeld(const House& house, int64_t account);

struct Mode {
  std::string name;
  MakeWorker make = nullptr;
};
const std::vector<Mode>& Modes();

// INVALID_ARGUMENT: no such mode; the message lists those there are.
Result<Mode> FindMode(const std::string& name);

// The mode that all others are compared with.
inline constexpr char kReferenceMode[] = "raw-overlapped";

}  // namespace assent::bench
