#include "ctl/certs/x509.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <utility>

namespace assent::certs {
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
using Number = std::unique_ptr<BIGNUM, Free<BN_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>>;
using Names = std::unique_ptr<GENERAL_NAMES, Free<GENERAL_NAMES_free>>;

constexpr const char* kOrganization = "assent";
// Serial numbers have at most 20 bytes, and are positive (RFC 5280).
constexpr int kSerialBits = 159;

// Instead of asking at the terminal, which OpenSSL does by default.
int NoPassphrase(char*, int, int, void*) { return -1; }

// What OpenSSL says of its latest failure; forgets the others.
Status Failed(const std::string& doing) {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  std::string why = reason != nullptr ? reason : "no reason given";
  ERR_clear_error();
  return Internal(doing + ": OpenSSL: " + why);
}

Bio BioOf(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string TextOf(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<size_t>(size)) : std::string();
}

Certificate ParseCertificate(const std::string& pem) {
  Certificate certificate(PEM_read_bio_X509(BioOf(pem).get(), nullptr, NoPassphrase, nullptr));
  ERR_clear_error();
  return certificate;
}

bool AddName(X509_NAME* to, const char* field, std::string_view text) {
  return X509_NAME_add_entry_by_txt(to, field, MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(text.data()),
                                    static_cast<int>(text.size()), -1, 0) == 1;
}

bool SetSubject(X509* certificate, const Plan& plan) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  return AddName(subject, "O", kOrganization) && AddName(subject, "OU", RoleName(plan.role)) &&
         AddName(subject, "CN", plan.name);
}

bool SetSerial(X509* certificate) {
  Number serial(BN_new());
  return serial && BN_rand(serial.get(), kSerialBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool SetTime(ASN1_TIME* to, WallTime time) {
  return ASN1_TIME_set(to, std::chrono::system_clock::to_time_t(time)) != nullptr;
}

bool AddExtensions(X509* certificate, X509* issuer, const Plan& plan) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  for (const Extension& extension : ExtensionsOf(plan)) {
    ExtensionPtr made(
        X509V3_EXT_conf(nullptr, &context, extension.name.c_str(), extension.value.c_str()));
    if (!made || X509_add_ext(certificate, made.get(), -1) != 1) return false;
  }
  return true;
}

// Without an issuer the certificate signs itself.
Result<Identity> Make(const Plan& plan, X509* issuer, EVP_PKEY* issuer_key) {
  const std::string doing = "certificate of " + plan.name;
  Key key(EVP_EC_gen("P-256"));
  Certificate certificate(X509_new());
  if (!key || !certificate) return Failed(doing);
  X509* c = certificate.get();
  X509* signer = issuer != nullptr ? issuer : c;
  bool made = X509_set_version(c, X509_VERSION_3) == 1 && SetSerial(c) && SetSubject(c, plan) &&
              X509_set_issuer_name(c, X509_get_subject_name(signer)) == 1 &&
              SetTime(X509_getm_notBefore(c), plan.validity.not_before) &&
              SetTime(X509_getm_notAfter(c), plan.validity.not_after) &&
              X509_set_pubkey(c, key.get()) == 1 && AddExtensions(c, signer, plan) &&
              X509_sign(c, issuer != nullptr ? issuer_key : key.get(), EVP_sha256()) > 0;
  Bio certificate_pem(BIO_new(BIO_s_mem()));
  Bio key_pem(BIO_new(BIO_s_secmem()));
  if (!made || !certificate_pem || !key_pem || PEM_write_bio_X509(certificate_pem.get(), c) != 1 ||
      PEM_write_bio_PrivateKey(key_pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
          1) {
    return Failed(doing);
  }
  return Identity{TextOf(certificate_pem.get()), TextOf(key_pem.get())};
}

WallTime TimeOf(const ASN1_TIME* time) {
  tm parts = {};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return std::chrono::floor<std::chrono::seconds>(
      std::chrono::system_clock::from_time_t(timegm(&parts)));
}

Validity ValidityOf(const X509* certificate) {
  return {TimeOf(X509_get0_notBefore(certificate)), TimeOf(X509_get0_notAfter(certificate))};
}

std::string NameText(const X509_NAME* name) {
  Bio text(BIO_new(BIO_s_mem()));
  if (!text || X509_NAME_print_ex(text.get(), name, 0, XN_FLAG_RFC2253) < 0) return "";
  return TextOf(text.get());
}

// The last field of that kind, in UTF-8; empty if there is none.
std::string Field(const X509_NAME* name, int nid) {
  int at = -1;
  for (int next; (next = X509_NAME_get_index_by_NID(name, nid, at)) >= 0;) at = next;
  if (at < 0) return "";
  unsigned char* utf8 = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
  if (size < 0) return "";
  std::string text(reinterpret_cast<char*>(utf8), static_cast<size_t>(size));
  OPENSSL_free(utf8);
  return text;
}

std::string HostOf(const GENERAL_NAME* name) {
  int type = 0;
  const auto* value = static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(name, &type));
  if (type != GEN_DNS && type != GEN_IPADD) return "";
  const unsigned char* data = ASN1_STRING_get0_data(value);
  const int size = ASN1_STRING_length(value);
  if (type == GEN_DNS) {
    return std::string(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
  }
  if (size != 4 && size != 16) return "";
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(size == 4 ? AF_INET : AF_INET6, data, text, sizeof(text));
  return text;
}

std::vector<std::string> HostsOf(const X509* certificate) {
  std::vector<std::string> hosts;
  Names names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    std::string host = HostOf(sk_GENERAL_NAME_value(names.get(), i));
    if (!host.empty()) hosts.push_back(std::move(host));
  }
  return hosts;
}

std::string SerialOf(const X509* certificate) {
  Number serial(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
  char* hex = serial ? BN_bn2hex(serial.get()) : nullptr;
  std::string text = hex != nullptr ? hex : "";
  OPENSSL_free(hex);
  return text;
}

Facts FactsOf(const X509* certificate) {
  const X509_NAME* subject = X509_get_subject_name(certificate);
  Facts facts{.subject = NameText(subject),
              .issuer = NameText(X509_get_issuer_name(certificate)),
              .serial = SerialOf(certificate),
              .name = Field(subject, NID_commonName),
              .role = std::nullopt,
              .hosts = HostsOf(certificate),
              .validity = ValidityOf(certificate)};
  if (Field(subject, NID_organizationName) == kOrganization) {
    facts.role = ParseRole(Field(subject, NID_organizationalUnitName));
  }
  return facts;
}

}  // namespace

struct Authority::Impl {
  Certificate certificate;
  Key key;
  Validity validity;
};

Authority::Authority(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Authority::~Authority() = default;
Authority::Authority(Authority&&) noexcept = default;
Authority& Authority::operator=(Authority&&) noexcept = default;

Result<Identity> MakeAuthority(const Plan& plan) { return Make(plan, nullptr, nullptr); }

Result<Authority> Authority::Load(const Identity& identity) {
  auto impl = std::make_unique<Impl>();
  impl->certificate = ParseCertificate(identity.certificate_pem);
  if (!impl->certificate) return FailedPrecondition("ca.pem holds no certificate in PEM form");
  impl->key.reset(
      PEM_read_bio_PrivateKey(BioOf(identity.key_pem).get(), nullptr, NoPassphrase, nullptr));
  ERR_clear_error();
  if (!impl->key) return FailedPrecondition("ca.key holds no unencrypted private key in PEM form");
  if (X509_check_private_key(impl->certificate.get(), impl->key.get()) != 1) {
    ERR_clear_error();
    return FailedPrecondition("ca.key is not the key of the certificate in ca.pem");
  }
  // 1: by its basic constraints; other kinds are of before X.509 version 3.
  if (X509_check_ca(impl->certificate.get()) != 1) {
    return FailedPrecondition("ca.pem is not the certificate of an authority");
  }
  impl->validity = ValidityOf(impl->certificate.get());
  return Authority(std::move(impl));
}

const Validity& Authority::validity() const { return impl_->validity; }

Result<Identity> Authority::Sign(const Plan& plan) const {
  return Make(plan, impl_->certificate.get(), impl_->key.get());
}

bool Authority::HasSigned(const std::string& certificate_pem) const {
  Certificate certificate = ParseCertificate(certificate_pem);
  const bool signed_by_us = certificate && X509_verify(certificate.get(), impl_->key.get()) == 1;
  ERR_clear_error();
  return signed_by_us;
}

std::vector<Facts> ReadCertificates(const std::string& pem) {
  std::vector<Facts> all;
  Bio bio = BioOf(pem);
  while (true) {
    Certificate certificate(PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr));
    if (!certificate) break;
    all.push_back(FactsOf(certificate.get()));
  }
  ERR_clear_error();
  return all;
}

}  // namespace assent::certs
