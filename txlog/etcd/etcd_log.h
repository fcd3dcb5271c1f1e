// The decision log in etcd: this process keeps nothing. Any number of them serve one group; one
// leads. docs/engines.md says what it promises and costs.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "txlog/decision_log.h"
#include "txlog/etcd/core/layout.h"
#include "txlog/etcd/core/options.h"
#include "txlog/etcd/endpoints.h"
#include "txlog/etcd/health.h"
#include "txlog/log_observer.h"

namespace assent::txlog {

struct EtcdLogOptions {
  etcd::ClientOptions client;
  // Of the group's keys; BootstrapGroup (txlog/etcd/group.h) has made it.
  std::string prefix;
  // Who we believe to be: a prefix of another cluster is refused.
  std::string cluster;
  // Checked too, unless empty.
  std::string cluster_uuid;
  // Where clients and agents find this process, when it leads.
  std::string address;
  // Names this process among those of the group, as Member::id does; each start has its own. 0:
  // drawn.
  uint64_t id = 0;

  // A leader that vanishes is succeeded so long afterwards. At least 2 s, which is etcd's default
  // least.
  std::chrono::milliseconds lease{5000};
  uint64_t snapshot_after_bytes = 64 << 20;
  uint64_t snapshot_after_batches = 20'000;
  uint64_t batch_bytes_max = etcd::Options{}.batch_bytes_max;

  // Told of each batch that became durable; must outlive the log. Null: nobody is.
  LogObserver* observer = nullptr;
  // As of ReplicatedLogOptions: called once when this process must not go on, because what is in
  // etcd is not what this program writes there, or not for it. Null: std::abort.
  std::function<void(const Status&)> on_death;
};

// How the log and its etcd are, for people and monitors.
struct EtcdHealth {
  std::string trouble;   // What keeps this process from its work; empty if nothing does.
  std::string endpoint;  // Whom it asks now.
  // How much longer this process may lead, or stand for it, if etcd is not heard again.
  std::chrono::milliseconds lease_left{0};
  std::vector<etcd::ServerHealth> servers;  // Those of the options that were asked yet.

  // etcd's alarm: it takes no write, whoever asks.
  bool no_space() const;
};

// Fit for EtcdLogOptions::id; exact also where numbers are doubles.
uint64_t DrawProcessId();

// See DecisionLog for the calls. Here every one of them may come from any thread, callbacks
// included: it only posts.
class EtcdLog final : public DecisionLog {
 public:
  // Looks whether the group is there, then starts the log thread, which reads the log, tells
  // `listener`, and takes the lead if nobody has it. `listener` must outlive the log.
  //
  // FAILED_PRECONDITION: not bootstrapped, or of another cluster; etcd was restored from a snapshot
  // of its own; TLS files. INVALID_ARGUMENT: an option. UNAVAILABLE: no endpoint answers. Others:
  // etcd's words.
  static Result<std::unique_ptr<EtcdLog>> Open(EtcdLogOptions options, Listener& listener);

  // What was asked for before ends with kInDoubt or UNAVAILABLE if it is not over. Gives up the
  // lease, so that another process leads at once.
  ~EtcdLog() override;

  const etcd::Identity& identity() const;
  uint64_t id() const;
  // As of now; of etcd's members as of the last few seconds.
  EtcdHealth health() const;

  void Propose(std::string record, Term term, std::function<void(Fate)> done) override;
  void ProposeWithNext(std::string record, Term term, std::function<void(Fate)> done) override;
  void ReadBarrier(std::function<void(Status)> done) override;
  // Only a leader's is kept.
  void SaveSnapshot(Index index, std::string state) override;
  // FAILED_PRECONDITION always: processes come and go as they are started and stopped.
  void ChangeMembership(MembershipChange change, std::function<void(Status)> done) override;
  // To whoever is first; NOT_FOUND if `to` is not 0. OK: this process no longer leads.
  void TransferLeadership(uint64_t to, std::function<void(Status)> done) override;
  // This process, the leader, and whoever else holds a lease in etcd: processes that have died are
  // listed until theirs ends. If etcd does not answer, the first two. Only of this process is known
  // how far it is.
  void ListMembers(std::function<void(GroupProgress)> done) override;

 private:
  class Impl;
  explicit EtcdLog(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace assent::txlog
