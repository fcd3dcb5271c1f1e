// TLS of gRPC, from the PEM files of base/tls. Both ends show a certificate where a CA is given.
#pragma once

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "base/status.h"
#include "base/tls/files.h"

namespace assent::rpc {

using tls::AddTlsOptions;
using tls::CheckTlsFiles;
using tls::Side;
using tls::TlsFiles;

// Insecure credentials if `files` is empty. FAILED_PRECONDITION with all problems of CheckTlsFiles.
// Files are read once: a renewed certificate needs a restart.
Result<std::shared_ptr<grpc::ServerCredentials>> ServerCredentials(const TlsFiles& files);
Result<std::shared_ptr<grpc::ChannelCredentials>> ChannelCredentials(const TlsFiles& files);

}  // namespace assent::rpc
