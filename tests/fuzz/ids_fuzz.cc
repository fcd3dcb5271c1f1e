// Ids come from clients and from listings of databases: whatever is accepted must be exactly what
// we would write.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "base/ids.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto gtrid = assent::ParseGtrid(text); gtrid.ok()) {
    ASSENT_CHECK(ToString(*gtrid) == text && size <= assent::kGtridBytesMax);
  }
  if (auto bqual = assent::ParseBqual(text); bqual.ok()) {
    ASSENT_CHECK(ToString(*bqual) == text && size <= assent::kBqualBytesMax);
  }
  if (auto gid = assent::ParseGid(text); gid.ok()) {
    ASSENT_CHECK(ToString(*gid) == text && size <= assent::kGidBytesMax);
  }
  return 0;
}
