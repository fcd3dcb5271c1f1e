// Little-endian numbers in byte strings.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace assent::txlog {

template <typename Number>
void PutNumber(std::string& out, Number value) {
  for (size_t i = 0; i < sizeof value; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

// The caller has checked that the bytes are there.
template <typename Number>
Number GetNumber(std::string_view bytes, size_t offset) {
  Number value = 0;
  for (size_t i = 0; i < sizeof value; ++i) {
    value |= static_cast<Number>(static_cast<Number>(static_cast<uint8_t>(bytes[offset + i]))
                                 << (8 * i));
  }
  return value;
}

}  // namespace assent::txlog
