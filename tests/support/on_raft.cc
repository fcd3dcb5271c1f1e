#include "tests/support/engine_under_test.h"

namespace assent::test_support {

void ChooseEngine(DeploymentOptions*) {}

bool EngineIsAbsent(const Status&) { return false; }

}  // namespace assent::test_support
