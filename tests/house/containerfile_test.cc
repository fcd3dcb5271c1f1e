// deploy/Containerfile installs the packages of every library that the programs of this build ask
// the loader for, and names no package that Debian does not have installed here for that.
#include <gtest/gtest.h>

#include <chrono>
#include <regex>
#include <set>
#include <sstream>

#include "tests/support/paths.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace assent {
namespace {

std::string OutputOf(const test_support::Argv& argv) {
  test_support::TempDir dir;
  auto ran =
      test_support::Run(argv, {{"LC_ALL", "C"}}, {}, dir.File("out"), std::chrono::seconds(30));
  EXPECT_TRUE(ran.ok()) << ran.status().ToString();
  EXPECT_TRUE(ran.ok() && ran->status.ok()) << argv[0] << ": " << (ran.ok() ? ran->output : "");
  return ran.ok() ? ran->output : "";
}

// What each program names itself, without what its libraries need in turn: apt brings that.
std::set<std::string> NeededPackages() {
  std::set<std::string> libraries, packages;
  const std::regex needed("NEEDED +(\\S+)");
  for (const char* program : {"assentd", "assentctl", "assent-agent"}) {
    const std::string headers = OutputOf({"objdump", "-p", tests::BinDir() + "/" + program});
    for (auto it = std::sregex_iterator(headers.begin(), headers.end(), needed);
         it != std::sregex_iterator(); ++it) {
      libraries.insert((*it)[1]);
    }
  }
  for (const std::string& library : libraries) {
    if (library.starts_with("libasan") || library.starts_with("libubsan")) continue;
    std::istringstream owners(OutputOf({"dpkg-query", "-S", "*/" + library}));
    for (std::string owner; std::getline(owners, owner);) {
      const bool of_this_machine =
          owner.find("lib32/") == owner.npos && owner.find("libx32/") == owner.npos;
      if (of_this_machine) packages.insert(owner.substr(0, owner.find(':')));
    }
  }
  return packages;
}

TEST(ContainerfileTest, InstallsWhatTheProgramsLoad) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "with a sanitizer the programs ask for what their libraries need, too";
#endif
  std::set<std::string> needed = NeededPackages();
  ASSERT_GT(needed.size(), 8u);
  // In every image of Debian.
  for (const char* base : {"libc6", "libgcc-s1", "libstdc++6"}) needed.erase(base);
  const std::string file = test_support::ReadFile(tests::SourceDir() + "/deploy/Containerfile");
  std::set<std::string> installed;
  const std::regex line("\n {6}(lib\\S+) ");
  for (auto it = std::sregex_iterator(file.begin(), file.end(), line); it != std::sregex_iterator();
       ++it) {
    installed.insert((*it)[1]);
  }
  EXPECT_EQ(installed, needed);
}

}  // namespace
}  // namespace assent
