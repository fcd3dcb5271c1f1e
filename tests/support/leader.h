// Which node of a group of coordinators leads.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "tests/support/assent_processes.h"
#include "tests/support/deployment.h"

namespace assent::test_support {

// The one that leads and serves, by the word of its metrics; waits for it. Null: none within
// `timeout`. Of several that say so, as they may for a moment, the one of the highest term.
AssentdProcess* WaitLeader(const std::vector<std::unique_ptr<AssentdProcess>>& group,
                           std::chrono::milliseconds timeout, const TlsPaths& tls = {},
                           const AssentdProcess* but = nullptr);
// `but`: not asked, since it is frozen or cut off.
AssentdProcess* WaitLeader(Deployment& house, std::chrono::milliseconds timeout,
                           const AssentdProcess* but = nullptr);

}  // namespace assent::test_support
