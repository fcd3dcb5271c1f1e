// Nodes of one system under the log's bench, as private processes on loopback.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "tests/bench/load.h"
#include "tests/support/process.h"

namespace assent::bench {

struct LogGroupOptions {
  std::string directory;  // For files and logs; must exist.
  size_t nodes = 3;
  // Of ours: this program, or another that has its `node`.
  std::string program = "/proc/self/exe";
  uint64_t snapshot_after_bytes = 64 << 20;
};

// Not thread-safe. Destruction ends the processes.
class LogGroup {
 public:
  // UNAVAILABLE, NOT_FOUND: a process could not be started, or none of them led in time.
  static Result<std::unique_ptr<LogGroup>> StartOurs(const LogGroupOptions& options);
  // `etcd`: the program. With its own defaults, but for a quota that no run reaches.
  static Result<std::unique_ptr<LogGroup>> StartEtcd(const LogGroupOptions& options,
                                                     const std::string& etcd);

  // One node of ours that keeps its log in an etcd that listens at `etcd`.
  static Result<std::unique_ptr<LogGroup>> StartOnEtcd(const LogGroupOptions& options,
                                                       const std::vector<std::string>& etcd);

  // Finds the leader, and loads it from a client process through gRPC.
  Result<Rates> LoadThroughSocket(const Load& load);
  // Finds the leader, and has it load itself from within. Ours only.
  Result<Rates> LoadInside(const Load& load);

  Result<size_t> Leader() const;
  std::vector<std::string> doors() const;
  test_support::Process& node(size_t i) { return *nodes_[i].process; }
  const std::string& directory(size_t i) const { return nodes_[i].directory; }
  size_t size() const { return nodes_.size(); }

 private:
  struct Node {
    std::string directory;
    std::string door;
    std::string peer;
    std::unique_ptr<test_support::Process> process;
  };

  explicit LogGroup(const LogGroupOptions& options);
  Status Spawn(Node& node, const test_support::Argv& argv);
  Status SpawnOurs(const LogGroupOptions& options, const std::string& etcd);

  std::vector<Node> nodes_;
};

// Resident memory of a process, in bytes; 0 if it is gone.
uint64_t ResidentBytes(pid_t pid);
// What the files in a directory occupy, by their length.
uint64_t DirectoryBytes(const std::string& directory);

}  // namespace assent::bench
