// TLS for every door, from PEM files.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace assent {
class OptionSet;
}

namespace assent::tls {

// Paths; all empty means no TLS. A server needs cert_file and key_file, and with ca_file demands
// certificates of its clients. A client needs ca_file, and shows a certificate if it has one.
struct TlsFiles {
  std::string ca_file;
  std::string cert_file;
  std::string key_file;

  bool empty() const { return ca_file.empty() && cert_file.empty() && key_file.empty(); }
};

enum class Side { kServer, kClient };

// Adds tls_ca_file, tls_cert_file and tls_key_file.
void AddTlsOptions(OptionSet& set, TlsFiles* files);

// Every problem: a file is missing, unreadable or no PEM, the key is readable by others or does not
// fit the certificate, the certificate has expired, a file of the set is not given. Reads the
// files. For OptionSet::AddCheck.
std::vector<std::string> CheckTlsFiles(const TlsFiles& files, Side side);

// What the files hold, as PEM; empty where no file is given.
struct Pem {
  std::string ca;
  std::string cert;
  std::string key;
};

// FAILED_PRECONDITION with all problems of CheckTlsFiles, one a line. `files` must not be empty.
Result<Pem> LoadTlsFiles(const TlsFiles& files, Side side);

}  // namespace assent::tls
