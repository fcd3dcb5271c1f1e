// One option: its value from text and back, and what to say about it. Sources are options.cc's.
#include <algorithm>
#include <charconv>
#include <limits>

#include "base/check.h"
#include "base/options.h"

namespace assent {
namespace {

using std::chrono::milliseconds;

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    static constexpr char kHex[] = "0123456789abcdef";
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += std::string("\\u00") + kHex[c >> 4] + kHex[c & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string QuotedList(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) out += (out.size() > 1 ? ", " : "") + Quoted(text);
  return out + "]";
}

std::string Joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : ", ") + text;
  return out;
}

}  // namespace

Option::Option(std::string name, Target target, std::string help)
    : name_(std::move(name)), target_(target), help_(std::move(help)) {
  max_ = std::numeric_limits<int64_t>::max();  // TOML knows no larger number.
  if (std::holds_alternative<uint32_t*>(target_)) max_ = std::numeric_limits<uint32_t>::max();
  if (std::holds_alternative<milliseconds*>(target_)) {
    ASSENT_CHECK(name_.ends_with("_ms"));
    unit_ = "ms";
  }
  default_text_ = ValueText();
}

Option& Option::Between(uint64_t min, uint64_t max) {
  ASSENT_CHECK(std::holds_alternative<uint32_t*>(target_) ||
               std::holds_alternative<uint64_t*>(target_) ||
               std::holds_alternative<milliseconds*>(target_));
  ASSENT_CHECK(min <= max && max <= max_);
  min_ = min;
  max_ = max;
  has_range_ = true;
  ASSENT_CHECK(!AssignNumber(default_text_));  // The default must be within the range.
  return *this;
}

Option& Option::Unit(std::string unit) {
  unit_ = std::move(unit);
  return *this;
}

Option& Option::OneOf(std::vector<std::string> words) {
  ASSENT_CHECK(std::holds_alternative<std::string*>(target_));
  words_ = std::move(words);
  return *this;
}

Option& Option::Required(std::string example) {
  ASSENT_CHECK(std::holds_alternative<std::string*>(target_) || is_list());
  example_ = std::move(example);
  return *this;
}

Option& Option::Secret() {
  secret_ = true;
  return *this;
}

Option& Option::NamesEnvironment() {
  names_environment_ = true;
  return *this;
}

std::string Option::FlagName() const {
  std::string flag = "--" + name_;
  std::replace(flag.begin(), flag.end(), '_', '-');
  return flag;
}

std::string Option::EnvironmentName() const {
  std::string variable = "ASSENT_";
  for (char c : name_) variable += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return variable;
}

bool Option::is_list() const { return std::holds_alternative<std::vector<std::string>*>(target_); }
bool Option::is_switch() const { return std::holds_alternative<bool*>(target_); }

std::string_view Option::TypeInWords() const {
  return std::visit(Overloaded{
                        [](const std::string*) { return "a string"; },
                        [](const bool*) { return "true or false"; },
                        [](const std::vector<std::string>*) { return "a list of strings"; },
                        [](const milliseconds*) { return "a whole number of milliseconds"; },
                        [](const auto*) { return "a whole number"; },
                    },
                    target_);
}

std::string Option::ValueText() const {
  return std::visit(Overloaded{
                        [](const std::string* value) { return Quoted(*value); },
                        [](const bool* value) { return std::string(*value ? "true" : "false"); },
                        [](const std::vector<std::string>* value) { return QuotedList(*value); },
                        [](const milliseconds* value) { return std::to_string(value->count()); },
                        [](const auto* value) { return std::to_string(*value); },
                    },
                    target_);
}

std::string Option::ShownText() const {
  std::string text = ValueText();
  return secret_ && text != "\"\"" && text != "[]" ? "***" : text;
}

std::string Option::SampleText() const {
  if (!example_) return default_text_;
  return is_list() ? QuotedList({*example_}) : Quoted(*example_);
}

std::string Option::Constraint() const {
  std::string out;
  auto add = [&](const std::string& part) { out += (out.empty() ? "" : "; ") + part; };
  if (example_) add("required");
  if (has_range_) {
    add("from " + std::to_string(min_) + " to " + std::to_string(max_) +
        (unit_.empty() ? "" : " " + unit_));
  } else if (!unit_.empty()) {
    add("in " + unit_);
  }
  if (!words_.empty()) add("one of: " + Joined(words_));
  return out;
}

std::optional<std::string> Option::Assign(const std::vector<std::string>& texts) {
  if (auto* list = std::get_if<std::vector<std::string>*>(&target_)) {
    **list = texts;
    return std::nullopt;
  }
  if (texts.size() != 1) return name_ + ": expected one value, got " + std::to_string(texts.size());
  const std::string& text = texts.front();
  if (auto* value = std::get_if<bool*>(&target_)) {
    if (text != "true" && text != "false") {
      return name_ + ": \"" + text + "\" is neither true nor false; write one of the two";
    }
    **value = text == "true";
    return std::nullopt;
  }
  if (auto* value = std::get_if<std::string*>(&target_)) {
    if (!words_.empty() && std::find(words_.begin(), words_.end(), text) == words_.end()) {
      return name_ + ": \"" + text + "\" is not a choice; write one of: " + Joined(words_);
    }
    **value = text;
    return std::nullopt;
  }
  return AssignNumber(text);
}

std::optional<std::string> Option::AssignNumber(const std::string& text) {
  uint64_t number = 0;
  bool negative = text.starts_with('-');
  const char* begin = text.data() + (negative ? 1 : 0);
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(begin, end, number);
  if (stop != end || begin == end) {
    return name_ + ": \"" + text + "\" is not " + std::string(TypeInWords()) +
           "; write digits only";
  }
  bool overflow = error == std::errc::result_out_of_range;
  if (overflow || (negative && number != 0) || number < min_ || number > max_) {
    return name_ + ": " + text + " is out of range; choose a value from " + std::to_string(min_) +
           " to " + std::to_string(max_) + (unit_.empty() ? "" : " " + unit_);
  }
  if (auto* narrow = std::get_if<uint32_t*>(&target_)) **narrow = static_cast<uint32_t>(number);
  if (auto* wide = std::get_if<uint64_t*>(&target_)) **wide = number;
  if (auto* time = std::get_if<milliseconds*>(&target_)) **time = milliseconds(number);
  return std::nullopt;
}

std::optional<std::string> Option::Missing() const {
  if (!example_) return std::nullopt;
  std::string now = ValueText();
  if (now != "\"\"" && now != "[]") return std::nullopt;
  return name_ + ": required, but not given; for example " + name_ + " = " + SampleText();
}

}  // namespace assent
