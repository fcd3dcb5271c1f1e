// Protocol transcripts: text files with input above a line of dashes and the expected actions
// below, one block after another, separated by blank lines. Lines that begin with # are comments.
//
//   # Both branches vote yes.
//   vote orders_pg yes
//   ----
//   propose commit branches=(orders_pg)
//
// ASSENT_REWRITE=1 in the environment writes what really came out into the file; the diff is
// reviewed like code.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/paths.h"

namespace assent::tests {

// One input line: a verb, plain words, and key=value words.
struct Command {
  std::string line;
  std::string verb;
  std::vector<std::string> words;
  std::map<std::string, std::string> options;

  // The word at `index`, or a test failure and "".
  std::string Word(size_t index) const {
    if (index < words.size()) return words[index];
    ADD_FAILURE() << "\"" << line << "\" lacks word " << index + 1;
    return {};
  }
  std::string Option(const std::string& key, std::string otherwise = {}) const {
    auto it = options.find(key);
    return it == options.end() ? otherwise : it->second;
  }
};

inline Command ParseCommand(const std::string& line) {
  Command command{.line = line};
  std::istringstream in(line);
  in >> command.verb;
  for (std::string word; in >> word;) {
    size_t equals = word.find('=');
    if (equals == std::string::npos) {
      command.words.push_back(word);
    } else {
      command.options[word.substr(0, equals)] = word.substr(equals + 1);
    }
  }
  return command;
}

// Runs one file. `perform` gets each input line and answers with output lines.
inline void RunTranscript(const std::filesystem::path& file,
                          const std::function<std::vector<std::string>(const Command&)>& perform) {
  std::ifstream in(file);
  ASSERT_TRUE(in) << file;
  std::string before, after, line, inputs, got, expected;
  bool below = false, any = false;
  int line_number = 0, block_line = 0;
  auto flush = [&] {
    if (below) {
      any = true;
      EXPECT_EQ(expected, got) << file.string() << ":" << block_line << ": after\n" << inputs;
      after += "----\n" + got;
    }
    inputs.clear();
    got.clear();
    expected.clear();
    below = false;
  };
  while (std::getline(in, line)) {
    ++line_number;
    before += line + "\n";
    if (below) {
      if (line.empty()) {
        flush();
        after += "\n";
      } else {
        expected += line + "\n";
      }
      continue;
    }
    if (line == "----") {
      below = true;
      block_line = line_number;
      continue;
    }
    after += line + "\n";
    if (line.empty() || line[0] == '#') continue;
    inputs += line + "\n";
    for (const std::string& out : perform(ParseCommand(line))) got += out + "\n";
  }
  ASSERT_TRUE(inputs.empty() || below) << file << " ends with input that has no line of dashes";
  flush();
  EXPECT_TRUE(any) << file << " holds no block";
  if (std::getenv("ASSENT_REWRITE") != nullptr && after != before) std::ofstream(file) << after;
}

// The transcripts of a folder, in the order of their names. An empty folder is a failure.
inline std::vector<std::filesystem::path> Transcripts(const std::string& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(
           std::filesystem::path(assent::tests::TestDataDir()) / folder)) {
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  EXPECT_FALSE(files.empty()) << folder;
  return files;
}

}  // namespace assent::tests
