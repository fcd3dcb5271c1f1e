// Which engine keeps the decision log in the tests of this binary: as the one file says that is
// linked into it, on_raft.cc or on_etcd.cc. So the same tests run on both.
#pragma once

#include "tests/support/deployment.h"

namespace assent::test_support {

// Makes a house of it.
void ChooseEngine(DeploymentOptions* options);

// Whether `status` says that this engine can't be had on this machine.
bool EngineIsAbsent(const Status& status);

}  // namespace assent::test_support
