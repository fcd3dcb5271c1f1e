#include "ctl/backup_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

namespace assent::ctl {
namespace {

bool SyncDirectoryOf(const std::string& path) {
  std::filesystem::path directory = std::filesystem::path(path).parent_path();
  if (directory.empty()) directory = ".";
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool done = ::fsync(fd) == 0;
  ::close(fd);
  return done;
}

// Whether `path` still names the file that `fd` is.
bool Names(const std::string& path, int fd) {
  struct stat at_path {};
  struct stat ours {};
  return ::stat(path.c_str(), &at_path) == 0 && ::fstat(fd, &ours) == 0 &&
         at_path.st_dev == ours.st_dev && at_path.st_ino == ours.st_ino;
}

}  // namespace

BackupWriter::BackupWriter(std::string path, bool replace)
    : path_(std::move(path)), temporary_(path_ + ".tmp"), replace_(replace) {}

BackupWriter::~BackupWriter() {
  if (fd_ < 0) return;
  // While we hold its lock, nobody else takes the name.
  ::unlink(temporary_.c_str());
  ::close(fd_);
}

Status BackupWriter::Failed(const std::string& what) const {
  return FailedPrecondition(what + " " + temporary_ + " failed: " + std::strerror(errno) +
                            "; the directory must exist, be writable for this user and have room");
}

Status BackupWriter::Open() {
  struct stat there {};
  if (!replace_ && ::lstat(path_.c_str(), &there) == 0) {
    return AlreadyExists(path_ + " exists: name another file, or replace it with --force");
  }
  const int fd = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return Failed("creating");
  // What a crash has left behind is nobody's, and is written over.
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0 || !Names(temporary_, fd)) {
    ::close(fd);
    return FailedPrecondition("another assentctl is writing " + temporary_ +
                              ": wait for it, or name another file");
  }
  fd_ = fd;
  if (::ftruncate(fd_, 0) != 0 || ::fchmod(fd_, 0600) != 0) return Failed("creating");
  return Ok();
}

Status BackupWriter::Append(std::string_view bytes) {
  if (Status s = reader_.Feed(bytes); !s.ok()) {
    return {s.code(), "what the coordinator sent " + s.message()};
  }
  while (!bytes.empty()) {
    const ssize_t wrote = ::write(fd_, bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return Failed("writing");
    bytes.remove_prefix(static_cast<size_t>(wrote));
  }
  return Ok();
}

Status BackupWriter::Finish() {
  if (Status s = reader_.Finish(); !s.ok()) {
    return {s.code(), "what the coordinator sent " + s.message()};
  }
  if (::fsync(fd_) != 0) return Failed("writing");
  if (Status s = Rename(); !s.ok()) return s;
  ::close(std::exchange(fd_, -1));
  return SyncDirectoryOf(path_) ? Ok() : Failed("renaming");
}

Status BackupWriter::Rename() {
  if (replace_) return ::rename(temporary_.c_str(), path_.c_str()) == 0 ? Ok() : Failed("renaming");
  // Unlike rename, it replaces nothing.
  if (::link(temporary_.c_str(), path_.c_str()) != 0) {
    return errno == EEXIST
               ? AlreadyExists(path_ + " exists: name another file, or replace it with --force")
               : Failed("renaming");
  }
  ::unlink(temporary_.c_str());
  return Ok();
}

}  // namespace assent::ctl
