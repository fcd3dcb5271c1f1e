// Certificates for tests of TLS, made by openssl.
#pragma once

#include "base/status.h"
#include "tests/support/temp_dir.h"

namespace assent::test_support {

// Writes ca.pem and ca.key (an authority), node.pem and node.key (one certificate for 127.0.0.1
// and localhost, which servers and clients share) into `dir`.
Status MakeCertificates(const TempDir& dir);

}  // namespace assent::test_support
