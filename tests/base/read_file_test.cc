#include "base/read_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace assent {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class ReadFileTest : public ::testing::Test {
 protected:
  ReadFileTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "assent-read-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    path_ = directory_ + "/secret";
    std::ofstream(path_) << "hush\n";
  }
  ~ReadFileTest() override { std::filesystem::remove_all(directory_); }

  std::string directory_;
  std::string path_;
};

TEST_F(ReadFileTest, ASecretMustBeItsOwnersAlone) {
  for (mode_t mode : {0600, 0400, 0640, 0440}) {
    ASSERT_EQ(chmod(path_.c_str(), mode), 0);
    Result<std::string> text = ReadPrivateFile("password file", path_);
    ASSERT_TRUE(text.ok()) << text.status().ToString();
    EXPECT_EQ(*text, "hush\n");
  }
  for (mode_t mode : {0644, 0604, 0602, 0660, 0777}) {
    ASSERT_EQ(chmod(path_.c_str(), mode), 0);
    EXPECT_TRUE(ReadFile("file", path_).ok());
    Result<std::string> text = ReadPrivateFile("password file", path_);
    ASSERT_FALSE(text.ok()) << std::oct << mode;
    EXPECT_THAT(text.status().message(),
                AllOf(HasSubstr("password file " + path_), HasSubstr("chmod 0600")));
  }
}

TEST_F(ReadFileTest, WhatCannotBeReadIsNamed) {
  EXPECT_EQ(ReadFile("file", directory_ + "/none").status().code(), Code::kNotFound);
  EXPECT_EQ(ReadFile("file", directory_).status().code(), Code::kFailedPrecondition);
  ASSERT_EQ(mkfifo((directory_ + "/pipe").c_str(), 0600), 0);
  EXPECT_EQ(ReadFile("file", directory_ + "/pipe").status().code(), Code::kFailedPrecondition);
  std::ofstream(path_) << std::string((1 << 20) + 1, 'x');
  EXPECT_THAT(ReadFile("file", path_).status().message(), HasSubstr("larger than 1 MiB"));
}

}  // namespace
}  // namespace assent
