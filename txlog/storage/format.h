// The bytes of the log's files, version 1: docs/log-format.md explains them with an example. Pure
// functions over bytes; no file is touched here. Numbers are little-endian.
//
// A segment is a header and then records, one after another, each on a multiple of 8 bytes, and
// zeroes up to the end. What decides between "torn" and "damaged" is written into each record: the
// offset where its batch began. A batch is written and forced as one, and nothing of the next one
// is written before. So a whole record behind a broken place proves, if its batch began behind that
// place, that the broken bytes were once durable; if not, both belong to one batch that a crash
// tore, and nobody was told of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "txlog/decision_log.h"

namespace assent::txlog {

inline constexpr uint32_t kFormatVersion = 1;

enum class EntryType : uint8_t {
  kNoop = 1,    // The log's own, without payload.
  kRecord = 2,  // The caller's bytes.
  kConfig = 3,  // The group's members, in the engine's own encoding.
};

struct Entry {
  Index index = 0;
  Term term = 0;
  EntryType type = EntryType::kRecord;
  std::string payload;

  bool operator==(const Entry&) const = default;
};

inline constexpr size_t kSegmentHeaderBytes = 32;
inline constexpr size_t kRecordHeaderBytes = 32;
inline constexpr size_t kRecordAlignment = 8;
// Offsets are 32 bits wide in records.
inline constexpr uint64_t kSegmentBytesMax = uint64_t{1} << 30;

struct SegmentHeader {
  Index first_index = 0;
  Term previous_term = 0;  // Of the entry before the first one; 0 at the beginning of time.

  bool operator==(const SegmentHeader&) const = default;
};

std::string EncodeSegmentHeader(const SegmentHeader& header);

// Bytes that a record with such a payload takes in a segment, padding included.
constexpr uint64_t RecordBytes(uint64_t payload_bytes) {
  return (kRecordHeaderBytes + payload_bytes + kRecordAlignment - 1) / kRecordAlignment *
         kRecordAlignment;
}

// Appends the record to `out`. `batch_offset`: where in the segment its batch begins; 0 for the
// first batch, which includes the segment's header.
void AppendRecord(std::string& out, const Entry& entry, uint32_t batch_offset);

// Reads the record at `offset` back. The offset behind it (padding included), or 0 if no whole
// record with a right checksum and a known type stands there.
uint64_t DecodeRecord(std::string_view bytes, uint64_t offset, Entry* entry);

// What a segment's bytes say.
struct SegmentScan {
  enum class End {
    kClean,    // Only zeroes follow.
    kTorn,     // The last batch was not written to its end: the trace of a crash.
    kDamaged,  // Bytes that were once durable have changed.
    kForeign,  // Not ours, or of a newer format: left alone.
  };

  struct Found {
    uint64_t offset = 0;
    Index index = 0;
    Term term = 0;
    EntryType type = EntryType::kRecord;
    uint32_t batch_offset = 0;
    std::string_view payload;  // Into the scanned bytes.
  };

  SegmentHeader header;  // Only if has_header.
  bool has_header = false;
  std::vector<Found> records;
  uint64_t end_offset = 0;  // Behind the last good record.
  End end = End::kClean;
  uint64_t bad_offset = 0;  // Unless kClean.
  std::string why;          // Unless kClean: what is wrong there.
};

// Reads as far as all is well. Never fails, whatever the bytes: what it finds is the answer.
SegmentScan ScanSegment(std::string_view bytes);

// The node's own facts that must survive: term, vote (Raft), and a floor.
struct HardState {
  Term term = 0;
  uint64_t vote = 0;  // Node id voted for in `term`; 0: none.
  // The log was once durable up to here: if it ends before, its end was lost, not torn.
  Index log_floor = 0;

  bool operator==(const HardState&) const = default;
};

std::string EncodeHardState(const HardState& state);
// DATA_LOSS: the bytes are damaged (the file is replaced as a whole, so no crash does that).
// FAILED_PRECONDITION: of a newer format. Messages name `path` and the remedy.
Result<HardState> DecodeHardState(std::string_view bytes, const std::string& path);

struct Snapshot {
  Index index = 0;
  Term term = 0;
  std::string state;

  bool operator==(const Snapshot&) const = default;
};

inline constexpr size_t kSnapshotHeaderBytes = 40;
// The header of a snapshot's file; the state follows. Apart, so that a large state is not copied.
std::string EncodeSnapshotHeader(Index index, Term term, std::string_view state);
// Errors as DecodeHardState.
Result<Snapshot> DecodeSnapshot(std::string_view bytes, const std::string& path);

// Whose directory it is: the text file `node`.
struct NodeIdentity {
  std::string cluster;       // [a-z][a-z0-9-]{0,15}
  std::string cluster_uuid;  // As RandomUuid() makes them.
  uint64_t node_id = 0;      // From 1.
  // Of a group that was restored from a backup: what tells it from the group before, whose nodes
  // have the same UUID and must never be listened to. 0: of the group that was bootstrapped.
  uint64_t group_incarnation = 0;
  // Of the members that the group was bootstrapped with; 0: not known here (of a node that joined).
  uint64_t first_members = 0;
  // Drawn when the directory was made, so that one that was lost and made again is told from it.
  // 0: made by a program that drew none.
  uint64_t directory = 0;

  bool operator==(const NodeIdentity&) const = default;
};

std::string EncodeNodeFile(const NodeIdentity& identity);
// Errors as DecodeHardState.
Result<NodeIdentity> DecodeNodeFile(std::string_view text, const std::string& path);
// INVALID_ARGUMENT names the field, its value and what is allowed.
Status CheckIdentity(const NodeIdentity& identity);

}  // namespace assent::txlog
