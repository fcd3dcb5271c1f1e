// What the log needs of a file system, and nothing more: so that tests can put a disk in its place
// that loses, tears, flips and fills up (tests/txlog/sim_disk.h).
//
// Errors, the same for every call:
//   RESOURCE_EXHAUSTED  no room (ENOSPC, EDQUOT, EFBIG). Part of the bytes may have been written.
//   DATA_LOSS           a forced write failed. What the file holds now is unknown, and asking again
//                       would answer wrongly (the kernel reports a failed flush once): end the
//                       process.
//   NOT_FOUND           no such file or directory.
//   ALREADY_EXISTS      the file to be created is there.
//   UNAVAILABLE         everything else, with the system's words.
// Messages name the path.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace assent::txlog {

// An open file. One thread at a time; closed by destruction.
class File {
 public:
  virtual ~File() = default;

  virtual Result<uint64_t> Size() = 0;
  // The whole content.
  virtual Result<std::string> ReadAll() = 0;
  // `size` bytes from `offset`; fewer at the end of the file.
  virtual Result<std::string> ReadAt(uint64_t offset, size_t size) = 0;

  virtual Status WriteAt(uint64_t offset, std::string_view bytes) = 0;
  // Grows the file to `size` with zeroes that are really written, so that later writes there change
  // no metadata and can hardly run out of room. Forces what it wrote piece by piece, so that other
  // files' flushes never wait for one great one. Does nothing if the file is as long already.
  virtual Status Allocate(uint64_t size) = 0;
  virtual Status Truncate(uint64_t size) = 0;
  // fdatasync: content and length are durable once it returns OK.
  virtual Status Sync() = 0;
};

// Holds a directory for this process; released by destruction or death.
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;
};

// Thread-safe.
class Disk {
 public:
  virtual ~Disk() = default;

  // With parents; fine if it is there.
  virtual Status CreateDirectory(const std::string& path) = 0;
  // Names (not paths) of what is in the directory, sorted.
  virtual Result<std::vector<std::string>> List(const std::string& directory) = 0;

  virtual Result<std::unique_ptr<File>> Open(const std::string& path) = 0;
  // A new, empty file.
  virtual Result<std::unique_ptr<File>> Create(const std::string& path) = 0;

  // Replaces `to` if it is there. Durable after SyncDirectory, as is Remove.
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  virtual Status Remove(const std::string& path) = 0;
  virtual Status SyncDirectory(const std::string& path) = 0;

  // FAILED_PRECONDITION names the process that holds it.
  virtual Result<std::unique_ptr<DirectoryLock>> Lock(const std::string& directory) = 0;
};

// The name of the lock's file inside the directory.
inline constexpr std::string_view kLockFile = "lock";

}  // namespace assent::txlog
