#include "txlog/etcd/core/batch.h"

#include <utility>

#include "base/crc32c.h"
#include "txlog/storage/bytes.h"

namespace assent::txlog::etcd {
namespace {
constexpr uint8_t kVersion = 1;
}  // namespace

std::string Encode(const Batch& batch) {
  size_t size = kBatchBytes;
  for (const std::string& record : batch.records) size += kRecordBytes + record.size();
  std::string bytes;
  bytes.reserve(size);
  PutNumber(bytes, kVersion);
  PutNumber(bytes, batch.term);
  PutNumber(bytes, batch.first_index);
  PutNumber(bytes, static_cast<uint32_t>(batch.records.size()));
  for (const std::string& record : batch.records) {
    PutNumber(bytes, static_cast<uint32_t>(record.size()));
    bytes += record;
  }
  PutNumber(bytes, Crc32c(bytes));
  return bytes;
}

std::optional<Batch> DecodeBatch(std::string_view bytes) {
  if (bytes.size() < kBatchBytes || GetNumber<uint8_t>(bytes, 0) != kVersion) return std::nullopt;
  const std::string_view body = bytes.substr(0, bytes.size() - 4);
  if (GetNumber<uint32_t>(bytes, body.size()) != Crc32c(body)) return std::nullopt;
  Batch batch{.term = GetNumber<uint64_t>(body, 1), .first_index = GetNumber<uint64_t>(body, 9)};
  const auto count = GetNumber<uint32_t>(body, 17);
  size_t at = 21;
  if (count == 0 || count > (body.size() - at) / kRecordBytes || batch.first_index == 0) {
    return std::nullopt;
  }
  batch.records.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    if (body.size() - at < kRecordBytes) return std::nullopt;
    const auto length = GetNumber<uint32_t>(body, at);
    at += kRecordBytes;
    if (body.size() - at < length) return std::nullopt;
    batch.records.emplace_back(body.substr(at, length));
    at += length;
  }
  if (at != body.size()) return std::nullopt;
  return batch;
}

}  // namespace assent::txlog::etcd
