// Random bits from the system, for incarnations and UUIDs. Protocols never draw any.
#pragma once

#include <cstdint>
#include <string>

namespace assent {

// 64 bits from getrandom(2). Thread-safe.
uint64_t SystemRandom64();

// A version 4 UUID (RFC 4122), lower case, 36 characters.
std::string RandomUuid();

}  // namespace assent
