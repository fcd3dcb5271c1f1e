// The bytes of the agent's journal. A file is a sequence of records, nothing else:
//
//   offset  bytes
//   0       4      CRC-32C of everything after it in this record, little endian
//   4       1      0xA7, so that a search for records has something to hold on to
//   5       1      type (RecordType)
//   6       2      payload length, little endian
//   8       length payload: text, or a number as 16 hexadecimal digits
//
// The first record is kFormat. What stands before kForced is durable; what stands behind it (WILL,
// DONE, forgets) is not forced, and a power cut may lose any page of it. Pure: bytes in, values
// out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace assent::agent {

inline constexpr std::string_view kJournalFormat = "assent-agent-journal 1";
inline constexpr size_t kJournalHeaderBytes = 8;
inline constexpr size_t kJournalPayloadBytesMax = 512;

enum class RecordType : uint8_t {
  kFormat = 1,       // kJournalFormat
  kAgentId = 2,      // Whose directory this is.
  kIncarnation = 3,  // INC: 16 hex digits; one at each start.
  kPin = 4,          // "cluster uuid incarnation(16 hex digits)"
  kWill = 5,         // A gid: about to commit it.
  kDone = 6,         // A gid: committed.
  kForget = 7,       // A gid: the group has logged its end.
  kForced = 8,       // Empty: everything before it was forced to disk as one file.
};

struct JournalRecord {
  RecordType type = RecordType::kFormat;
  std::string payload;
  bool operator==(const JournalRecord&) const = default;
};

// The payload must not exceed kJournalPayloadBytesMax (checked).
std::string EncodeJournalRecord(const JournalRecord& record);

struct JournalContents {
  // Every readable one, in order; behind kForced also those beyond bytes that a power cut lost.
  std::vector<JournalRecord> records;
  // Where the first damage is, or the end.
  size_t good_bytes = 0;
  // Bytes that belong to no readable record.
  size_t lost_bytes = 0;
  // The damage stands in what was forced: no crash looks like that.
  bool corrupt = false;
};

JournalContents DecodeJournal(std::string_view bytes);

}  // namespace assent::agent
