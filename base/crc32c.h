// CRC-32C (Castagnoli; RFC 3720 appendix B.4), the checksum of every record on disk.
#pragma once

#include <cstdint>
#include <string_view>

namespace assent {

// The checksum of `data`, or of `previous` data followed by `data`:
// Crc32c(b, Crc32c(a)) == Crc32c(a + b). Uses the SSE 4.2 instruction where the processor has it.
uint32_t Crc32c(std::string_view data, uint32_t previous = 0);

}  // namespace assent
