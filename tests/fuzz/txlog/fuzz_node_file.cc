#include "tests/fuzz/txlog/decoders.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  assent::txlog::CheckNodeFileDecoder({reinterpret_cast<const char*>(data), size});
  return 0;
}
