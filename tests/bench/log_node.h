// A node of ours in the log's bench, as a process: a log, its owner, and a door that
// speaks etcd/rpc.proto (one Put is one entry) and log_bench.proto.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace assent::bench {

struct LogNodeOptions {
  uint64_t id = 1;
  std::string directory;  // Made at the first start.
  std::string door;       // HOST:PORT
  // Where the members 1, 2, ... listen for each other; this one included. One alone needs no port.
  std::vector<std::string> peers;
  // Of an etcd in which the log is kept, instead of in the directory and among peers.
  std::vector<std::string> etcd;
  uint64_t segment_bytes = 16 << 20;
  uint64_t snapshot_after_bytes = 64 << 20;
  uint64_t snapshot_bytes = 1 << 20;
};

// Until SIGTERM. What main returns.
int RunLogNode(const LogNodeOptions& options);

}  // namespace assent::bench
