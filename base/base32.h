// Fixed-width base 32 with the alphabet 0-9a-v (RFC 4648 section 7, lower case): text order is
// number order, which the ids rely on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace assent {

// Exactly `digits` characters. `value` must fit: at most 5 * digits bits (checked).
std::string EncodeBase32(uint64_t value, size_t digits);

// Nothing if a character is outside of the alphabet or the number needs more than 64 bits.
std::optional<uint64_t> DecodeBase32(std::string_view text);

}  // namespace assent
