// Where option values come from: command line, environment, TOML file. The only file that includes
// CLI11 and toml++, both costly to compile.
#include "base/options.h"

#include <unistd.h>

#include <toml++/toml.h>
#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <numeric>
#include <set>

#include "base/check.h"
#include "base/read_file.h"

namespace assent {
namespace {

constexpr int kExitBadConfig = 2;

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

std::string OptionSet::Suggestion(std::string_view name) const {
  size_t best = std::max<size_t>(2, name.size() / 3) + 1;  // Farther ones are no help.
  std::string nearest;
  auto consider = [&](const std::string& known) {
    size_t distance = EditDistance(name, known);
    if (distance < best) {
      best = distance;
      nearest = known;
    }
  };
  for (const Option& option : options_) consider(option.name());
  for (const Tables& tables : tables_) consider(tables.name);
  return nearest.empty() ? "; --sample-config lists all" : "; did you mean " + nearest + "?";
}

struct OptionSet::Given {
  std::vector<std::pair<std::string, std::vector<std::string>>> flags;  // By option name.
  std::string config;
  bool check_config = false;
};

OptionSet::Given OptionSet::ReadFlags(const std::vector<std::string>& args,
                                      ParseResult* result) const {
  Given given;
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  bool help = false;
  bool version = false;
  bool sample = false;
  app.add_flag("-h,--help", help);
  app.add_flag("--version", version);
  app.add_flag("--sample-config", sample);
  app.add_flag("--check-config", given.check_config);
  app.add_option("--config", given.config);
  std::vector<std::pair<const Option*, CLI::Option*>> flags;
  for (const Option& option : options_) {
    CLI::Option* flag =
        option.is_switch() ? app.add_flag(option.FlagName()) : app.add_option(option.FlagName());
    flag->multi_option_policy(option.is_list() ? CLI::MultiOptionPolicy::TakeAll
                                               : CLI::MultiOptionPolicy::TakeLast);
    flags.emplace_back(&option, flag);
  }
  try {
    std::vector<std::string> reversed(args.rbegin(), args.rend());  // As CLI11 wants them.
    app.parse(std::move(reversed));
  } catch (const CLI::Error& error) {
    result->problems.push_back(std::string("command line: ") + error.what());
    return given;
  }
  for (auto& [option, flag] : flags) {
    if (flag->count() == 0) continue;
    std::vector<std::string> texts = flag->results();
    if (!option->is_list()) texts = {texts.back()};
    given.flags.emplace_back(option->name(), std::move(texts));
  }
  for (const std::string& extra : app.remaining()) {
    if (extra.starts_with('-') && extra != "-") {
      std::string name = extra.substr(0, extra.find('='));
      result->problems.push_back("flag " + name + ": not known" + Suggestion(PlainName(name)));
    } else if (arguments_usage_.empty()) {
      result->problems.push_back("argument \"" + extra + "\": " + program_ + " takes none");
    } else {
      result->arguments.push_back(extra);
    }
  }
  if (help) result->output = HelpText();
  if (version) result->output = program_ + " " + std::string(Version()) + "\n";
  if (sample) result->output = SampleConfig();
  if (help || version || sample) result->exit_code = 0;
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
      if (ignore_unknown_environment_) continue;
      result->problems.push_back("environment " + name + ": names no option of " + program_ +
                                 Suggestion(PlainName(name)));
      continue;
    }
    std::vector<std::string> texts;
    if (!option->is_list()) {
      texts = {value};
    } else if (!value.empty()) {
      texts = CLI::detail::split(value, ',');
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
                                   name + ": no such key" + set->Suggestion(name));
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
  for (const auto& [name, texts] : given.flags) {
    Option* option = Find(name);
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
