#include "base/rpc/credentials.h"

#include "base/mutant.h"

namespace assent::rpc {

Result<std::shared_ptr<grpc::ServerCredentials>> ServerCredentials(const TlsFiles& files) {
  if (files.empty()) return grpc::InsecureServerCredentials();
  Result<tls::Pem> pem = tls::LoadTlsFiles(files, Side::kServer);
  if (!pem.ok()) return pem.status();
  grpc::SslServerCredentialsOptions options(
      pem->ca.empty() || MutantOn(Mutant::kClientsUnasked)
          ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
          : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = pem->ca;
  options.pem_key_cert_pairs.push_back({pem->key, pem->cert});
  return grpc::SslServerCredentials(options);
}

Result<std::shared_ptr<grpc::ChannelCredentials>> ChannelCredentials(const TlsFiles& files) {
  if (files.empty()) return grpc::InsecureChannelCredentials();
  Result<tls::Pem> pem = tls::LoadTlsFiles(files, Side::kClient);
  if (!pem.ok()) return pem.status();
  return grpc::SslCredentials({pem->ca, pem->key, pem->cert});
}

}  // namespace assent::rpc
