#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/mutant.h"
#include "base/tls/context.h"
#include "txlog/transport/stream.h"

namespace assent::txlog {
namespace {

// What one record of TLS holds at most: small frames are gathered up to that.
constexpr size_t kRecordBytes = 16 << 10;

bool IsNumeric(const std::string& host) {
  in6_addr address;
  return inet_pton(AF_INET, host.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

class Tls final : public Stream {
 public:
  Tls(Fd fd, SSL_CTX& context) : fd_(std::move(fd)), ssl_(SSL_new(&context)) {
    ASSENT_CHECK(ssl_ != nullptr && SSL_set_fd(ssl_, fd_.get()) == 1);
    SSL_set_mode(ssl_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  }
  ~Tls() override { SSL_free(ssl_); }

  void DialAs(const std::string& expected) {
    SSL_set_connect_state(ssl_);
    expected_ = expected;
    if (MutantOn(Mutant::kAnyCertificate)) return;
    X509_VERIFY_PARAM* verify = SSL_get0_param(ssl_);
    X509_VERIFY_PARAM_set_hostflags(verify, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (IsNumeric(expected)) {
      ASSENT_CHECK(X509_VERIFY_PARAM_set1_ip_asc(verify, expected.c_str()) == 1);
    } else {
      ASSENT_CHECK(X509_VERIFY_PARAM_set1_host(verify, expected.c_str(), expected.size()) == 1);
      SSL_set_tlsext_host_name(ssl_, expected.c_str());
    }
  }
  void Answer() { SSL_set_accept_state(ssl_); }

  int fd() const override { return fd_.get(); }

  Io Shake() override {
    blocked_ = false;
    ERR_clear_error();
    const int n = SSL_do_handshake(ssl_);
    return n == 1 ? Io::kDone : After(n);
  }

  Progress Read(std::span<char> into) override {
    ERR_clear_error();
    size_t bytes = 0;
    const int n = SSL_read_ex(ssl_, into.data(), into.size(), &bytes);
    if (n == 1) return {Io::kDone, bytes, SSL_has_pending(ssl_) == 0};
    return {After(n)};
  }

  Progress Write(std::span<const iovec> from) override {
    blocked_ = false;
    size_t taken = 0;
    if (written_ == record_.size()) {
      record_.clear();
      written_ = 0;
      for (const iovec& part : from) {
        const size_t more = std::min(part.iov_len, kRecordBytes - record_.size());
        record_.append(static_cast<const char*>(part.iov_base), more);
        taken += more;
        if (record_.size() == kRecordBytes) break;
      }
    }
    while (written_ < record_.size()) {
      ERR_clear_error();
      size_t bytes = 0;
      const int n =
          SSL_write_ex(ssl_, record_.data() + written_, record_.size() - written_, &bytes);
      if (n == 1) {
        written_ += bytes;
        continue;
      }
      const Io io = After(n);
      // What was taken is ours now, and is sent once the socket lets us.
      return {io == Io::kBlocked && taken > 0 ? Io::kDone : io, taken};
    }
    return {Io::kDone, taken};
  }

  bool wants_write() const override { return blocked_ || written_ < record_.size(); }

  bool PeerIs(const std::string& name) const override {
    if (MutantOn(Mutant::kAnyCertificate)) return true;
    X509* certificate = SSL_get0_peer_certificate(ssl_);
    if (certificate == nullptr) return false;
    if (IsNumeric(name)) return X509_check_ip_asc(certificate, name.c_str(), 0) == 1;
    return X509_check_host(certificate, name.data(), name.size(),
                           X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, nullptr) == 1;
  }

 private:
  // What a call that did not succeed means.
  Io After(int n) {
    const int system_error = errno;
    switch (SSL_get_error(ssl_, n)) {
      case SSL_ERROR_WANT_READ:
        return Io::kBlocked;
      case SSL_ERROR_WANT_WRITE:
        blocked_ = true;
        return Io::kBlocked;
      case SSL_ERROR_ZERO_RETURN:
        return Close("the other side closed the connection");
      case SSL_ERROR_SYSCALL:
        return Close(system_error == 0 ? "the other side closed the connection"
                                       : strerror(system_error));
      default:
        break;
    }
    const long verified = SSL_get_verify_result(ssl_);
    const std::string errors = tls::TakeErrors();
    if (verified == X509_V_OK) {
      if (errors.find("alert") == std::string::npos) return Close("TLS: " + errors);
      return Close("TLS: the other side refuses this node's certificate: " + errors +
                   "; make both certificates from the same authority and renew expired ones");
    }
    return Close(std::string("TLS: the other side's certificate is refused: ") +
                 X509_verify_cert_error_string(verified) +
                 (expected_.empty() ? "" : ", expected one for " + expected_) +
                 "; make both certificates from the same authority, each for its own host, and "
                 "renew expired ones");
  }

  const Fd fd_;
  SSL* const ssl_;
  std::string expected_;
  std::string record_;  // On its way, from written_ on.
  size_t written_ = 0;
  bool blocked_ = false;
};

}  // namespace

std::unique_ptr<Stream> TlsClientStream(Fd fd, SSL_CTX& context, const std::string& expected) {
  auto stream = std::make_unique<Tls>(std::move(fd), context);
  stream->DialAs(expected);
  return stream;
}

std::unique_ptr<Stream> TlsServerStream(Fd fd, SSL_CTX& context) {
  auto stream = std::make_unique<Tls>(std::move(fd), context);
  stream->Answer();
  return stream;
}

}  // namespace assent::txlog
