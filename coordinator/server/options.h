// The options of assentd: see `assentd --sample-config` for each one's meaning and default.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/options.h"
#include "base/rpc/credentials.h"
#include "coordinator/server/etcd_options.h"
#include "coordinator/server/limits.h"

namespace assent::coordinator {

struct Options {
  std::string cluster;
  uint64_t node_id = 1;
  std::string engine = "raft";
  EtcdOptions etcd;
  std::string data_dir;
  std::string listen = "127.0.0.1:7400";
  std::string http_listen = "127.0.0.1:7402";
  rpc::TlsFiles tls;
  // Of a group of several nodes.
  std::string peer_listen;   // Empty: a group of one that nobody can join.
  std::string peer_address;  // Empty: peer_listen.
  std::string address;       // Empty: listen.
  std::vector<std::string> members;
  std::string cluster_uuid;
  std::string group_incarnation;  // Digits; empty: not of a restored group, or any.
  bool bootstrap = false;
  bool join = false;
  std::string restore;  // Path of a backup.

  uint64_t live_transactions_max = 10'000;
  uint64_t queue_max = 20'000;
  uint64_t agents_max = 1'000;
  uint64_t client_keys_max = 1'000'000;
  uint64_t message_bytes_max = 4 << 20;

  std::chrono::milliseconds transaction_timeout{60'000};
  std::chrono::milliseconds transaction_timeout_max{3'600'000};
  std::chrono::milliseconds prepare_timeout{10'000};
  std::chrono::milliseconds apply_wait{5'000};
  std::chrono::milliseconds finish_grace{2'000};
  std::chrono::milliseconds resend_interval{2'000};
  std::chrono::milliseconds resend_interval_max{30'000};
  std::chrono::milliseconds link_silence_max{3'000};
  std::chrono::milliseconds election_timeout{400};
  std::chrono::milliseconds transfer_drain{5'000};
  std::chrono::milliseconds tick_interval{60'000};
  std::chrono::milliseconds outcome_retention{std::chrono::hours(7 * 24)};
  std::chrono::milliseconds client_key_retention{std::chrono::hours(1)};

  uint64_t segment_bytes = 16 << 20;
  uint64_t snapshot_log_bytes = 64 << 20;
  std::string log_level = "info";
};

// Describes `options` to `set`, with the checks of ValidateOptions. Both must live as long as the
// other.
void DescribeOptions(OptionSet& set, Options& options);

// Every problem of the options together (single ranges are checked by OptionSet), one sentence
// each. Reads the TLS files, touches nothing else.
std::vector<std::string> ValidateOptions(const Options& options);

// Is the log kept in etcd, and not in data_dir?
inline bool UsesEtcd(const Options& options) { return options.engine == "etcd"; }

Limits LimitsOf(const Options& options);

}  // namespace assent::coordinator
