#include "tests/support/doc_page.h"

#include <gtest/gtest.h>

#include <sstream>
#include <utility>

#include "tests/support/paths.h"
#include "tests/support/temp_dir.h"

namespace assent::test_support {
namespace {

constexpr std::string_view kFence = "```";
constexpr std::string_view kBold = "**";

// Empty: the line is no mark.
std::string MarkOf(const std::string& line) {
  if (line.starts_with('#')) {
    const size_t words = line.find_first_not_of("# ");
    return words == std::string::npos ? "" : line.substr(words);
  }
  if (!line.starts_with(kBold)) return "";
  const size_t end = line.find(kBold, kBold.size());
  if (end == std::string::npos) return "";
  std::string mark = line.substr(kBold.size(), end - kBold.size());
  if (mark.ends_with('.')) mark.pop_back();
  return mark;
}

}  // namespace

std::vector<DocBlock> DocBlocksOf(const std::string& text) {
  std::vector<DocBlock> blocks;
  std::string mark;
  bool inside = false;
  int number = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.starts_with(kFence)) {
      inside = !inside;
      if (inside) blocks.push_back({mark, line.substr(kFence.size()), "", number});
    } else if (inside) {
      blocks.back().text += line + '\n';
    } else if (std::string found = MarkOf(line); !found.empty()) {
      mark = std::move(found);
    }
  }
  return blocks;
}

std::vector<DocBlock> DocBlocks(const std::string& page) {
  return DocBlocksOf(ReadFile(tests::SourceDir() + "/" + page));
}

std::vector<DocBlock> OfLanguage(const std::vector<DocBlock>& blocks, const std::string& language) {
  std::vector<DocBlock> of_it;
  for (const DocBlock& block : blocks) {
    if (block.language == language) of_it.push_back(block);
  }
  return of_it;
}

std::string DocBlockUnder(const std::vector<DocBlock>& blocks, const std::string& mark,
                          const std::string& language) {
  std::vector<std::string> texts;
  for (const DocBlock& block : blocks) {
    if (block.mark == mark && block.language == language) texts.push_back(block.text);
  }
  EXPECT_EQ(texts.size(), 1u) << "blocks of " << language << " under '" << mark << "'";
  return texts.size() == 1 ? texts.front() : "";
}

std::vector<DocStep> DocSteps(const std::string& block) {
  std::vector<DocStep> steps;
  std::istringstream lines(block);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('#')) continue;
    const size_t hash = line.find(" # ");
    DocStep step = {line.substr(0, hash), hash == std::string::npos ? "" : line.substr(hash + 3)};
    step.command.erase(step.command.find_last_not_of(' ') + 1);
    if (!step.command.empty()) steps.push_back(std::move(step));
  }
  return steps;
}

std::map<std::string, std::string> DocSettings(const std::string& block) {
  std::map<std::string, std::string> settings;
  for (const DocStep& line : DocSteps(block)) {
    const size_t equals = line.command.find(" = ");
    EXPECT_NE(equals, std::string::npos) << line.command;
    if (equals == std::string::npos) continue;
    settings[line.command.substr(0, equals)] = line.command.substr(equals + 3);
  }
  return settings;
}

void ReplaceAll(const std::string& from, const std::string& to, std::string* text) {
  for (size_t at = 0; (at = text->find(from, at)) != std::string::npos; at += to.size()) {
    text->replace(at, from.size(), to);
  }
}

}  // namespace assent::test_support
