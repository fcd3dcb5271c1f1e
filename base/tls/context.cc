#include "base/tls/context.h"

#include <openssl/err.h>

namespace assent::tls {
namespace {

// Instead of asking at the terminal, which OpenSSL does by default.
int NoPassphrase(char*, int, int, void*) { return -1; }

Status CannotUse(const char* option, const std::string& path) {
  return FailedPrecondition(std::string(option) + " " + path +
                            ": OpenSSL refuses it: " + TakeErrors());
}

}  // namespace

std::string TakeErrors() {
  std::string all;
  while (const unsigned long error = ERR_get_error()) {
    const char* reason = ERR_reason_error_string(error);
    all += (all.empty() ? "" : "; ") + std::string(reason != nullptr ? reason : "unknown error");
  }
  return all.empty() ? "no reason given" : all;
}

Status ConfigureContext(SSL_CTX& context, const TlsFiles& files, Side side) {
  if (Result<Pem> pem = LoadTlsFiles(files, side); !pem.ok()) return pem.status();
  ERR_clear_error();
  SSL_CTX_set_default_passwd_cb(&context, NoPassphrase);
  if (!files.cert_file.empty()) {
    if (SSL_CTX_use_certificate_chain_file(&context, files.cert_file.c_str()) != 1) {
      return CannotUse("tls_cert_file", files.cert_file);
    }
    if (SSL_CTX_use_PrivateKey_file(&context, files.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
      return CannotUse("tls_key_file", files.key_file);
    }
  }
  if (files.ca_file.empty()) return Ok();
  if (SSL_CTX_load_verify_locations(&context, files.ca_file.c_str(), nullptr) != 1) {
    return CannotUse("tls_ca_file", files.ca_file);
  }
  SSL_CTX_set_client_CA_list(&context, SSL_load_client_CA_file(files.ca_file.c_str()));
  SSL_CTX_set_verify(&context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return Ok();
}

}  // namespace assent::tls
