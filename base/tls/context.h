// OpenSSL's context from the PEM files, for servers and peers that speak TLS without gRPC.
#pragma once

#include <openssl/ssl.h>

#include "base/status.h"
#include "base/tls/files.h"

namespace assent::tls {

// Gives `context` the certificate, its chain and its key, and with files.ca_file that authority:
// the other side must then show a certificate that comes from it, whichever side we are. Files are
// read once: a renewed certificate needs a restart.
//
// FAILED_PRECONDITION: all problems of CheckTlsFiles, or OpenSSL's word where it is pickier.
Status ConfigureContext(SSL_CTX& context, const TlsFiles& files, Side side);

// What OpenSSL has queued up as errors of this thread, oldest first; the queue is empty afterwards.
std::string TakeErrors();

}  // namespace assent::tls
