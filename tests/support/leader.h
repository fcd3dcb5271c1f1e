// Which node of a group of coordinators leads.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "tests/support/assent_processes.h"

namespace assent::test_support {

// The one that leads and serves, by the word of its metrics; waits for it. Null: none within
// `timeout`. Of several that say so, as they may for a moment, the one of the highest term.
AssentdProcess* WaitLeader(const std::vector<std::unique_ptr<AssentdProcess>>& group,
                           std::chrono::milliseconds timeout);

}  // namespace assent::test_support
