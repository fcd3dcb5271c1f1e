#include "client/context.h"

#include <algorithm>
#include <charconv>

namespace assent::client {
namespace {

constexpr size_t kContextBytesMax = 256;
constexpr size_t kGtridBytesMax = 64;
constexpr std::string_view kRemaining = "remaining-ms=";
constexpr std::chrono::milliseconds kRemainingMax = std::chrono::hours(24);

bool IsGtrid(std::string_view text) {
  auto allowed = [](unsigned char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == ':' || c == '-';
  };
  return !text.empty() && text.size() <= kGtridBytesMax && std::ranges::all_of(text, allowed);
}

// Cuts off and answers what stands before the next ';'.
std::string_view NextField(std::string_view* rest) {
  size_t end = rest->find(';');
  std::string_view field = rest->substr(0, end);
  *rest = end == std::string_view::npos ? std::string_view() : rest->substr(end + 1);
  return field;
}

Status NoContext(std::string_view text, const std::string& why) {
  return InvalidArgument("'" + std::string(text.substr(0, kContextBytesMax)) +
                         "' is no transaction context: " + why +
                         "; pass on what TransactionContext::ToString wrote, as it is");
}

}  // namespace

Result<TransactionContext> TransactionContext::Parse(std::string_view text) {
  if (text.size() > kContextBytesMax) {
    return NoContext(text, "it has more than " + std::to_string(kContextBytesMax) + " bytes");
  }
  std::string_view rest = text;
  std::string_view gtrid = NextField(&rest);
  if (!IsGtrid(gtrid)) return NoContext(text, "it does not begin with a gtrid");
  while (!rest.empty()) {
    std::string_view field = NextField(&rest);
    if (!field.starts_with(kRemaining)) continue;
    std::string_view number = field.substr(kRemaining.size());
    int64_t remaining = 0;
    auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), remaining);
    if (error != std::errc() || end != number.data() + number.size() || remaining < 0 ||
        remaining > kRemainingMax.count()) {
      return NoContext(text, "'" + std::string(field) + "' is no time within a day");
    }
    return TransactionContext(std::string(gtrid), std::chrono::milliseconds(remaining));
  }
  return NoContext(text, "it lacks " + std::string(kRemaining) + "<number>");
}

std::string TransactionContext::ToString() const {
  return gtrid_ + ";" + std::string(kRemaining) + std::to_string(remaining_.count());
}

}  // namespace assent::client
