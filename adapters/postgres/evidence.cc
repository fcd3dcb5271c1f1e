#include "adapters/postgres/evidence.h"

#include <charconv>
#include <string_view>

namespace assent::adapters::postgres {
namespace {

// Takes "<key>=<digits>" and the space behind it from the front of `text`.
std::optional<std::string_view> TakeNumber(std::string_view& text, std::string_view key) {
  if (!text.starts_with(key)) return std::nullopt;
  text.remove_prefix(key.size());
  size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
  if (digits == 0) return std::nullopt;
  std::string_view number = text.substr(0, digits);
  text.remove_prefix(digits);
  return number;
}

// False if it does not fit.
template <typename Number>
bool ReadNumber(std::string_view digits, Number& number) {
  return std::from_chars(digits.data(), digits.data() + digits.size(), number).ec == std::errc{};
}

}  // namespace

std::string ToString(const ServerIdentity& identity) {
  return "sys=" + identity.system + " db=" + identity.database;
}

std::string ToString(const XidEvidence& evidence) {
  return WithHolder("xid=" + std::to_string(evidence.xid) + " " + ToString(evidence.identity) +
                        " tli=" + std::to_string(evidence.timeline),
                    evidence.holder);
}

std::optional<XidEvidence> ParseEvidence(const std::string& whole) {
  std::string unmarked = whole;
  const Holder holder = TakeHolder(&unmarked);
  std::string_view text = unmarked;
  auto xid = TakeNumber(text, "xid=");
  auto system = TakeNumber(text, " sys=");
  auto database = TakeNumber(text, " db=");
  auto timeline = TakeNumber(text, " tli=");
  if (!xid || !system || !database || !timeline || !text.empty()) return std::nullopt;
  XidEvidence evidence{
      .identity = {.system = std::string(*system), .database = std::string(*database)},
      .holder = holder};
  if (!ReadNumber(*xid, evidence.xid) || !ReadNumber(*timeline, evidence.timeline)) {
    return std::nullopt;
  }
  return evidence;
}

uint64_t WidenXid(uint32_t xid, uint64_t next_xid) {
  // The difference modulo 2^32, read as a signed number, is the true one: wraparound drops out.
  return next_xid + static_cast<int32_t>(xid - static_cast<uint32_t>(next_xid));
}

}  // namespace assent::adapters::postgres
