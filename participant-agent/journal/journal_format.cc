#include "participant-agent/journal/journal_format.h"

#include <optional>

#include "base/check.h"
#include "base/crc32c.h"

namespace assent::agent {
namespace {

constexpr char kMarker = '\xA7';

uint32_t Load32(std::string_view bytes) {
  uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

// The whole, intact record at the front of `bytes`, or nothing.
std::optional<JournalRecord> DecodeRecord(std::string_view bytes) {
  if (bytes.size() < kJournalHeaderBytes || bytes[4] != kMarker) return std::nullopt;
  const auto type = static_cast<uint8_t>(bytes[5]);
  if (type < static_cast<uint8_t>(RecordType::kFormat) ||
      type > static_cast<uint8_t>(RecordType::kForced)) {
    return std::nullopt;
  }
  const size_t length = static_cast<uint8_t>(bytes[6]) | static_cast<uint8_t>(bytes[7]) << 8;
  if (length > kJournalPayloadBytesMax || kJournalHeaderBytes + length > bytes.size()) {
    return std::nullopt;
  }
  if (Load32(bytes) != Crc32c(bytes.substr(4, 4 + length))) return std::nullopt;
  return JournalRecord{.type = static_cast<RecordType>(type),
                       .payload = std::string(bytes.substr(kJournalHeaderBytes, length))};
}

}  // namespace

std::string EncodeJournalRecord(const JournalRecord& record) {
  ASSENT_CHECK(record.payload.size() <= kJournalPayloadBytesMax);
  std::string bytes(4, '\0');
  bytes += kMarker;
  bytes += static_cast<char>(record.type);
  bytes += static_cast<char>(record.payload.size() & 0xff);
  bytes += static_cast<char>(record.payload.size() >> 8);
  bytes += record.payload;
  const uint32_t crc = Crc32c(std::string_view(bytes).substr(4));
  for (int i = 0; i < 4; ++i) bytes[i] = static_cast<char>(crc >> (8 * i) & 0xff);
  return bytes;
}

JournalContents DecodeJournal(std::string_view bytes) {
  JournalContents contents;
  bool forced = false, damaged = false;
  for (size_t at = 0; at < bytes.size();) {
    std::optional<JournalRecord> record = DecodeRecord(bytes.substr(at));
    if (!record) {
      // The length of a damaged record can't be trusted, so every later byte may begin a record.
      if (!damaged) contents.good_bytes = at;
      damaged = true;
      ++contents.lost_bytes;
      ++at;
      continue;
    }
    if (record->type == RecordType::kForced && !damaged) forced = true;
    at += kJournalHeaderBytes + record->payload.size();
    contents.records.push_back(*std::move(record));
  }
  if (!damaged) contents.good_bytes = bytes.size();
  if (damaged && !forced) contents.corrupt = true;
  return contents;
}

}  // namespace assent::agent
