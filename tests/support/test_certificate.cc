#include "tests/support/test_certificate.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <cstdio>

namespace assent::test_support {

TestCertificate::TestCertificate(const TestCertificate* issuer, const std::string& names,
                                 long valid_seconds)
    : key_(EVP_EC_gen("P-256")), certificate_(X509_new()) {
  static long serial = 0;
  X509_set_version(certificate_, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate_), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate_), -7200);
  X509_gmtime_adj(X509_getm_notAfter(certificate_), valid_seconds);
  X509_set_pubkey(certificate_, key_);
  std::string name = "assent test " + std::to_string(serial);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate_), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  const TestCertificate& signer = issuer != nullptr ? *issuer : *this;
  X509_set_issuer_name(certificate_, X509_get_subject_name(signer.certificate_));
  AddExtension(NID_basic_constraints, issuer != nullptr ? "CA:FALSE" : "critical,CA:TRUE");
  AddExtension(NID_subject_alt_name, names.c_str());
  X509_sign(certificate_, signer.key_, EVP_sha256());
}

TestCertificate::~TestCertificate() {
  X509_free(certificate_);
  EVP_PKEY_free(key_);
}

void TestCertificate::AddExtension(int nid, const char* value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
  X509_add_ext(certificate_, extension, -1);
  X509_EXTENSION_free(extension);
}

std::string TestCertificate::WriteCertificate(const std::string& path) const {
  FILE* file = fopen(path.c_str(), "w");
  PEM_write_X509(file, certificate_);
  fclose(file);
  return path;
}

std::string TestCertificate::WriteKey(const std::string& path) const {
  FILE* file = fopen(path.c_str(), "w");
  PEM_write_PrivateKey(file, key_, nullptr, nullptr, 0, nullptr, nullptr);
  fclose(file);
  chmod(path.c_str(), 0600);
  return path;
}

}  // namespace assent::test_support
