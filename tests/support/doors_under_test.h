// Whether the tests of this binary have mutual TLS at every port: as the one file says that is
// linked into it, plain_doors.cc or tls_doors.cc. So the same tests run both ways
// (assent_chaos_test in cmake/AssentTest.cmake makes both binaries).
#pragma once

namespace assent::test_support {

bool TlsUnderTest();

}  // namespace assent::test_support
