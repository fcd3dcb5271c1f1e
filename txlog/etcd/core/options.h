// Limits of the core. All processes of a group should have the same.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "txlog/etcd/core/layout.h"

namespace assent::txlog::etcd {

struct Options {
  std::string prefix;                // Of the group's keys; see layout.h.
  std::optional<Identity> identity;  // Whose group it must be; nothing: whichever is there first.
  uint64_t owner = 0;                // Drawn at the start of this process, never 0.
  std::string address;  // Where clients find this process, if it leads. Without spaces.
  // Which etcd it has found at its start, for those that come later. Empty: unknown.
  std::string lineage;

  // A leader that vanishes is succeeded this long after it was last heard. etcd may grant more.
  std::chrono::milliseconds lease{5000};
  // A leader stops by its own clock so much earlier than its lease ends. For order, not safety:
  // that rests on the compares of each write.
  std::chrono::milliseconds lease_margin{500};
  // Between attempts: the shortest wait, doubled up to the longest.
  std::chrono::milliseconds retry_min{50};
  std::chrono::milliseconds retry_max{1000};

  // Of the value of one key of the log; holds at least one record of kRecordBytesMax. etcd's
  // max-request-bytes, 1.5 MiB by default, must be greater.
  uint64_t batch_bytes_max = 1'280 * 1024;
  uint64_t batches_in_flight_max = 4;
  // While a batch is in flight, another goes only if it holds so much: a request costs etcd about
  // the same for one record as for hundreds, and what waits meanwhile goes together.
  uint64_t further_batch_bytes = 32 * 1024;
  // Of records that wait for a batch; more are refused.
  uint64_t pending_bytes_max = 64 << 20;

  // Ask for a snapshot once so much stands behind the last one, in bytes of values or in batches.
  uint64_t snapshot_after_bytes = 64 << 20;
  uint64_t snapshot_after_batches = 20'000;
  uint64_t chunk_bytes = 1 << 20;
  // How many batches one request deletes, and how long afterwards the next does. Together with what
  // is put that is below 512 keys in 100 ms: each transaction of etcd 3.4 copies a buffer that
  // grows to the most that was ever changed within such a time, and hardly shrinks (mvcc/backend,
  // bucketBuffer.Copy).
  uint64_t trim_batches = 100;
  std::chrono::milliseconds trim_pause{25};
  // When the log is read: how much one answer shall hold about.
  uint64_t page_bytes = 4 << 20;
};

}  // namespace assent::txlog::etcd
