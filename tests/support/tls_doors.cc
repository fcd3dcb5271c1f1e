#include "tests/support/doors_under_test.h"

namespace assent::test_support {

bool TlsUnderTest() { return true; }

}  // namespace assent::test_support
