// What a node of a replicated log is given.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "base/status.h"
#include "txlog/log_observer.h"
#include "txlog/raft/options.h"
#include "txlog/storage/disk.h"

namespace assent::txlog {

struct ReplicatedLogOptions {
  // Where the files are; made by BootstrapGroup or BootstrapJoining.
  std::string directory;
  // Who we believe to be: a directory of another cluster or node is refused.
  std::string cluster;
  uint64_t node_id = 1;
  // Checked too, unless empty.
  std::string cluster_uuid;
  // Of a group that was restored; checked too, unless 0.
  uint64_t group_incarnation = 0;

  // Size of a log file, made ahead and zeroed. 4 KiB to 1 GiB.
  uint64_t segment_bytes = 16 << 20;
  // Ask for a snapshot once so many bytes of log stand behind the last one.
  uint64_t snapshot_after_bytes = 64 << 20;

  // A node that hears no leader for this long, and up to twice as long, asks for votes; a leader
  // that hears no majority for this long steps down. The same on all nodes. A tenth of it is the
  // step in which time is counted.
  std::chrono::milliseconds election_timeout{400};

  // Of this start, for the times between elections: should differ between nodes. 0: drawn.
  uint64_t seed = 0;

  // How much the core keeps and sends at once, for tests; its id, seed, times and when a snapshot
  // is due are not read.
  raft::Options limits;

  // Told of each forced write; must outlive the log. Null: nobody is.
  LogObserver* observer = nullptr;
  // Where the files really are; must outlive the log. Null: the real disk.
  Disk* disk = nullptr;
  // Called once, on any of the log's threads, when the node must not go on (a forced write failed):
  // must end the process. If it returns (tests), the log does nothing any more and answers
  // kInDoubt. Null: std::abort after one line in the log.
  std::function<void(const Status&)> on_death;
};

}  // namespace assent::txlog
