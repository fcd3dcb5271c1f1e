#include "tests/fuzz/txlog/decoders.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  assent::txlog::CheckSegmentDecoder({reinterpret_cast<const char*>(data), size});
  // Checksums are seldom guessed: once more with right ones.
  std::string mended(reinterpret_cast<const char*>(data), size);
  assent::txlog::MendSegmentChecksums(mended);
  assent::txlog::CheckSegmentDecoder(mended);
  return 0;
}
