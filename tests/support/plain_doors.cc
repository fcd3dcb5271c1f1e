#include "tests/support/doors_under_test.h"

namespace assent::test_support {

bool TlsUnderTest() { return false; }

}  // namespace assent::test_support
