// DecodeMessage takes any bytes; what it accepts, EncodeMessage writes back alike.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "txlog/replicated/wire.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  auto message = assent::txlog::DecodeMessage(bytes);
  if (message.ok() && assent::txlog::EncodeMessage(*message) != bytes) std::abort();
  return 0;
}
