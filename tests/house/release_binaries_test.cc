// What is shipped holds no stop points and no seeded bugs. In builds that have them the same search
// must find them: otherwise it would prove nothing.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "tests/support/paths.h"

namespace assent {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrograms[] = {"assentd", "assent-agent", "assentctl"};

std::string Read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void CollectFrom(const std::string& text, const std::regex& pattern, std::set<std::string>* words) {
  for (std::sregex_iterator it(text.begin(), text.end(), pattern), end; it != end; ++it) {
    words->insert((*it)[1]);
  }
}

// The names of all steps in the sources.
std::set<std::string> Steps() {
  static const std::regex step("ASSENT_FAILPOINT\\(\"([^\"]+)\"\\)");
  std::set<std::string> steps;
  for (const char* room : {"base", "txlog", "adapters", "coordinator", "participant-agent"}) {
    for (const auto& entry :
         fs::recursive_directory_iterator(fs::path(assent::tests::SourceDir()) / room)) {
      if (entry.path().extension() == ".cc") CollectFrom(Read(entry.path()), step, &steps);
    }
  }
  return steps;
}

std::set<std::string> Mutants() {
  static const std::regex mutant("X\\(k\\w+, \"(\\w+)\"\\)");
  std::set<std::string> mutants;
  CollectFrom(Read(assent::tests::SourceDir() + "/base/mutant.h"), mutant, &mutants);
  return mutants;
}

class ReleaseBinariesTest : public ::testing::Test {
 protected:
  ReleaseBinariesTest() {
    for (const char* program : kPrograms)
      bytes_ += Read(fs::path(assent::tests::BinDir()) / program);
  }
  // Followed by NUL, as a literal's end is; the linker may have merged it into a longer one's tail.
  bool Holds(const std::string& word) const {
    return bytes_.find(word + '\0') != std::string::npos;
  }
  void ExpectAll(const std::set<std::string>& words, size_t at_least) {
    EXPECT_GE(words.size(), at_least);
    for (const std::string& word : words) EXPECT_EQ(Holds(word), kCompiledIn) << word;
  }

#if defined(ASSENT_FAILPOINTS)
  static constexpr bool kCompiledIn = true;
#else
  static constexpr bool kCompiledIn = false;
#endif
  std::string bytes_;
};

TEST_F(ReleaseBinariesTest, EveryProgramWasBuilt) {
  for (const char* program : kPrograms) {
    EXPECT_TRUE(fs::exists(fs::path(assent::tests::BinDir()) / program)) << program;
  }
}

TEST_F(ReleaseBinariesTest, StopPointsAreOnlyInTestBuilds) { ExpectAll(Steps(), 10); }

TEST_F(ReleaseBinariesTest, SeededBugsAreOnlyInTestBuilds) { ExpectAll(Mutants(), 8); }

TEST_F(ReleaseBinariesTest, TheirVariablesAreOnlyInTestBuilds) {
  ExpectAll({"ASSENT_STOP_AT", "ASSENT_STOP_FILE", "ASSENT_MUTANT"}, 3);
}

}  // namespace
}  // namespace assent
