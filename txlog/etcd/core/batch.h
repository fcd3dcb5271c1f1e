// The value of a key of the log: entries of one term that became durable together.
//
//   u8 version = 1 | u64 term | u64 index of the first | u32 count
//   count times: u32 length | bytes
//   u32 CRC-32C of all before
//
// Numbers are little-endian. An entry without bytes is the log's own: it begins a term.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "txlog/decision_log.h"

namespace assent::txlog::etcd {

// What a batch costs beside its records, and a record beside its bytes.
inline constexpr size_t kBatchBytes = 1 + 8 + 8 + 4 + 4;
inline constexpr size_t kRecordBytes = 4;

struct Batch {
  Term term = 0;
  Index first_index = 0;
  std::vector<std::string> records;  // At least one.

  Index last_index() const { return first_index + records.size() - 1; }

  bool operator==(const Batch&) const = default;
};

std::string Encode(const Batch& batch);
// Nothing: not what Encode makes.
std::optional<Batch> DecodeBatch(std::string_view bytes);

}  // namespace assent::txlog::etcd
