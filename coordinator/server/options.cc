#include "coordinator/server/options.h"

#include "base/http/http_server.h"
#include "base/ids.h"
#include "base/rpc/listener.h"
#include "coordinator/server/first_members.h"

namespace assent::coordinator {
namespace {

constexpr uint64_t kDayMs = 24 * 3'600'000ull;

void DescribeIdentity(OptionSet& set, Options& o) {
  set.Add("cluster", &o.cluster,
          "Name of the cluster: it stands in every gtrid, so it must differ from that of every "
          "other cluster that uses the same databases. A letter, then up to 15 of a-z, 0-9, '-'.")
      .Required("example");
  set.Add(
         "node_id", &o.node_id,
         "Number of this node in its group. Never given to another node, nor to this one after its "
         "data_dir was lost.")
      .Between(1, 1'000'000);
  set.Add("engine", &o.engine,
          "Where the decision log is kept: \"raft\" in the data_dir of each node, \"etcd\" in an "
          "etcd that is there already, and then nodes keep nothing (docs/engines.md).")
      .OneOf({"raft", "etcd"});
  set.Add("data_dir", &o.data_dir,
          "Where the decision log lives, such as /var/lib/assent/assentd. Needs a disk that keeps "
          "what it has forced; losing it loses the outcomes of unfinished transactions. Required "
          "with engine = \"raft\", unused with \"etcd\".");
  set.Add("listen", &o.listen,
          "Address for clients and agents, HOST:PORT. Anything but loopback needs certificates.");
  set.Add("http_listen", &o.http_listen,
          "Address of /metrics and /healthz, HOST:PORT; empty or port 0: none. HTTPS if there are "
          "certificates; without them only loopback.");
  rpc::AddTlsOptions(set, &o.tls);
  set.Add("peer_listen", &o.peer_listen,
          "Address for the other nodes of the group, HOST:PORT, such as 127.0.0.1:7401. Anything "
          "but loopback needs certificates. Empty: a group of one that no node can join.");
  set.Add("peer_address", &o.peer_address,
          "How the other nodes reach peer_listen, HOST:PORT; empty: as it stands there.");
  set.Add("address", &o.address,
          "How clients and agents reach `listen`, HOST:PORT; empty: as it stands there.");
  set.Add("members", &o.members,
          "The first members of the group, the same list on each of them, for --bootstrap: "
          "\"ID=PEER_ADDRESS,ADDRESS\" each. Empty: this node alone. Later members are added with "
          "assentctl member add; this list is not read again.");
  set.Add("cluster_uuid", &o.cluster_uuid,
          "What tells this cluster from every other, 36 characters as uuidgen makes them. Needed, "
          "the same on every member, where `members` has several; drawn by --bootstrap where it "
          "has one.");
  set.Add("group_incarnation", &o.group_incarnation,
          "Of a group that was restored from a backup: what assentctl status shows as its "
          "incarnation. --join needs it there, so that no node of the group before is taken for "
          "one of this. Empty: the group was never restored.");
  set.Add("join", &o.join,
          "Initialise the empty data_dir as that of a new member, which has been or will be added "
          "with assentctl member add, and exit. Give it once, as the flag --join, never in the "
          "file.");
  set.Add("bootstrap", &o.bootstrap,
          "Initialise the empty data_dir (with engine = \"etcd\": the prefix) as a new group, and "
          "exit. Give it once, as the flag --bootstrap, never in the file.");
  set.Add("restore", &o.restore,
          "Initialise the empty data_dir as the first member of a group that goes on from this "
          "backup (with engine = \"etcd\": make that group in etcd), the path of a file that "
          "assentctl backup saved, of either engine, and exit. Give it once, as the flag "
          "--restore FILE, never in the file.");
  set.Add("log_level", &o.log_level, "Least severe lines that are logged.")
      .OneOf({"debug", "info", "warning", "error"});
}

void DescribeLimits(OptionSet& set, Options& o) {
  set.Add("live_transactions_max", &o.live_transactions_max,
          "Transactions begun and not decided; beyond it Begin answers RESOURCE_EXHAUSTED.")
      .Between(1, 1'000'000)
      .Unit("transactions");
  set.Add("queue_max", &o.queue_max,
          "Calls that may wait for the driver thread; beyond it they answer RESOURCE_EXHAUSTED.")
      .Between(16, 1'000'000)
      .Unit("calls");
  set.Add("agents_max", &o.agents_max, "Agents that may be connected.")
      .Between(1, 10'000)
      .Unit("agents");
  set.Add("client_keys_max", &o.client_keys_max,
          "Client keys kept; beyond it Begin with a key answers RESOURCE_EXHAUSTED, none is "
          "forgotten early. The same on every node of a group.")
      .Between(1, 100'000'000)
      .Unit("keys");
  set.Add("message_bytes_max", &o.message_bytes_max, "Largest message that is received.")
      .Between(64 << 10, 64 << 20)
      .Unit("bytes");
}

void DescribeTimes(OptionSet& set, Options& o) {
  set.Add("transaction_timeout_ms", &o.transaction_timeout,
          "Time from Begin within which Commit must arrive, where Begin names none.")
      .Between(10, kDayMs);
  set.Add("transaction_timeout_max_ms", &o.transaction_timeout_max,
          "Longest time that Begin may ask for.")
      .Between(10, kDayMs);
  set.Add("prepare_timeout_ms", &o.prepare_timeout,
          "How long Commit waits for the votes of agents before the transaction is aborted.")
      .Between(10, 600'000);
  set.Add("apply_wait_ms", &o.apply_wait,
          "How long Commit waits, once it is decided, for every database to apply it; then it "
          "answers COMMITTED with the branches that are pending.")
      .Between(0, 600'000);
  set.Add("finish_grace_ms", &o.finish_grace,
          "How long a branch that the application commits by itself (FINISHER_APP) is left to it "
          "after the decision; without its report the agent does it then. On MariaDB that ends the "
          "application's connection.")
      .Between(10, 600'000);
  set.Add("resend_interval_ms", &o.resend_interval,
          "After how long an unanswered COMMIT is sent to the agent again; each time twice as "
          "late.")
      .Between(10, 600'000);
  set.Add("resend_interval_max_ms", &o.resend_interval_max, "The latest that it is sent again.")
      .Between(10, 3'600'000);
  set.Add("link_silence_max_ms", &o.link_silence_max,
          "An agent that is silent for so long (heartbeats flow every 300 ms) is taken for gone.")
      .Between(1'000, 60'000);
  set.Add("election_timeout_ms", &o.election_timeout,
          "A node that hears no leader for this long, up to twice as long, stands for election; a "
          "leader that hears no majority for this long steps down. The same on every node. Keep it "
          "well above the round trip between nodes and the time that the disk takes to force.")
      .Between(50, 60'000);
  set.Add("transfer_drain_ms", &o.transfer_drain,
          "When a leader is stopped: how long live transactions may take to end before it hands "
          "the lead over.")
      .Between(0, 600'000);
  set.Add("tick_interval_ms", &o.tick_interval,
          "The step in which retention is counted; each costs one small record.")
      .Between(100, 3'600'000);
  set.Add("outcome_retention_ms", &o.outcome_retention,
          "How long the outcome of a finished transaction is remembered; later it is EXPIRED. The "
          "same on every node of a group.")
      .Between(60'000, 366 * kDayMs);
  set.Add("client_key_retention_ms", &o.client_key_retention,
          "How long a client key of a committed transaction is remembered. The same on every node "
          "of a group.")
      .Between(1'000, 366 * kDayMs);
}

void DescribeLog(OptionSet& set, Options& o) {
  set.Add("segment_bytes", &o.segment_bytes, "Size of a log file, made ahead.")
      .Between(64 << 10, 1 << 30)
      .Unit("bytes");
  set.Add("snapshot_log_bytes", &o.snapshot_log_bytes,
          "A snapshot is written, and older log files dropped, after so much log. Less shortens a "
          "start, more saves writing.")
      .Between(64 << 10, uint64_t{64} << 30)
      .Unit("bytes");
}

}  // namespace

void DescribeOptions(OptionSet& set, Options& options) {
  DescribeIdentity(set, options);
  DescribeEtcdOptions(set, options.etcd);
  DescribeLimits(set, options);
  DescribeTimes(set, options);
  DescribeLog(set, options);
  set.AddCheck([&options] { return ValidateOptions(options); });
}

std::vector<std::string> ValidateOptions(const Options& o) {
  std::vector<std::string> problems;
  if (!o.cluster.empty() && !IsClusterName(o.cluster)) {
    problems.push_back("cluster = '" + o.cluster +
                       "': must be a letter, then up to 15 of a-z, 0-9, '-'");
  }
  if (Status listen = rpc::CheckListenAddress("listen", o.listen, !o.tls.empty()); !listen.ok()) {
    problems.push_back(listen.message());
  }
  if (Status pages = http::CheckAddress("http_listen", o.http_listen, !o.tls.empty());
      !pages.ok()) {
    problems.push_back(pages.message());
  }
  for (std::string& problem : rpc::CheckTlsFiles(o.tls, rpc::Side::kServer)) {
    problems.push_back(std::move(problem));
  }
  if (UsesEtcd(o)) {
    for (std::string& problem : CheckEtcdOptions(o)) problems.push_back(std::move(problem));
  } else if (o.data_dir.empty()) {
    problems.push_back(
        "data_dir is empty: say where the decision log lives, such as "
        "/var/lib/assent/assentd");
  }
  for (std::string& problem : CheckGroupOptions(o)) problems.push_back(std::move(problem));
  if (o.transaction_timeout > o.transaction_timeout_max) {
    problems.push_back("transaction_timeout_ms = " + std::to_string(o.transaction_timeout.count()) +
                       " is more than transaction_timeout_max_ms = " +
                       std::to_string(o.transaction_timeout_max.count()));
  }
  if (o.resend_interval > o.resend_interval_max) {
    problems.push_back(
        "resend_interval_ms = " + std::to_string(o.resend_interval.count()) +
        " is more than resend_interval_max_ms = " + std::to_string(o.resend_interval_max.count()));
  }
  // What is alive must never be forgotten.
  const auto alive_max = o.transaction_timeout_max + o.prepare_timeout + o.tick_interval;
  if (o.outcome_retention < 2 * alive_max) {
    problems.push_back("outcome_retention_ms = " + std::to_string(o.outcome_retention.count()) +
                       " must be at least twice transaction_timeout_max_ms + prepare_timeout_ms + "
                       "tick_interval_ms = " +
                       std::to_string(alive_max.count()));
  }
  if (o.client_key_retention < o.tick_interval) {
    problems.push_back(
        "client_key_retention_ms = " + std::to_string(o.client_key_retention.count()) +
        " is less than tick_interval_ms = " + std::to_string(o.tick_interval.count()));
  }
  return problems;
}

Limits LimitsOf(const Options& o) {
  Limits limits;
  limits.live_transactions_max = o.live_transactions_max;
  limits.queue_max = o.queue_max;
  limits.agents_max = o.agents_max;
  limits.transaction_timeout = o.transaction_timeout;
  limits.transaction_timeout_max = o.transaction_timeout_max;
  limits.prepare_timeout = o.prepare_timeout;
  limits.apply_wait = o.apply_wait;
  limits.finish_grace = o.finish_grace;
  limits.resend = o.resend_interval;
  limits.resend_max = o.resend_interval_max;
  limits.tick = o.tick_interval;
  auto ticks = [&](std::chrono::milliseconds time) {
    return static_cast<uint64_t>((time.count() + o.tick_interval.count() - 1) /
                                 o.tick_interval.count());
  };
  limits.table.outcome_retention_ticks = ticks(o.outcome_retention);
  limits.table.key_retention_ticks = ticks(o.client_key_retention);
  limits.table.keys_max = o.client_keys_max;
  return limits;
}

}  // namespace assent::coordinator
