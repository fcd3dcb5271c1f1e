// The file of a backup of a group's state: lines that people can read, the state, opaque here, and
// a checksum. Written by a coordinator, carried by assentctl, read by whoever restores.
//
//   assent-backup
//   format_version=1
//   ...                        a line for each field of BackupHeader, in its order
//                              (an empty line)
//   STATE                      state_bytes bytes
//   crc32c=0123abcd            of all bytes before this line
//
// Pure but for ReadBackup.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace assent {

inline constexpr uint32_t kBackupFormat = 1;
// Of the lines, up to the empty one included.
inline constexpr size_t kBackupHeaderBytesMax = 4096;

struct BackupHeader {
  std::string program;  // The version of assentd that wrote it.
  std::string cluster;
  std::string cluster_uuid;
  uint64_t group = 0;
  uint64_t group_incarnation = 0;
  uint64_t term = 0;        // Of the leader that wrote it.
  uint64_t index = 0;       // The state reflects the log up to here.
  std::string taken;        // When, by the leader's clock: "2026-11-26T19:10:00Z".
  uint64_t decisions = 0;   // Committed transactions on record, unfinished ones included.
  uint64_t unfinished = 0;  // Those of them that some branch had not applied.
  uint64_t state_bytes = 0;

  bool operator==(const BackupHeader&) const = default;
};

// What stands before the state.
std::string EncodeBackupHeader(const BackupHeader& header);
// What stands behind it; `crc` is the Crc32c of everything before.
std::string EncodeBackupEnd(uint32_t crc);

// Checks a file that arrives in pieces of any size, in order. It holds no more than the header, and
// the state if asked to.
//
// Every error is final, names the remedy and begins like "is cut short ...", for the caller to put
// the file's name before. DATA_LOSS: no backup, damaged, or not whole. FAILED_PRECONDITION: of a
// newer format.
class BackupReader {
 public:
  explicit BackupReader(bool keep_state = false) : keep_state_(keep_state) {}

  Status Feed(std::string_view bytes);
  // There is no more.
  Status Finish() const;

  // Only after Finish has answered OK.
  const BackupHeader& header() const { return header_; }
  std::string TakeState() { return std::move(state_); }

 private:
  Status ReadHeader();

  const bool keep_state_;
  bool has_header_ = false;
  std::string lines_;  // Until the header is whole.
  BackupHeader header_;
  uint32_t crc_ = 0;
  uint64_t state_seen_ = 0;
  std::string state_;
  std::string end_;  // What came behind the state.
};

// Reads and checks a whole file; `state` may be null. Errors as BackupReader, with the path in the
// message. NOT_FOUND, PERMISSION_DENIED, UNAVAILABLE: it can't be read.
Result<BackupHeader> ReadBackup(const std::string& path, std::string* state);

}  // namespace assent
