// The fenced blocks of a page of docs/, for tests that do what the page says, as it stands there.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace assent::test_support {

struct DocBlock {
  // The nearest mark above it: a heading ("## Renewing"), or the bold words that begin a paragraph
  // ("**Start.** The same ..."), without the full stop.
  std::string mark;
  std::string language;  // "sh", "toml"; empty: none was given.
  std::string text;      // Its lines, each with its end.
  int line = 0;          // Of its fence in the page, from 1.
};

// In their order. `page`: such as "docs/security.md".
std::vector<DocBlock> DocBlocks(const std::string& page);
// The same, of a page's text.
std::vector<DocBlock> DocBlocksOf(const std::string& text);

// Those of a language.
std::vector<DocBlock> OfLanguage(const std::vector<DocBlock>& blocks, const std::string& language);
// The text of the only block of that language under a mark. Fails the test, and answers "", if
// there is none or more than one.
std::string DocBlockUnder(const std::vector<DocBlock>& blocks, const std::string& mark,
                          const std::string& language);

// A line of a block of commands: what is run, and where and when by its comment.
struct DocStep {
  std::string command;
  std::string comment;

  bool Says(const std::string& words) const { return comment.starts_with(words); }
};

// Without lines that are comments alone.
std::vector<DocStep> DocSteps(const std::string& block);

// Of a block of settings: each key, and its value as it stands there.
std::map<std::string, std::string> DocSettings(const std::string& block);

// In place.
void ReplaceAll(const std::string& from, const std::string& to, std::string* text);

}  // namespace assent::test_support
