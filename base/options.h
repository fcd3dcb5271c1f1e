// Options of a program: one description drives the TOML file, the flags, the environment, --help
// and the sample config, so that they cannot drift apart.
//
// Names are flat: `data_dir` in the file is `--data-dir` on the command line and `ASSENT_DATA_DIR`
// in the environment. A flag beats the environment, which beats the file, which beats the default.
// Tables such as `[[resource]]` exist in the file only.
//
//   struct Options { std::string data_dir; std::chrono::milliseconds prepare_timeout{5000}; };
//   Options o;
//   OptionSet set("assentd", "coordinator node of Assent");
//   set.Add("data_dir", &o.data_dir, "Where the log lives.").Required("/var/lib/assent");
//   set.Add("prepare_timeout_ms", &o.prepare_timeout, "How long ...").Between(10, 600'000);
//   if (std::optional<int> exit_code = set.ParseMain(argc, argv)) return *exit_code;
//
// Every program also has --config FILE (ASSENT_CONFIG), --check-config, --sample-config, --help and
// --version. Not thread-safe; used once, at start.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/status.h"

namespace assent {

// The version of this build, for example "0.1.0".
std::string_view Version();

// One option; what OptionSet::Add returns, to say more about it. Mistakes in the description (a
// range on a string, a default out of range) are bugs and end the process.
class Option {
 public:
  using Target = std::variant<std::string*, uint32_t*, uint64_t*, bool*, std::chrono::milliseconds*,
                              std::vector<std::string>*>;

  Option(std::string name, Target target, std::string help);

  // Numbers and durations (in ms): the smallest and the largest allowed value.
  Option& Between(uint64_t min, uint64_t max);
  // For people, of a number: "bytes", "branches". Durations have "ms".
  Option& Unit(std::string unit);
  // Strings: the allowed words.
  Option& OneOf(std::vector<std::string> words);
  // Strings and lists: empty is a problem. The sample config shows `example` instead of a default.
  Option& Required(std::string example);
  // Never shown: logs say *** instead.
  Option& Secret();
  // The value is the name of an environment variable, which may then begin with ASSENT_ without
  // being taken for a misspelt option.
  Option& NamesEnvironment();

  const std::string& help() const { return help_; }
  std::string name() const { return name_; }
  std::string FlagName() const;         // "--data-dir"
  std::string EnvironmentName() const;  // "ASSENT_DATA_DIR"
  bool is_list() const;
  bool is_switch() const;
  bool is_required() const { return example_.has_value(); }
  bool names_environment() const { return names_environment_; }

  // What a TOML value of this option must be: "a whole number", "a string", ...
  std::string_view TypeInWords() const;
  // The present value as TOML text.
  std::string ValueText() const;
  // As ValueText, with secrets masked.
  std::string ShownText() const;
  // What the sample config shows behind the `=`: the default, or the example of a required option.
  std::string SampleText() const;
  // "from 10 to 600000 ms", "one of: a, b", "required", or nothing.
  std::string Constraint() const;
  // Sets the value from its text form; lists take any number of texts, all others one. Answers
  // what is wrong (value, what is allowed, remedy) and leaves the target alone, or nothing.
  std::optional<std::string> Assign(const std::vector<std::string>& texts);
  // The problem that remains once every source has been read, such as an absent required value.
  std::optional<std::string> Missing() const;

 private:
  std::optional<std::string> AssignNumber(const std::string& text);

  std::string name_;
  Target target_;
  std::string help_;
  std::string unit_;
  std::string default_text_;
  std::optional<std::string> example_;
  uint64_t min_ = 0;
  uint64_t max_;
  bool has_range_ = false;
  bool secret_ = false;
  bool names_environment_ = false;
  std::vector<std::string> words_;
};

// What came of parsing.
struct ParseResult {
  // Every problem found, one sentence each, beginning with where it stands
  // ("/etc/assentd.toml:12: ...", "flag --port: ...").
  std::vector<std::string> problems;
  // Set when the program must end now: 0 after --help and the like, 2 when there are problems.
  std::optional<int> exit_code;
  // For standard output (--help and the like).
  std::string output;
  // Positional arguments, if the program takes any.
  std::vector<std::string> arguments;

  // OK, or INVALID_ARGUMENT with all problems, one a line.
  Status status() const;
};

class OptionSet {
 public:
  // `summary` is a phrase: "coordinator node of Assent".
  OptionSet(std::string program, std::string summary);

  // Adds an option; `*target` holds the default now, the effective value after parsing, and must
  // outlive this object. `help` says what it is for and why one would change it. Durations have
  // names that end in _ms. The reference is good for the life of this object.
  Option& Add(std::string name, Option::Target target, std::string help);

  // Adds an array of tables, `[[name]]` in the file. Each table appends one T to `*rows`, described
  // by `describe(row, set)`, which calls set.Add() for the fields of `row`.
  template <typename T>
  void AddTables(std::string name, std::vector<T>* rows, std::string help,
                 std::function<void(T&, OptionSet&)> describe) {
    auto sample = std::make_shared<T>();  // Shared, as std::function must be copyable.
    tables_.push_back({std::move(name),
                       std::move(help),
                       [rows](size_t count) { rows->resize(count); },
                       [rows, describe](size_t i, OptionSet& set) { describe((*rows)[i], set); },
                       [sample, describe](OptionSet& set) { describe(*sample, set); },
                       {}});
  }

  // A check of the options together, run after all sources are read (also when some values were
  // refused: those stand at their default). Returns its problems, or nothing.
  void AddCheck(std::function<std::vector<std::string>()> check);

  // Takes positional arguments, shown in --help as `usage`; without this they are a problem.
  void TakeArguments(std::string usage);
  // For programs run by hand (assentctl) beside a server's environment: ASSENT_* variables that
  // name no option are left alone instead of being a problem.
  void IgnoreUnknownEnvironment() { ignore_unknown_environment_ = true; }

  // Reads all sources. `args` is without the program's name; `environment` holds "NAME=value".
  ParseResult Parse(const std::vector<std::string>& args,
                    const std::vector<std::string>& environment);
  // Parse with the process's environment; prints output or problems. An exit code if main must
  // return now.
  std::optional<int> ParseMain(int argc, char** argv,
                               std::vector<std::string>* arguments = nullptr);

  // The options in force after Parse: name and TOML text, secrets masked, for the log at start.
  // Fields of tables are named `resource[0].host`.
  std::vector<std::pair<std::string, std::string>> Effective() const;
  // A TOML file in which every key stands commented out at its default, with unit and reason.
  std::string SampleConfig() const;
  std::string HelpText() const;

 private:
  struct Tables {
    std::string name;
    std::string help;
    std::function<void(size_t count)> resize;
    std::function<void(size_t i, OptionSet&)> describe;
    std::function<void(OptionSet&)> describe_sample;
    std::vector<std::unique_ptr<OptionSet>> rows;
  };
  struct Given;       // What the command line says.
  struct FileReader;  // Only options.cc knows TOML.
  friend struct FileReader;

  Option* Find(std::string_view name);
  using Spelling = std::string (Option::*)() const;
  // "; did you mean x?" for the nearest name, spelt as it would stand there.
  std::string Suggestion(std::string_view name, Spelling spelling) const;
  Given ReadFlags(const std::vector<std::string>& args, ParseResult* result);
  void ReadFile(const std::string& path, ParseResult* result);
  void ReadEnvironment(const std::vector<std::string>& environment, ParseResult* result);
  void CheckAll(ParseResult* result) const;
  void AppendSample(std::string* text) const;

  std::string program_;
  std::string summary_;
  std::string arguments_usage_;
  std::deque<Option> options_;  // Keeps references good.
  std::vector<Tables> tables_;
  std::vector<std::function<std::vector<std::string>()>> checks_;
  bool ignore_unknown_environment_ = false;
};

}  // namespace assent
