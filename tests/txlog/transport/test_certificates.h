// Certificates for the nodes of a test's group.
#pragma once

#include <string>

#include "base/tls/files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test_certificate.h"

namespace assent::txlog {

class TestCertificates {
 public:
  // Files for a node whose certificate is for these names (as OpenSSL writes them), of the group's
  // authority.
  tls::TlsFiles Node(const std::string& names, long valid_seconds = 3600) {
    return Write(authority_, names, valid_seconds);
  }
  // The same of another authority; it trusts that one alone.
  tls::TlsFiles Foreign(const std::string& names) { return Write(foreign_, names, 3600); }

 private:
  tls::TlsFiles Write(const test_support::TestCertificate& authority, const std::string& names,
                      long valid_seconds) {
    const std::string path = directory_.File(std::to_string(++count_));
    const test_support::TestCertificate node(&authority, names, valid_seconds);
    return {.ca_file = authority.WriteCertificate(path + "-ca.pem"),
            .cert_file = node.WriteCertificate(path + ".pem"),
            .key_file = node.WriteKey(path + ".key")};
  }

  test_support::TempDir directory_;
  test_support::TestCertificate authority_;
  test_support::TestCertificate foreign_;
  int count_ = 0;
};

}  // namespace assent::txlog
