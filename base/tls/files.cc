#include "base/tls/files.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>
#include <utility>

#include "base/options.h"
#include "base/read_file.h"

namespace assent::tls {
namespace {

template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Bio = std::unique_ptr<BIO, Free<BIO_free>>;

// Instead of asking at the terminal, which OpenSSL does by default.
int NoPassphrase(char*, int, int, void*) { return -1; }

Bio BioOf(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

class Reader {
 public:
  std::string Read(const std::string& what, const std::string& path, bool secret) {
    if (path.empty()) return "";
    Result<std::string> text = secret ? ReadPrivateFile(what, path) : ReadFile(what, path);
    if (text.ok()) return *text;
    problems.push_back(text.status().message());
    return "";
  }

  // Null after noting the problem.
  Certificate ReadCertificate(const std::string& what, const std::string& path,
                              const std::string& text) {
    if (text.empty()) return nullptr;
    Certificate certificate(PEM_read_bio_X509(BioOf(text).get(), nullptr, NoPassphrase, nullptr));
    if (!certificate) {
      problems.push_back(what + " " + path +
                         ": holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
    } else if (X509_cmp_current_time(X509_get0_notAfter(certificate.get())) < 0) {
      problems.push_back(what + " " + path + ": the certificate has expired; renew it");
    }
    return certificate;
  }

  Key ReadKey(const std::string& path, const std::string& text) {
    if (text.empty()) return nullptr;
    Key key(PEM_read_bio_PrivateKey(BioOf(text).get(), nullptr, NoPassphrase, nullptr));
    if (!key) {
      problems.push_back("tls_key_file " + path +
                         ": holds no unencrypted private key in PEM form (-----BEGIN PRIVATE "
                         "KEY-----)");
    }
    return key;
  }

  std::vector<std::string> problems;
};

Pem Load(const TlsFiles& files, Side side, std::vector<std::string>* problems) {
  Reader reader;
  if (files.cert_file.empty() != files.key_file.empty()) {
    reader.problems.push_back(files.key_file.empty()
                                  ? "tls_cert_file is given without tls_key_file; give both"
                                  : "tls_key_file is given without tls_cert_file; give both");
  } else if (side == Side::kServer && files.cert_file.empty()) {
    reader.problems.push_back(
        "tls_ca_file is given, but a server also needs tls_cert_file and tls_key_file");
  }
  if (side == Side::kClient && files.ca_file.empty()) {
    reader.problems.push_back("tls_ca_file is needed, to know the server by");
  }
  Pem pem;
  pem.ca = reader.Read("tls_ca_file", files.ca_file, false);
  pem.cert = reader.Read("tls_cert_file", files.cert_file, false);
  pem.key = reader.Read("tls_key_file", files.key_file, true);
  Certificate ca = reader.ReadCertificate("tls_ca_file", files.ca_file, pem.ca);
  Certificate cert = reader.ReadCertificate("tls_cert_file", files.cert_file, pem.cert);
  Key key = reader.ReadKey(files.key_file, pem.key);
  if (cert && key && X509_check_private_key(cert.get(), key.get()) != 1) {
    reader.problems.push_back("tls_key_file " + files.key_file +
                              ": is not the key of the certificate in " + files.cert_file);
  }
  ERR_clear_error();  // Others in this thread would take ours for their own.
  *problems = std::move(reader.problems);
  return pem;
}

Status AsStatus(const std::vector<std::string>& problems) {
  std::string all;
  for (const std::string& problem : problems) all += (all.empty() ? "" : "\n") + problem;
  return FailedPrecondition(all);
}

}  // namespace

void AddTlsOptions(OptionSet& set, TlsFiles* files) {
  set.Add(
      "tls_ca_file", &files->ca_file,
      "PEM file with the certificates of the authorities that the other side's certificate must "
      "come from. A server that has one refuses clients without a certificate.");
  set.Add("tls_cert_file", &files->cert_file,
          "PEM file with this program's certificate. Without one, nothing listens beyond this "
          "machine's loopback.");
  set.Add("tls_key_file", &files->key_file,
          "PEM file with the certificate's private key, unencrypted; other users must not be able "
          "to read it.");
}

std::vector<std::string> CheckTlsFiles(const TlsFiles& files, Side side) {
  std::vector<std::string> problems;
  if (!files.empty()) Load(files, side, &problems);
  return problems;
}

Result<Pem> LoadTlsFiles(const TlsFiles& files, Side side) {
  std::vector<std::string> problems;
  Pem pem = Load(files, side, &problems);
  if (!problems.empty()) return AsStatus(problems);
  return pem;
}

}  // namespace assent::tls
