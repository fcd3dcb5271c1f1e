// Where option values come from: command line, environment, TOML file. The only file that includes
// toml++, which is costly to compile. Flags are read here and not by CLI11, since that refuses
// `--name=` and takes a value in [brackets] apart.
#include "base/options.h"

#include <unistd.h>

#include <toml++/toml.h>
#include <algorithm>
#include <iostream>
#include <map>
#include <numeric>
#include <set>

#include "base/check.h"
#include "base/read_file.h"

namespace assent {
namespace {

constexpr int kExitBadConfig = 2;

// Whoever works with assentctl in the same shell has these set.
bool IsOfAssentctl(std::string_view name) {
  return name == "ASSENT_ENDPOINT" || name == "ASSENT_TLS_SERVER_NAME";
}

// Variables that are no options: the tests' doors into a process.
bool IsTestVariable(std::string_view name) {
#if defined(ASSENT_FAILPOINTS)
  if (name == "ASSENT_STOP_AT" || name == "ASSENT_STOP_FILE" || name == "ASSENT_MUTANT")
    return true;
#endif
  return name == "ASSENT_REWRITE" || name.starts_with("ASSENT_TEST_");
}

size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      size_t above = row[j + 1];
      row[j + 1] = std::min({above + 1, row[j] + 1, diagonal + (a[i] == b[j] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

// The name as it would stand in the file: "--data-dir" and "ASSENT_DATA_DIR" are data_dir.
std::string PlainName(std::string_view spelled) {
  if (spelled.starts_with("ASSENT_")) spelled.remove_prefix(7);
  while (spelled.starts_with('-')) spelled.remove_prefix(1);
  std::string out;
  for (char c : spelled.substr(0, spelled.find('='))) {
    out += c == '-' ? '_' : static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  }
  return out;
}

std::vector<std::string> Split(const std::string& text) {
  std::vector<std::string> parts(1);
  for (char c : text) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

std::string_view KindOf(const toml::node& node) {
  if (node.is_string()) return "a string";
  if (node.is_integer()) return "a whole number";
  if (node.is_floating_point()) return "a fraction";
  if (node.is_boolean()) return "true or false";
  if (node.is_array()) return "a list";
  if (node.is_table()) return "a table";
  return "a date or time";
}

// The texts for Option::Assign, or nothing if the node is of another type than the option.
std::optional<std::vector<std::string>> TextsOf(const toml::node& node, const Option& option) {
  if (option.is_list()) {
    const toml::array* list = node.as_array();
    if (!list) return std::nullopt;
    std::vector<std::string> texts;
    for (const toml::node& element : *list) {
      if (!element.is_string()) return std::nullopt;
      texts.push_back(element.as_string()->get());
    }
    return texts;
  }
  if (KindOf(node) != option.TypeInWords() &&
      !(node.is_integer() && option.TypeInWords().starts_with("a whole number"))) {
    return std::nullopt;
  }
  if (const auto* text = node.as_string()) return std::vector{text->get()};
  if (const auto* number = node.as_integer()) return std::vector{std::to_string(number->get())};
  if (const auto* flag = node.as_boolean())
    return std::vector{std::string(*flag ? "true" : "false")};
  return std::nullopt;
}

}  // namespace

std::string_view Version() { return ASSENT_VERSION; }

Status ParseResult::status() const {
  if (problems.empty()) return Ok();
  std::string all;
  for (const std::string& problem : problems) all += (all.empty() ? "" : "\n") + problem;
  return InvalidArgument(all);
}

OptionSet::OptionSet(std::string program, std::string summary)
    : program_(std::move(program)), summary_(std::move(summary)) {}

Option& OptionSet::Add(std::string name, Option::Target target, std::string help) {
  ASSENT_CHECK(Find(name) == nullptr);
  for (const char* reserved : {"config", "check_config", "sample_config", "help", "version"}) {
    ASSENT_CHECK(name != reserved);
  }
  return options_.emplace_back(std::move(name), target, std::move(help));
}

void OptionSet::AddCheck(std::function<std::vector<std::string>()> check) {
  checks_.push_back(std::move(check));
}

void OptionSet::TakeArguments(std::string usage) { arguments_usage_ = std::move(usage); }

Option* OptionSet::Find(std::string_view name) {
  for (Option& option : options_) {
    if (option.name() == name) return &option;
  }
  return nullptr;
}

std::string OptionSet::Suggestion(std::string_view name, Spelling spelling) const {
  size_t best = std::max<size_t>(2, name.size() / 3) + 1;  // Farther ones are no help.
  std::string nearest;
  auto consider = [&](const std::string& known, std::string spelled) {
    size_t distance = EditDistance(name, known);
    if (distance < best) {
      best = distance;
      nearest = std::move(spelled);
    }
  };
  for (const Option& option : options_) consider(option.name(), (option.*spelling)());
  for (const Tables& tables : tables_) consider(tables.name, "[[" + tables.name + "]]");
  return nearest.empty() ? "; --sample-config lists all" : "; did you mean " + nearest + "?";
}

struct OptionSet::Given {
  std::map<Option*, std::vector<std::string>> flags;
  std::string config;
  bool check_config = false;
};

OptionSet::Given OptionSet::ReadFlags(const std::vector<std::string>& args, ParseResult* result) {
  Given given;
  bool only_arguments = false;  // Behind "--".
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (only_arguments || !arg.starts_with('-') || arg == "-") {
      if (arguments_usage_.empty()) {
        result->problems.push_back("argument \"" + arg + "\": " + program_ + " takes none");
      } else {
        result->arguments.push_back(arg);
      }
      continue;
    }
    only_arguments = arg == "--";
    if (only_arguments) continue;
    size_t equals = arg.find('=');
    std::string flag = arg.substr(0, equals);
    std::optional<std::string> value;
    if (equals != std::string::npos) value = arg.substr(equals + 1);

    if (flag == "--help" || flag == "-h") {
      result->output = HelpText();
      result->exit_code = 0;
    } else if (flag == "--version") {
      result->output = program_ + " " + std::string(Version()) + "\n";
      result->exit_code = 0;
    } else if (flag == "--sample-config") {
      result->output = SampleConfig();
      result->exit_code = 0;
    } else if (flag == "--check-config") {
      given.check_config = true;
    } else {
      Option* option = Find(PlainName(flag));
      if (option != nullptr && option->FlagName() != flag) option = nullptr;
      if (option == nullptr && flag != "--config") {
        result->problems.push_back("flag " + flag + ": not known" +
                                   Suggestion(PlainName(flag), &Option::FlagName));
        continue;
      }
      if (!value && option != nullptr && option->is_switch()) value = "true";
      if (!value && i + 1 < args.size()) value = args[++i];
      if (!value) {
        result->problems.push_back("flag " + flag + ": a value must follow it");
      } else if (option == nullptr) {
        given.config = *value;
      } else if (std::vector<std::string>& texts = given.flags[option]; option->is_list()) {
        texts.push_back(*value);
      } else {
        texts = {*value};  // The last one counts.
      }
    }
  }
  return given;
}

void OptionSet::ReadEnvironment(const std::vector<std::string>& environment, ParseResult* result) {
  std::set<std::string> named;  // Variables that hold a password and the like.
  auto collect = [&](const OptionSet& set) {
    for (const Option& option : set.options_) {
      if (!option.names_environment()) continue;
      std::string quoted = option.ValueText();
      named.insert(quoted.substr(1, quoted.size() - 2));
    }
  };
  collect(*this);
  for (const Tables& tables : tables_) {
    for (const auto& row : tables.rows) collect(*row);
  }
  for (const std::string& line : environment) {
    std::string name = line.substr(0, line.find('='));
    if (!name.starts_with("ASSENT_") || name.size() == line.size()) continue;
    if (name == "ASSENT_CONFIG" || IsTestVariable(name) || named.contains(name)) continue;
    std::string value = line.substr(name.size() + 1);
    Option* option = Find(PlainName(name));
    if (option == nullptr || option->EnvironmentName() != name) {
      if (ignore_unknown_environment_ || IsOfAssentctl(name)) continue;
      result->problems.push_back("environment " + name + ": names no option of " + program_ +
                                 Suggestion(PlainName(name), &Option::EnvironmentName));
      continue;
    }
    std::vector<std::string> texts;
    if (!option->is_list()) {
      texts = {value};
    } else if (!value.empty()) {
      texts = Split(value);
    }
    if (auto problem = option->Assign(texts)) {
      result->problems.push_back("environment " + name + ": " + *problem);
    }
  }
}

// Fills options from TOML tables.
struct OptionSet::FileReader {
  const std::string& path;
  ParseResult* result;

  std::string At(const toml::node& node) const {
    return path + ":" + std::to_string(node.source().begin.line) + ": ";
  }

  void Read(const toml::table& table, OptionSet* set) {
    for (auto&& [key, node] : table) {
      std::string name(key.str());
      auto tables = std::find_if(set->tables_.begin(), set->tables_.end(),
                                 [&](const Tables& t) { return t.name == name; });
      if (tables != set->tables_.end()) {
        ReadRows(node, &*tables);
      } else if (Option* option = set->Find(name)) {
        ReadOption(node, option);
      } else {
        result->problems.push_back(path + ":" + std::to_string(key.source().begin.line) + ": " +
                                   name + ": no such key" + set->Suggestion(name, &Option::name));
      }
    }
  }

  void ReadOption(const toml::node& node, Option* option) {
    auto texts = TextsOf(node, *option);
    if (!texts) {
      result->problems.push_back(At(node) + option->name() + ": expected " +
                                 std::string(option->TypeInWords()) + ", got " +
                                 std::string(KindOf(node)) + "; write it like " + option->name() +
                                 " = " + option->SampleText());
      return;
    }
    if (auto problem = option->Assign(*texts)) result->problems.push_back(At(node) + *problem);
  }

  void ReadRows(const toml::node& node, Tables* tables) {
    const toml::array* rows = node.as_array();
    bool all_tables = rows != nullptr;
    for (size_t i = 0; all_tables && i < rows->size(); ++i) all_tables = (*rows)[i].is_table();
    if (!all_tables) {
      result->problems.push_back(At(node) + tables->name + ": expected tables; write [[" +
                                 tables->name + "]] on a line of its own, its keys below");
      return;
    }
    tables->rows.clear();
    tables->resize(rows->size());
    for (size_t i = 0; i < rows->size(); ++i) {
      auto& row = tables->rows.emplace_back(std::make_unique<OptionSet>(tables->name, ""));
      tables->describe(i, *row);
      Read(*(*rows)[i].as_table(), row.get());
      for (const Option& option : row->options_) {
        if (auto missing = option.Missing()) {
          result->problems.push_back(At((*rows)[i]) + "[[" + tables->name + "]]: " + *missing);
        }
      }
    }
  }
};

void OptionSet::ReadFile(const std::string& path, ParseResult* result) {
  Result<std::string> text = assent::ReadFile("config file", path);
  if (!text.ok()) {
    result->problems.push_back(text.status().message());
    return;
  }
  try {
    toml::table table = toml::parse(*text, path);
    FileReader{path, result}.Read(table, this);
  } catch (const toml::parse_error& error) {
    result->problems.push_back(path + ":" + std::to_string(error.source().begin.line) +
                               ": not valid TOML: " + std::string(error.description()));
  }
}

void OptionSet::CheckAll(ParseResult* result) const {
  for (const Option& option : options_) {
    if (auto missing = option.Missing()) {
      result->problems.push_back(*missing + ", " + option.FlagName() + " or " +
                                 option.EnvironmentName());
    }
  }
  for (const auto& check : checks_) {
    for (std::string& problem : check()) result->problems.push_back(std::move(problem));
  }
}

ParseResult OptionSet::Parse(const std::vector<std::string>& args,
                             const std::vector<std::string>& environment) {
  ParseResult result;
  Given given = ReadFlags(args, &result);
  if (result.exit_code) {  // --help helps also beside mistakes.
    result.problems.clear();
    return result;
  }
  for (const std::string& line : environment) {
    if (given.config.empty() && line.starts_with("ASSENT_CONFIG=")) given.config = line.substr(14);
  }
  if (!given.config.empty()) ReadFile(given.config, &result);
  ReadEnvironment(environment, &result);
  for (const auto& [option, texts] : given.flags) {
    if (auto problem = option->Assign(texts)) {
      result.problems.push_back("flag " + option->FlagName() + ": " + *problem);
    }
  }
  CheckAll(&result);
  if (!result.problems.empty()) {
    result.exit_code = kExitBadConfig;
  } else if (given.check_config) {
    result.output = program_ + ": the configuration is valid\n";
    result.exit_code = 0;
  }
  return result;
}

std::optional<int> OptionSet::ParseMain(int argc, char** argv,
                                        std::vector<std::string>* arguments) {
  std::vector<std::string> environment;
  for (char** line = environ; *line != nullptr; ++line) environment.emplace_back(*line);
  ParseResult result = Parse(std::vector<std::string>(argv + 1, argv + argc), environment);
  std::cout << result.output << std::flush;
  for (const std::string& problem : result.problems) {
    std::cerr << program_ << ": " << problem << "\n";
  }
  if (arguments != nullptr) *arguments = std::move(result.arguments);
  return result.exit_code;
}

}  // namespace assent
