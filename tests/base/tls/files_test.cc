#include "base/tls/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/support/temp_dir.h"
#include "tests/support/test_certificate.h"

namespace assent::tls {
namespace {

using test_support::TestCertificate;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class TlsFilesTest : public ::testing::Test {
 protected:
  std::string WriteCertificate(const std::string& name, const TestCertificate& of) {
    return of.WriteCertificate(directory_.File(name));
  }
  std::string WriteKey(const std::string& name, const TestCertificate& of) {
    return of.WriteKey(directory_.File(name));
  }

  test_support::TempDir directory_;
  TestCertificate ca_;
  TestCertificate leaf_{&ca_};
  TlsFiles files_ = {.ca_file = WriteCertificate("ca.pem", ca_),
                     .cert_file = WriteCertificate("cert.pem", leaf_),
                     .key_file = WriteKey("key.pem", leaf_)};
};

TEST_F(TlsFilesTest, AGoodSetIsLoaded) {
  EXPECT_THAT(CheckTlsFiles({}, Side::kClient), IsEmpty());
  EXPECT_THAT(CheckTlsFiles(files_, Side::kServer), IsEmpty());
  Result<Pem> pem = LoadTlsFiles(files_, Side::kClient);
  ASSERT_TRUE(pem.ok()) << pem.status().ToString();
  EXPECT_THAT(pem->key, HasSubstr("PRIVATE KEY"));
}

TEST_F(TlsFilesTest, AllProblemsOfTheFilesAreTold) {
  std::string garbage = directory_.File("garbage.pem");
  std::ofstream(garbage) << "not a certificate";
  std::string open_key = WriteKey("open.pem", leaf_);
  ASSERT_EQ(chmod(open_key.c_str(), 0644), 0);
  EXPECT_THAT(CheckTlsFiles({garbage, "/nowhere.pem", open_key}, Side::kServer),
              ElementsAre(AllOf(HasSubstr("tls_cert_file /nowhere.pem"), HasSubstr("No such file")),
                          AllOf(HasSubstr("tls_key_file " + open_key), HasSubstr("chmod 0600")),
                          AllOf(HasSubstr("tls_ca_file " + garbage), HasSubstr("PEM"))));
  auto server = LoadTlsFiles({garbage, "/nowhere.pem", open_key}, Side::kServer);
  EXPECT_EQ(server.status().code(), Code::kFailedPrecondition);
}

TEST_F(TlsFilesTest, HalfASetIsTold) {
  EXPECT_THAT(CheckTlsFiles({.ca_file = files_.ca_file}, Side::kServer),
              ElementsAre(HasSubstr("also needs tls_cert_file")));
  EXPECT_THAT(CheckTlsFiles({.ca_file = files_.ca_file}, Side::kClient), IsEmpty());
  EXPECT_THAT(
      CheckTlsFiles({.ca_file = files_.ca_file, .cert_file = files_.cert_file}, Side::kClient),
      ElementsAre(HasSubstr("without tls_key_file")));
  EXPECT_THAT(
      CheckTlsFiles({.cert_file = files_.cert_file, .key_file = files_.key_file}, Side::kClient),
      ElementsAre(HasSubstr("tls_ca_file is needed")));
}

TEST_F(TlsFilesTest, AKeyOfAnotherCertificateAndAnExpiredOneAreTold) {
  TlsFiles wrong = files_;
  wrong.key_file = WriteKey("ca-key.pem", ca_);
  EXPECT_THAT(CheckTlsFiles(wrong, Side::kServer), ElementsAre(HasSubstr("is not the key of")));
  TestCertificate expired(&ca_, "DNS:localhost", -60);
  wrong.cert_file = WriteCertificate("expired.pem", expired);
  wrong.key_file = WriteKey("expired-key.pem", expired);
  EXPECT_THAT(CheckTlsFiles(wrong, Side::kServer), ElementsAre(HasSubstr("has expired")));
}

}  // namespace
}  // namespace assent::tls
