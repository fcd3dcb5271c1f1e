// Keys and certificates made in memory, for tests that need one of each kind: expired, of another
// authority, for another name.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <string>

namespace assent::test_support {

// A key and a certificate, signed by itself (an authority) or by another of these. `names` is what
// it is for, as OpenSSL writes it: "DNS:localhost,IP:127.0.0.1". Valid from two hours ago.
// Not thread-safe.
class TestCertificate {
 public:
  explicit TestCertificate(const TestCertificate* issuer = nullptr,
                           const std::string& names = "DNS:localhost", long valid_seconds = 3600);
  ~TestCertificate();
  TestCertificate(const TestCertificate&) = delete;
  TestCertificate& operator=(const TestCertificate&) = delete;

  // As PEM files; the key's is for its owner alone. Both return `path`.
  std::string WriteCertificate(const std::string& path) const;
  std::string WriteKey(const std::string& path) const;

 private:
  void AddExtension(int nid, const char* value);

  EVP_PKEY* key_;
  X509* certificate_;
};

}  // namespace assent::test_support
