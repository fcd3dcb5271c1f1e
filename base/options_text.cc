// What an OptionSet says about itself: --help, the sample config, the options in force.
#include <sstream>

#include "base/options.h"

namespace assent {
namespace {

// Appends `text`, broken into lines of at most 100 columns, each after `indent`.
void AppendWrapped(const std::string& text, const std::string& indent, std::string* out) {
  constexpr size_t kColumns = 100;
  std::istringstream words(text);
  std::string word;
  std::string line = indent;
  while (words >> word) {
    if (line.size() > indent.size() && line.size() + 1 + word.size() > kColumns) {
      *out += line + "\n";
      line = indent;
    }
    line += (line.size() > indent.size() ? " " : "") + word;
  }
  if (line.size() > indent.size()) *out += line + "\n";
}

std::string Capitalized(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 32);
  return text;
}

}  // namespace

std::string OptionSet::HelpText() const {
  std::string out = program_ + ": " + summary_ + "\n\nUsage: " + program_ + " [--flag VALUE]...";
  out += (arguments_usage_.empty() ? "" : " " + arguments_usage_) + "\n\n";
  for (const Option& option : options_) {
    out += "  " + option.FlagName() + (option.is_switch() ? "\n" : " VALUE\n");
    AppendWrapped(option.help(), "      ", &out);
    std::string constraint = option.Constraint();
    std::string about = constraint.empty() ? "" : Capitalized(constraint) + ". ";
    if (!option.is_required()) about += "Default: " + option.ValueText() + ". ";
    AppendWrapped(about + "Environment: " + option.EnvironmentName() + ".", "      ", &out);
  }
  out += "  --config FILE\n      Reads a TOML file. Environment: ASSENT_CONFIG.";
  out += " A flag beats the environment,\n      which beats the file.\n";
  out += "  --check-config\n      Prints every problem of the configuration, and ends.\n";
  out += "  --sample-config\n      Prints a config file with every key at its default, and ends.\n";
  out += "  --help, --version\n";
  for (const Tables& tables : tables_) {
    out += "\nThe file may also hold [[" + tables.name + "]] tables; --sample-config shows them.\n";
  }
  return out;
}

std::string OptionSet::SampleConfig() const {
  std::string out = "# " + program_ + ": " + summary_ + ".\n#\n";
  AppendWrapped(
      "Every key stands here, commented out at its default. A key `some_name` is also the flag "
      "--some-name and the environment variable ASSENT_SOME_NAME; a flag beats the environment, "
      "which beats this file. Try a change with: " +
          program_ + " --config FILE --check-config",
      "# ", &out);
  AppendSample(&out);
  for (const Tables& tables : tables_) {
    out += "\n";
    AppendWrapped(tables.help, "# ", &out);
    out += "#[[" + tables.name + "]]\n";
    OptionSet fields(tables.name, "");
    tables.describe_sample(fields);
    fields.AppendSample(&out);
  }
  return out;
}

void OptionSet::AppendSample(std::string* text) const {
  for (const Option& option : options_) {
    *text += "\n";
    AppendWrapped(option.help(), "# ", text);
    std::string constraint = option.Constraint();
    if (!constraint.empty()) AppendWrapped(Capitalized(constraint) + ".", "# ", text);
    *text += "#" + option.name() + " = " + option.SampleText() + "\n";
  }
}

std::vector<std::pair<std::string, std::string>> OptionSet::Effective() const {
  std::vector<std::pair<std::string, std::string>> out;
  for (const Option& option : options_) out.emplace_back(option.name(), option.ShownText());
  for (const Tables& tables : tables_) {
    for (size_t i = 0; i < tables.rows.size(); ++i) {
      for (auto& [name, value] : tables.rows[i]->Effective()) {
        out.emplace_back(tables.name + "[" + std::to_string(i) + "]." + name, value);
      }
    }
  }
  return out;
}

}  // namespace assent
