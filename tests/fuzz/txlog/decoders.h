// What must hold for any bytes given to the decoders of txlog's files. Shared by the libFuzzer
// targets and by the unit test that changes golden files, so that every compiler runs it.
#pragma once

#include <string>
#include <string_view>

#include "base/check.h"
#include "base/crc32c.h"
#include "txlog/storage/bytes.h"
#include "txlog/storage/format.h"

namespace assent::txlog {

// Puts the right checksum where a hard state or a snapshot has its own.
inline void MendFileChecksums(std::string& bytes) {
  if (bytes.size() < 12) return;
  std::string crc;
  PutNumber(crc, Crc32c(std::string_view(bytes).substr(12)));
  bytes.replace(8, crc.size(), crc);
}

// The same for a segment's header, and for its records as far as their lengths lead.
inline void MendSegmentChecksums(std::string& bytes) {
  if (bytes.size() < kSegmentHeaderBytes) return;
  auto put = [&bytes](size_t at, uint32_t value) {
    std::string crc;
    PutNumber(crc, value);
    bytes.replace(at, crc.size(), crc);
  };
  put(8, Crc32c(std::string_view(bytes).substr(12, kSegmentHeaderBytes - 12)));
  for (size_t at = kSegmentHeaderBytes; at + kRecordHeaderBytes <= bytes.size();) {
    const size_t length = GetNumber<uint32_t>(bytes, at + 4);
    if (length > bytes.size() - at - kRecordHeaderBytes) return;
    put(at, Crc32c(std::string_view(bytes).substr(at + 4, kRecordHeaderBytes - 4 + length)));
    at += RecordBytes(length);
  }
}

inline void CheckSegmentDecoder(std::string_view bytes) {
  const SegmentScan scan = ScanSegment(bytes);
  ASSENT_CHECK(scan.end_offset <= bytes.size());
  ASSENT_CHECK(scan.has_header || scan.records.empty());
  ASSENT_CHECK((scan.end == SegmentScan::End::kClean) == scan.why.empty());
  ASSENT_CHECK(scan.end == SegmentScan::End::kClean || scan.bad_offset >= scan.end_offset);
  if (!scan.has_header) return;
  // What was read, written again, is what stood there: nothing is made up.
  std::string again = EncodeSegmentHeader(scan.header);
  Index index = scan.header.first_index;
  for (const SegmentScan::Found& found : scan.records) {
    ASSENT_CHECK(found.index == index++ && found.offset == again.size());
    if (found.index == 0 || found.payload.size() > kRecordBytesMax) return;  // Never written.
    AppendRecord(again, {found.index, found.term, found.type, std::string(found.payload)},
                 found.batch_offset);
    Entry entry;
    ASSENT_CHECK(DecodeRecord(bytes, found.offset, &entry) == again.size());
    // Padding is not covered by the checksum.
    const size_t covered = found.offset + kRecordHeaderBytes + found.payload.size();
    ASSENT_CHECK(bytes.substr(found.offset, covered - found.offset) ==
                 std::string_view(again).substr(found.offset, covered - found.offset));
  }
}

inline void CheckHardStateDecoder(std::string_view bytes) {
  Result<HardState> state = DecodeHardState(bytes, "hard_state");
  if (state.ok()) ASSENT_CHECK(EncodeHardState(*state) == bytes);
}

inline void CheckSnapshotDecoder(std::string_view bytes) {
  Result<Snapshot> snapshot = DecodeSnapshot(bytes, "snapshot");
  if (!snapshot.ok()) return;
  ASSENT_CHECK(EncodeSnapshotHeader(snapshot->index, snapshot->term, snapshot->state) +
                   snapshot->state ==
               bytes);
}

inline void CheckNodeFileDecoder(std::string_view bytes) {
  Result<NodeIdentity> identity = DecodeNodeFile(bytes, "node");
  if (identity.ok()) ASSENT_CHECK(EncodeNodeFile(*identity) == bytes);
}

}  // namespace assent::txlog
