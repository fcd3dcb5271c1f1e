// TLS for every door, from PEM files. Both ends show a certificate where a CA is given.
#pragma once

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"

namespace assent {
class OptionSet;
}

namespace assent::rpc {

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

// Insecure credentials if `files` is empty. FAILED_PRECONDITION with all problems of CheckTlsFiles.
// Files are read once: a renewed certificate needs a restart.
Result<std::shared_ptr<grpc::ServerCredentials>> ServerCredentials(const TlsFiles& files);
Result<std::shared_ptr<grpc::ChannelCredentials>> ChannelCredentials(const TlsFiles& files);

}  // namespace assent::rpc
