#include "client/value.h"

#include <charconv>
#include <cmath>
#include <system_error>

namespace assent::client {
namespace {

Status OutOfRange(std::string message) { return {Code::kOutOfRange, std::move(message)}; }

Status NoForm(const Value& value, std::string_view form) {
  if (value.is_null()) {
    return FailedPrecondition("the value is NULL, not " + std::string(form) +
                              "; ask is_null() first");
  }
  return OutOfRange("the value '" + value.ToString() + "' is not " + std::string(form));
}

template <typename Number>
bool ParseWhole(std::string_view text, Number* number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size();
}

std::string RealText(double real) {
  char buffer[32];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, real);
  return {buffer, end};
}

}  // namespace

Result<int64_t> Value::AsInt64() const {
  if (const auto* integer = std::get_if<int64_t>(&kind_)) return *integer;
  if (const auto* boolean = std::get_if<bool>(&kind_)) return int64_t{*boolean};
  int64_t parsed = 0;
  if (const auto* text = std::get_if<std::string>(&kind_); text && ParseWhole(*text, &parsed)) {
    return parsed;
  }
  // Beyond 2^53 a double no longer tells which integer was meant.
  if (const auto* real = std::get_if<double>(&kind_);
      real && std::trunc(*real) == *real && std::abs(*real) <= 9007199254740992.0) {
    return static_cast<int64_t>(*real);
  }
  return NoForm(*this, "a 64-bit integer");
}

Result<double> Value::AsDouble() const {
  if (const auto* real = std::get_if<double>(&kind_)) return *real;
  if (const auto* integer = std::get_if<int64_t>(&kind_)) {
    auto real = static_cast<double>(*integer);
    if (std::abs(real) <= 9007199254740992.0) return real;
  }
  double parsed = 0;
  if (const auto* text = std::get_if<std::string>(&kind_); text && ParseWhole(*text, &parsed)) {
    return parsed;
  }
  return NoForm(*this, "a real number");
}

Result<bool> Value::AsBool() const {
  if (const auto* boolean = std::get_if<bool>(&kind_)) return *boolean;
  if (const auto* integer = std::get_if<int64_t>(&kind_); integer && (*integer | 1) == 1) {
    return *integer == 1;
  }
  if (const auto* text = std::get_if<std::string>(&kind_)) {
    if (*text == "t" || *text == "true" || *text == "1") return true;
    if (*text == "f" || *text == "false" || *text == "0") return false;
  }
  return NoForm(*this, "a boolean");
}

Result<std::string> Value::AsText() const {
  if (is_null() || std::holds_alternative<Bytes>(kind_)) return NoForm(*this, "text");
  return ToString();
}

Result<std::string> Value::AsBytes() const {
  if (const auto* bytes = std::get_if<Bytes>(&kind_)) return bytes->value;
  if (const auto* text = std::get_if<std::string>(&kind_)) return *text;
  return NoForm(*this, "bytes");
}

std::string Value::ToString() const {
  struct Text {
    std::string operator()(std::monostate) const { return "NULL"; }
    std::string operator()(bool boolean) const { return boolean ? "true" : "false"; }
    std::string operator()(int64_t integer) const { return std::to_string(integer); }
    std::string operator()(double real) const { return RealText(real); }
    std::string operator()(const std::string& text) const { return text; }
    std::string operator()(const Bytes& bytes) const {
      return "<" + std::to_string(bytes.value.size()) + " bytes>";
    }
  };
  return std::visit(Text{}, kind_);
}

Result<Value> ResultSet::At(size_t row, std::string_view column) const {
  if (row >= rows.size()) {
    return OutOfRange("no row " + std::to_string(row) + ": the result has " +
                      std::to_string(rows.size()));
  }
  std::string names;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].name == column && i < rows[row].size()) return rows[row][i];
    names += (names.empty() ? "" : ", ") + columns[i].name;
  }
  return NotFound("no column '" + std::string(column) + "': the result has " +
                  (names.empty() ? "none" : names));
}

Result<Value> ResultSet::Scalar() const {
  if (rows.size() == 1 && rows[0].size() == 1) return rows[0][0];
  return OutOfRange("expected one row of one column, got " + std::to_string(rows.size()) +
                    " rows of " + std::to_string(columns.size()) + " columns");
}

}  // namespace assent::client
