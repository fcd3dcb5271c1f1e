// Keys and certificates in PEM form, by OpenSSL. No files: those are store.h's.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "ctl/certs/plan.h"

namespace assent::certs {

// A certificate and its private key, unencrypted: a secret.
struct Identity {
  std::string certificate_pem;
  std::string key_pem;
};

// A certificate that signs itself, with a new EC key (P-256). INTERNAL: OpenSSL failed.
Result<Identity> MakeAuthority(const Plan& plan);

// An authority that can sign. Thread-compatible.
class Authority {
 public:
  // FAILED_PRECONDITION: not PEM, the key is not the certificate's or is encrypted, or the
  // certificate is no authority's.
  static Result<Authority> Load(const Identity& identity);
  ~Authority();
  Authority(Authority&&) noexcept;
  Authority& operator=(Authority&&) noexcept;

  const Validity& validity() const;
  // A certificate with a new EC key (P-256) and a random serial number. INTERNAL: OpenSSL failed.
  Result<Identity> Sign(const Plan& plan) const;
  // Whether the first certificate of `certificate_pem` carries this authority's signature.
  bool HasSigned(const std::string& certificate_pem) const;

 private:
  struct Impl;
  explicit Authority(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// What a certificate says. Its text may hold anything if it is not ours.
struct Facts {
  std::string subject;       // RFC 2253: "CN=node1,OU=node,O=assent".
  std::string issuer;        // Likewise.
  std::string serial;        // Hexadecimal.
  std::string name;          // CN; empty: none.
  std::optional<Role> role;  // None: not made by these tools.
  std::vector<std::string> hosts;
  Validity validity;
};

// Every certificate of the text, in its order; none if there is none that can be read.
std::vector<Facts> ReadCertificates(const std::string& pem);

}  // namespace assent::certs
