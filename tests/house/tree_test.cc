// Rules for every file of the tree, and a proof that each rule can be broken.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/paths.h"

namespace assent {
namespace {

namespace fs = std::filesystem;

constexpr size_t kSourceLinesMax = 800;
constexpr size_t kScriptLinesMax = 150;

struct File {
  std::string name;
  std::string text;
};

std::vector<File> AllFiles() {
  std::vector<File> files;
  fs::path root = assent::tests::SourceDir();
  for (auto it = fs::recursive_directory_iterator(root); it != fs::end(it); ++it) {
    std::string name = it->path().lexically_relative(root);
    bool hidden = it->path().filename().string().starts_with('.') && name != ".ci";
    if (it->is_directory() && (hidden || name == "build")) it.disable_recursion_pending();
    if (!it->is_regular_file() || name == ".git") continue;
    std::ifstream file(it->path(), std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    files.push_back({name, text.str()});
  }
  return files;
}

bool EndsWithOneOf(const std::string& name, std::initializer_list<const char*> ends) {
  return std::any_of(ends.begin(), ends.end(),
                     [&](const char* end) { return name.ends_with(end); });
}

// Empty if the file is as it should be.
std::string Complaint(const File& file) {
  size_t lines = static_cast<size_t>(std::count(file.text.begin(), file.text.end(), '\n'));
  if (EndsWithOneOf(file.name, {".cc", ".h", ".proto"}) && lines > kSourceLinesMax) {
    return std::to_string(lines) + " lines; is there a second room inside?";
  }
  bool script = file.text.starts_with("#!") && file.text.substr(0, 64).find("sh\n") < 64;
  if (script && lines >= kScriptLinesMax) return std::to_string(lines) + " lines of script";
  // Spelt in pieces, as this file is read too.
  static const std::regex of_one_machine(
      "(^|[^A-Za-z0-9_.:/])/(wo"
      "rk|ho"
      "me|ro"
      "ot)/[A-Za-z0-9_.]");
  static const std::regex elsewhere(
      "\\.\\./sha"
      "red|sha"
      "red/(design|facts)");
  bool binary = file.text.find('\0') != std::string::npos;
  std::istringstream text(binary ? "" : file.text);
  std::string line;
  for (size_t number = 1; std::getline(text, line); ++number) {
    if (line.size() > 10000) continue;  // Data; and std::regex recurses.
    if (std::regex_search(line, of_one_machine)) {
      return "line " + std::to_string(number) + " holds a path of one machine: " + line;
    }
    if (std::regex_search(line, elsewhere)) {
      return "line " + std::to_string(number) + " points out of the project: " + line;
    }
  }
  return "";
}

TEST(TreeTest, EveryFileKeepsTheRules) {
  std::vector<File> files = AllFiles();
  ASSERT_GT(files.size(), 50u);
  for (const File& file : files) {
    std::string complaint = Complaint(file);
    if (!complaint.empty()) ADD_FAILURE() << file.name << ": " << complaint;
  }
}

TEST(TreeTest, EveryScriptCanBeRun) {
  for (const File& file : AllFiles()) {
    if (!file.text.starts_with("#!")) continue;
    auto mode = fs::status(fs::path(assent::tests::SourceDir()) / file.name).permissions();
    EXPECT_NE(mode & fs::perms::owner_exec, fs::perms::none) << file.name;
  }
}

TEST(TreeTest, BrokenRulesAreNoticed) {
  auto lines = [](size_t count) { return std::string(count, '\n'); };
  EXPECT_EQ(Complaint({"a.cc", lines(800)}), "");
  EXPECT_NE(Complaint({"a.cc", lines(801)}), "");
  EXPECT_EQ(Complaint({"docs/a.md", lines(801)}), "");
  EXPECT_EQ(Complaint({"run", "#!/usr/bin/env bash\n" + lines(148)}), "");
  EXPECT_NE(Complaint({"run", "#!/usr/bin/env bash\n" + lines(149)}), "");
  EXPECT_NE(Complaint({"a.md",
                       "see ../sha"
                       "red/x"}),
            "");
  EXPECT_NE(Complaint({"a.txt",
                       "ok\ndir=/wo"
                       "rk/x"}),
            "");
  EXPECT_NE(Complaint({"a.txt",
                       "\"/ro"
                       "ot/x\""}),
            "");
  EXPECT_NE(Complaint({"a.txt",
                       "/ho"
                       "me/x"}),
            "");
  EXPECT_EQ(Complaint({"a.txt",
                       "https://example.org/ho"
                       "me/x and a/wo"
                       "rk/b"}),
            "");
}

}  // namespace
}  // namespace assent
