// Segments and their records. The small files are in small_files.cc.
#include "txlog/storage/format.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/crc32c.h"
#include "txlog/storage/bytes.h"

namespace assent::txlog {
namespace {

constexpr std::string_view kSegmentMagic = "assentsg";

// Segment header: magic 8, crc 4, version 4, first index 8, previous term 8.
constexpr size_t kHeaderCrcAt = 8;
constexpr size_t kHeaderCrcFrom = 12;
constexpr size_t kHeaderVersionAt = 12;
constexpr size_t kHeaderFirstIndexAt = 16;
constexpr size_t kHeaderPreviousTermAt = 24;

// Record header: crc 4, length 4, index 8, term 8, batch offset 4, type 1, zeroes 3.
constexpr size_t kRecordCrcFrom = 4;
constexpr size_t kRecordLengthAt = 4;
constexpr size_t kRecordIndexAt = 8;
constexpr size_t kRecordTermAt = 16;
constexpr size_t kRecordBatchAt = 24;
constexpr size_t kRecordTypeAt = 28;
constexpr size_t kRecordZeroesAt = 29;

struct RawRecord {
  Index index = 0;
  Term term = 0;
  uint32_t batch_offset = 0;
  uint8_t type = 0;
  std::string_view payload;
};

// True if a record with a right checksum stands at `offset`. Otherwise `why` says what is wrong.
bool ReadRecord(std::string_view bytes, uint64_t offset, RawRecord* record, const char** why) {
  if (bytes.size() < offset + kRecordHeaderBytes) {
    *why = "the file ends inside a record's header";
    return false;
  }
  std::string_view header = bytes.substr(offset, kRecordHeaderBytes);
  uint32_t length = GetNumber<uint32_t>(header, kRecordLengthAt);
  if (length > bytes.size() - offset - kRecordHeaderBytes) {
    *why = "a record's length reaches beyond the end of the file";
    return false;
  }
  std::string_view covered =
      bytes.substr(offset + kRecordCrcFrom, kRecordHeaderBytes - kRecordCrcFrom + length);
  // The reserved bytes come first: they spare most checksums while looking for later records.
  if (header[kRecordZeroesAt] != 0 || header[kRecordZeroesAt + 1] != 0 ||
      header[kRecordZeroesAt + 2] != 0 || Crc32c(covered) != GetNumber<uint32_t>(header, 0)) {
    *why = "a record's checksum does not match its bytes";
    return false;
  }
  record->index = GetNumber<uint64_t>(header, kRecordIndexAt);
  record->term = GetNumber<uint64_t>(header, kRecordTermAt);
  record->batch_offset = GetNumber<uint32_t>(header, kRecordBatchAt);
  record->type = static_cast<uint8_t>(header[kRecordTypeAt]);
  record->payload = bytes.substr(offset + kRecordHeaderBytes, length);
  return true;
}

bool IsKnownType(uint8_t type) {
  return type == static_cast<uint8_t>(EntryType::kNoop) ||
         type == static_cast<uint8_t>(EntryType::kRecord) ||
         type == static_cast<uint8_t>(EntryType::kConfig);
}

bool AllZero(std::string_view bytes) {
  if (bytes.empty()) return true;
  return bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

// Is there, behind `bad`, a whole record whose batch began behind `bad`? `from`: where to look.
bool WasOnceDurable(std::string_view bytes, uint64_t bad, uint64_t from) {
  RawRecord record;
  const char* why = nullptr;
  for (uint64_t at = from; at + kRecordHeaderBytes <= bytes.size();) {
    // A zero index is no record; most of what is searched is zeroes.
    if (GetNumber<uint64_t>(bytes, at + kRecordIndexAt) != 0 &&
        ReadRecord(bytes, at, &record, &why)) {
      if (record.batch_offset > bad && record.batch_offset <= at) return true;
      at += RecordBytes(record.payload.size());
    } else {
      at += kRecordAlignment;
    }
  }
  return false;
}

}  // namespace

std::string EncodeSegmentHeader(const SegmentHeader& header) {
  std::string covered;
  PutNumber(covered, kFormatVersion);
  PutNumber(covered, header.first_index);
  PutNumber(covered, header.previous_term);
  std::string out(kSegmentMagic);
  PutNumber(out, Crc32c(covered));
  out += covered;
  ASSENT_CHECK(out.size() == kSegmentHeaderBytes);
  return out;
}

void AppendRecord(std::string& out, const Entry& entry, uint32_t batch_offset) {
  ASSENT_CHECK(entry.index != 0 && entry.payload.size() <= kRecordBytesMax);
  const size_t start = out.size();
  PutNumber(out, uint32_t{0});  // The checksum, once the rest stands.
  PutNumber(out, static_cast<uint32_t>(entry.payload.size()));
  PutNumber(out, entry.index);
  PutNumber(out, entry.term);
  PutNumber(out, batch_offset);
  out.push_back(static_cast<char>(entry.type));
  out.append(3, '\0');
  out += entry.payload;
  std::string crc;
  PutNumber(crc, Crc32c(std::string_view(out).substr(start + kRecordCrcFrom)));
  out.replace(start, crc.size(), crc);
  out.resize(start + RecordBytes(entry.payload.size()), '\0');
}

uint64_t DecodeRecord(std::string_view bytes, uint64_t offset, Entry* entry) {
  RawRecord record;
  const char* why = nullptr;
  if (!ReadRecord(bytes, offset, &record, &why) || !IsKnownType(record.type)) return 0;
  entry->index = record.index;
  entry->term = record.term;
  entry->type = static_cast<EntryType>(record.type);
  entry->payload = record.payload;
  return offset + RecordBytes(record.payload.size());
}

SegmentScan ScanSegment(std::string_view bytes) {
  SegmentScan scan;
  auto stop = [&scan](SegmentScan::End end, uint64_t offset, std::string why) {
    scan.end = end;
    scan.bad_offset = offset;
    scan.why = std::move(why);
    return scan;
  };

  bool header_good = bytes.size() >= kSegmentHeaderBytes &&
                     bytes.substr(0, kSegmentMagic.size()) == kSegmentMagic &&
                     Crc32c(bytes.substr(kHeaderCrcFrom, kSegmentHeaderBytes - kHeaderCrcFrom)) ==
                         GetNumber<uint32_t>(bytes, kHeaderCrcAt);
  if (!header_good) {
    if (WasOnceDurable(bytes, 0, kSegmentHeaderBytes)) {
      return stop(SegmentScan::End::kDamaged, 0, "the segment's header is damaged");
    }
    return stop(SegmentScan::End::kTorn, 0, "the segment's header was not written to its end");
  }
  if (uint32_t version = GetNumber<uint32_t>(bytes, kHeaderVersionAt); version != kFormatVersion) {
    return stop(SegmentScan::End::kForeign, 0,
                "the segment is of format " + std::to_string(version) +
                    ", this program reads format " + std::to_string(kFormatVersion));
  }
  scan.has_header = true;
  scan.header.first_index = GetNumber<uint64_t>(bytes, kHeaderFirstIndexAt);
  scan.header.previous_term = GetNumber<uint64_t>(bytes, kHeaderPreviousTermAt);

  Index next = scan.header.first_index;
  Term term = scan.header.previous_term;
  uint64_t at = kSegmentHeaderBytes;
  scan.end_offset = at;
  while (at < bytes.size() && !AllZero(bytes.substr(at))) {
    RawRecord record;
    const char* why = nullptr;
    if (!ReadRecord(bytes, at, &record, &why)) {
      bool durable = WasOnceDurable(bytes, at, at + kRecordAlignment);
      return stop(durable ? SegmentScan::End::kDamaged : SegmentScan::End::kTorn, at, why);
    }
    if (record.index != next) {
      return stop(SegmentScan::End::kDamaged, at,
                  "entry " + std::to_string(record.index) + " stands where entry " +
                      std::to_string(next) + " belongs");
    }
    if (record.term < term) {
      return stop(SegmentScan::End::kDamaged, at,
                  "entry " + std::to_string(record.index) + " is of term " +
                      std::to_string(record.term) + ", the one before it of term " +
                      std::to_string(term));
    }
    if (!IsKnownType(record.type)) {
      return stop(SegmentScan::End::kForeign, at,
                  "entry " + std::to_string(record.index) + " is of type " +
                      std::to_string(record.type) + ", which this program does not know");
    }
    scan.records.push_back({.offset = at,
                            .index = record.index,
                            .term = record.term,
                            .type = static_cast<EntryType>(record.type),
                            .batch_offset = record.batch_offset,
                            .payload = record.payload});
    term = record.term;
    ++next;
    // A file that was cut right behind the payload has lost no more than padding.
    at = std::min<uint64_t>(at + RecordBytes(record.payload.size()), bytes.size());
    scan.end_offset = at;
  }
  return scan;
}

}  // namespace assent::txlog
