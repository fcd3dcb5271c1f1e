// deploy/*.toml is what the programs themselves print: every key, its default, unit and reason.
// ASSENT_REWRITE=1 writes the files anew.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "tests/support/paths.h"

namespace assent {
namespace {

struct Answer {
  int exit_code = -1;
  std::string output;
};

Answer Ask(const std::string& program, const std::string& arguments) {
  std::string command =
      assent::tests::BinDir() + "/" + program + " " + arguments + " 2>&1 </dev/null";
  FILE* pipe = popen(command.c_str(), "r");
  Answer answer;
  char buffer[4096];
  while (size_t count = fread(buffer, 1, sizeof(buffer), pipe)) answer.output.append(buffer, count);
  int status = pclose(pipe);
  if (WIFEXITED(status)) answer.exit_code = WEXITSTATUS(status);
  return answer;
}

class SampleConfigTest : public ::testing::TestWithParam<const char*> {
 protected:
  SampleConfigTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "assent-sample-XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~SampleConfigTest() override { std::filesystem::remove_all(directory_); }

  std::string program_ = GetParam();
  std::string deployed_ = assent::tests::SourceDir() + "/deploy/" + program_ + ".toml";
  std::string directory_;
};

TEST_P(SampleConfigTest, IsWhatTheProgramPrints) {
  Answer sample = Ask(program_, "--sample-config");
  ASSERT_EQ(sample.exit_code, 0) << sample.output;
  if (getenv("ASSENT_REWRITE") != nullptr) std::ofstream(deployed_) << sample.output;
  std::ifstream file(deployed_);
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), sample.output) << "run this test with ASSENT_REWRITE=1";
}

// The examples of required keys name files that are not here; every key and every value must be
// good all the same.
TEST_P(SampleConfigTest, UncommentedItHoldsNoUnknownKeyAndNoBadValue) {
  Answer sample = Ask(program_, "--sample-config");
  std::string path = directory_ + "/all.toml";
  std::ofstream(path) << std::regex_replace(sample.output, std::regex("\n#([a-z\\[])"), "\n$1");
  Answer check = Ask(program_, "--check-config --config " + path);
  for (const char* mistake :
       {"no such key", "expected", "not valid TOML", "out of range", "not a choice", "required"}) {
    EXPECT_EQ(check.output.find(mistake), std::string::npos) << check.output;
  }
}

TEST_P(SampleConfigTest, AKeyThatDoesNotExistIsNamedWithItsLine) {
  std::string path = directory_ + "/wrong.toml";
  std::ofstream(path) << "\nno_such_key_at_all = 1\n";
  Answer check = Ask(program_, "--check-config --config " + path);
  EXPECT_EQ(check.exit_code, 2);
  EXPECT_NE(check.output.find(path + ":2: no_such_key_at_all: no such key"), std::string::npos)
      << check.output;
}

INSTANTIATE_TEST_SUITE_P(Programs, SampleConfigTest, ::testing::Values("assentd", "assent-agent"),
                         [](const auto& program) {
                           std::string name = program.param;
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace assent
