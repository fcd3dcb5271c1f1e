#include "base/base32.h"

#include "base/check.h"

namespace assent {
namespace {
constexpr char kAlphabet[] = "0123456789abcdefghijklmnopqrstuv";
}

std::string EncodeBase32(uint64_t value, size_t digits) {
  std::string text(digits, '0');
  for (size_t i = digits; i > 0; --i) {
    text[i - 1] = kAlphabet[value & 31];
    value >>= 5;
  }
  ASSENT_CHECK(value == 0);
  return text;
}

std::optional<uint64_t> DecodeBase32(std::string_view text) {
  uint64_t value = 0;
  for (char c : text) {
    uint64_t digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<uint64_t>(c - '0');
    } else if (c >= 'a' && c <= 'v') {
      digit = static_cast<uint64_t>(c - 'a' + 10);
    } else {
      return std::nullopt;
    }
    if (value >> 59 != 0) return std::nullopt;
    value = value << 5 | digit;
  }
  return value;
}

}  // namespace assent
