// What is made is judged by OpenSSL's own verification, which shares nothing with our code but the
// library.
#include "ctl/certs/x509.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <memory>

#include "base/mutant.h"

namespace assent::certs {
namespace {

using std::chrono::hours;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

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
using Store = std::unique_ptr<X509_STORE, Free<X509_STORE_free>>;
using Context = std::unique_ptr<X509_STORE_CTX, Free<X509_STORE_CTX_free>>;

Certificate Parse(const std::string& pem) {
  Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return Certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

Key ParseKey(const std::string& pem) {
  Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return Key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
}

WallTime Now() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

struct Use {
  int purpose = X509_PURPOSE_SSL_CLIENT;
  WallTime when = Now();
  std::string host;  // Empty: not asked.
  std::string address;
};

// "ok", or why a peer that trusts `authority` alone refuses the certificate for this use.
std::string Verify(const Identity& authority, const Identity& leaf, const Use& use) {
  Certificate root = Parse(authority.certificate_pem);
  Certificate certificate = Parse(leaf.certificate_pem);
  Store store(X509_STORE_new());
  X509_STORE_add_cert(store.get(), root.get());
  Context context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), certificate.get(), nullptr);
  X509_VERIFY_PARAM* asked = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_purpose(asked, use.purpose);
  X509_VERIFY_PARAM_set_flags(asked, X509_V_FLAG_X509_STRICT);
  X509_VERIFY_PARAM_set_time(asked, std::chrono::system_clock::to_time_t(use.when));
  if (!use.host.empty()) X509_VERIFY_PARAM_set1_host(asked, use.host.c_str(), 0);
  if (!use.address.empty()) X509_VERIFY_PARAM_set1_ip_asc(asked, use.address.c_str());
  if (X509_verify_cert(context.get()) == 1) return "ok";
  return X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
}

class X509Test : public testing::Test {
 protected:
  static Identity NewAuthority(const char* number) {
    auto made = MakeAuthority(PlanAuthority(number, Now()));
    EXPECT_TRUE(made.ok()) << made.status().ToString();
    return *made;
  }
  Identity Sign(const Request& request) {
    auto authority = Authority::Load(ca_);
    EXPECT_TRUE(authority.ok()) << authority.status().ToString();
    auto plan = PlanCertificate(request, authority->validity(), Now());
    EXPECT_TRUE(plan.ok()) << plan.status().ToString();
    auto made = authority->Sign(*plan);
    EXPECT_TRUE(made.ok()) << made.status().ToString();
    return *made;
  }

  const Identity ca_ = NewAuthority("1");
};

TEST_F(X509Test, EachRoleMayDoItsWorkAndNoOther) {
  const Identity node = Sign({Role::kNode, "node1", {"node1.example", "10.0.0.1"}});
  const Identity agent = Sign({Role::kAgent, "orders-1"});
  const Identity client = Sign({Role::kClient, "ops"});
  const Use serve{.purpose = X509_PURPOSE_SSL_SERVER};
  for (const Identity* each : {&node, &agent, &client}) EXPECT_EQ(Verify(ca_, *each, {}), "ok");
  EXPECT_EQ(Verify(ca_, node, serve), "ok");
  EXPECT_EQ(Verify(ca_, agent, serve), "ok");
  EXPECT_THAT(Verify(ca_, client, serve), HasSubstr("unsuitable certificate purpose"));
}

#if defined(ASSENT_FAILPOINTS)
// The proof that the test above would notice.
TEST_F(X509Test, SeededBugAClientsCertificateServes) {
  ScopedMutant bug(Mutant::kClientMayServe);
  EXPECT_EQ(Verify(ca_, Sign({Role::kClient, "ops"}), {.purpose = X509_PURPOSE_SSL_SERVER}), "ok");
}
#endif

TEST_F(X509Test, ServersAreKnownByTheirHosts) {
  const Identity node = Sign({Role::kNode, "node1", {"node1.example", "10.0.0.1", "::1"}});
  const int serve = X509_PURPOSE_SSL_SERVER;
  EXPECT_EQ(Verify(ca_, node, {.purpose = serve, .host = "node1.example"}), "ok");
  EXPECT_EQ(Verify(ca_, node, {.purpose = serve, .address = "10.0.0.1"}), "ok");
  EXPECT_EQ(Verify(ca_, node, {.purpose = serve, .address = "::1"}), "ok");
  EXPECT_THAT(Verify(ca_, node, {.purpose = serve, .host = "node1"}), HasSubstr("mismatch"));
  EXPECT_THAT(Verify(ca_, node, {.purpose = serve, .address = "10.0.0.2"}), HasSubstr("mismatch"));
}

TEST_F(X509Test, AnotherAuthorityAndAnotherTimeAreRefused) {
  const Identity leaf = Sign({Role::kClient, "ops", {}, Days(10)});
  EXPECT_THAT(Verify(NewAuthority("2"), leaf, {}), HasSubstr("issuer certificate"));
  // The same name, another key.
  EXPECT_NE(Verify(NewAuthority("1"), leaf, {}), "ok");
  EXPECT_EQ(Verify(ca_, leaf, {.when = Now() + Days(9)}), "ok");
  EXPECT_THAT(Verify(ca_, leaf, {.when = Now() + Days(11)}), HasSubstr("expired"));
  EXPECT_THAT(Verify(ca_, leaf, {.when = Now() - hours(2)}), HasSubstr("not yet valid"));
}

TEST_F(X509Test, WhatIsSignedSignsNothing) {
  const Identity node = Sign({Role::kNode, "node1", {"h"}});
  EXPECT_EQ(Authority::Load(node).status().message(),
            "ca.pem is not the certificate of an authority");
}

TEST_F(X509Test, KeysAreNewAndFitAndSerialsAreRandom) {
  const Identity one = Sign({Role::kClient, "ops"});
  const Identity two = Sign({Role::kClient, "ops"});
  for (const Identity* each : {&ca_, &one, &two}) {
    Certificate certificate = Parse(each->certificate_pem);
    Key key = ParseKey(each->key_pem);
    ASSERT_TRUE(certificate && key);
    EXPECT_EQ(X509_check_private_key(certificate.get(), key.get()), 1);
    EXPECT_EQ(EVP_PKEY_get_bits(key.get()), 256);
    EXPECT_EQ(EVP_PKEY_get_base_id(key.get()), EVP_PKEY_EC);
    const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate.get());
    EXPECT_EQ(ASN1_STRING_type(serial), V_ASN1_INTEGER) << "negative";
    EXPECT_GE(ASN1_STRING_length(serial), 16);
    EXPECT_LE(ASN1_STRING_length(serial), 20);
  }
  EXPECT_NE(one.key_pem, two.key_pem);
  EXPECT_NE(ReadCertificates(one.certificate_pem).at(0).serial,
            ReadCertificates(two.certificate_pem).at(0).serial);
}

TEST_F(X509Test, FactsAreThoseOfThePlan) {
  const Identity node = Sign({Role::kNode, "node1", {"node1.example", "10.0.0.1", "::1"}, Days(7)});
  std::vector<Facts> all = ReadCertificates(node.certificate_pem + ca_.certificate_pem);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].subject, "CN=node1,OU=node,O=assent");
  EXPECT_EQ(all[0].issuer, all[1].subject);
  EXPECT_EQ(all[0].name, "node1");
  EXPECT_EQ(all[0].role, Role::kNode);
  EXPECT_THAT(all[0].hosts, ElementsAre("node1.example", "10.0.0.1", "::1", "assent-node"));
  EXPECT_LE(all[0].validity.not_after - Now(), Days(7));
  EXPECT_GT(all[0].validity.not_after - Now(), Days(7) - std::chrono::minutes(5));
  EXPECT_EQ(all[1].role, Role::kAuthority);
  EXPECT_THAT(ReadCertificates(ca_.key_pem), IsEmpty());
  EXPECT_THAT(ReadCertificates("no PEM at all"), IsEmpty());
}

TEST_F(X509Test, AnAuthorityKnowsItsOwnSignature) {
  auto authority = Authority::Load(ca_);
  ASSERT_TRUE(authority.ok());
  EXPECT_TRUE(authority->HasSigned(Sign({Role::kClient, "ops"}).certificate_pem));
  EXPECT_FALSE(authority->HasSigned(NewAuthority("1").certificate_pem));
  EXPECT_FALSE(authority->HasSigned("no PEM at all"));
}

TEST_F(X509Test, AuthoritiesThatAreNoGoodAreTold) {
  const Identity other = NewAuthority("2");
  EXPECT_THAT(Authority::Load({ca_.certificate_pem, other.key_pem}).status().message(),
              HasSubstr("not the key"));
  EXPECT_THAT(Authority::Load({"", ca_.key_pem}).status().message(), HasSubstr("ca.pem"));
  EXPECT_THAT(Authority::Load({ca_.certificate_pem, ""}).status().message(), HasSubstr("ca.key"));
}

}  // namespace
}  // namespace assent::certs
