// Certificates for tests of TLS, made by the same code as `assentctl certs`.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "tests/support/temp_dir.h"

namespace assent::test_support {

// PEM files; all empty: no TLS.
struct TlsPaths {
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
};

// Makes an authority in `dir` (ca.pem, ca.key), and one certificate of it for each role: "node" and
// "agent", both for 127.0.0.1 and localhost (the node's for `node_hosts` too), and "client"
// (client.pem, client.key, ...).
Status MakeCertificates(const TempDir& dir, const std::vector<std::string>& node_hosts = {});

// Those of `name` in `directory`, which need not exist.
TlsPaths PathsOf(const std::string& directory, const std::string& name);

// A directory as MakeCertificates makes it, once for this process. Aborts if it can't be made.
const std::string& TestCertificates();

}  // namespace assent::test_support
