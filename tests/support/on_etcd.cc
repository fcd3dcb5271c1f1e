#include "tests/support/engine_under_test.h"

namespace assent::test_support {

// The shortest lease that etcd grants: whoever is killed waits for it before it leads again.
void ChooseEngine(DeploymentOptions* options) {
  options->etcd_servers = 1;
  options->coordinator_settings["etcd_lease_ms"] = "2000";
}

// EtcdServers::Create.
bool EngineIsAbsent(const Status& status) { return status.code() == Code::kNotFound; }

}  // namespace assent::test_support
