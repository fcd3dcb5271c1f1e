// A client of etcd's key-value service, or of what speaks like it: measures puts.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/status.h"
#include "tests/bench/load.h"

namespace assent::bench {

// Puts through one channel to `address`, in_flight of them at a time, from one thread; an entry is
// done when the answer to its put has come. UNAVAILABLE: a put failed; the message says how.
Result<Rates> LoadKv(const std::string& address, const Load& load);

// Which of `addresses` leads, once one does. DEADLINE_EXCEEDED: none did within `patience`.
Result<size_t> FindLeader(const std::vector<std::string>& addresses,
                          std::chrono::milliseconds patience);

}  // namespace assent::bench
