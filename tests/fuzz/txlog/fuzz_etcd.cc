// What stands in etcd may be anybody's: whatever is taken for ours must be what we would write.
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "base/crc32c.h"
#include "txlog/etcd/core/batch.h"
#include "txlog/etcd/core/layout.h"
#include "txlog/storage/bytes.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace assent::txlog;  // NOLINT
  std::string bytes(reinterpret_cast<const char*>(data), size);
  if (auto value = etcd::ParseIdentity(bytes)) ASSENT_CHECK(etcd::Text(*value) == bytes);
  if (auto value = etcd::ParseLeader(bytes)) ASSENT_CHECK(etcd::Text(*value) == bytes);
  if (auto value = etcd::ParseSnapshot(bytes)) ASSENT_CHECK(etcd::Text(*value) == bytes);
  if (auto value = etcd::ParseTerm(bytes)) ASSENT_CHECK(etcd::TermText(*value) == bytes);
  const etcd::Layout layout("p");
  if (auto slot = layout.SlotOf(bytes)) ASSENT_CHECK(layout.Log(*slot) == bytes);
  // Behind the checksum, which no fuzzer guesses.
  PutNumber(bytes, assent::Crc32c(bytes));
  if (auto batch = etcd::DecodeBatch(bytes)) ASSENT_CHECK(etcd::Encode(*batch) == bytes);
  return 0;
}
