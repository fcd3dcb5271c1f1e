#include "txlog/storage/posix_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace assent::txlog {
namespace {

// Log files are private: they name databases and transactions.
constexpr mode_t kFileMode = 0640;
constexpr mode_t kDirectoryMode = 0750;
// How much Allocate writes before it forces: a flush of this size takes about as long as one of a
// large batch.
constexpr size_t kAllocateBytes = 512 << 10;

Status Failed(const char* what, const std::string& path, int error) {
  std::string message =
      std::string(what) + " " + path + ": " + std::generic_category().message(error);
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return ResourceExhausted(std::move(message));
    case ENOENT:
      return NotFound(std::move(message));
    case EEXIST:
      return AlreadyExists(std::move(message));
    default:
      return Unavailable(std::move(message));
  }
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

int OpenRetrying(const std::string& path, int flags) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, kFileMode);
  } while (fd < 0 && errno == EINTR);
  return fd;
}

class PosixFile final : public File {
 public:
  PosixFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  Result<uint64_t> Size() override {
    struct stat about {};
    if (::fstat(fd_.get(), &about) != 0) return Failed("looking at", path_, errno);
    return static_cast<uint64_t>(about.st_size);
  }

  Result<std::string> ReadAll() override {
    Result<uint64_t> size = Size();
    if (!size.ok()) return size.status();
    return ReadAt(0, *size);
  }

  Result<std::string> ReadAt(uint64_t offset, size_t size) override {
    std::string bytes(size, '\0');
    size_t done = 0;
    while (done < size) {
      ssize_t got =
          ::pread(fd_.get(), bytes.data() + done, size - done, static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Failed("reading", path_, errno);
      if (got == 0) break;
      done += static_cast<size_t>(got);
    }
    bytes.resize(done);
    return bytes;
  }

  Status WriteAt(uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      ssize_t put = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return Failed("writing", path_, errno);
      bytes.remove_prefix(static_cast<size_t>(put));
      offset += static_cast<uint64_t>(put);
    }
    return Ok();
  }

  Status Allocate(uint64_t size) override {
    Result<uint64_t> now = Size();
    if (!now.ok()) return now.status();
    if (*now >= size) return Ok();
    // Asked for all at once, so that a full disk answers before anything is written.
    int error =
        ::posix_fallocate(fd_.get(), static_cast<off_t>(*now), static_cast<off_t>(size - *now));
    if (error != 0) return Failed("allocating room for", path_, error);
    const std::string zeroes(std::min<uint64_t>(kAllocateBytes, size - *now), '\0');
    for (uint64_t at = *now; at < size; at += zeroes.size()) {
      size_t piece = std::min<uint64_t>(zeroes.size(), size - at);
      if (Status s = WriteAt(at, std::string_view(zeroes).substr(0, piece)); !s.ok()) return s;
      if (Status s = Sync(); !s.ok()) return s;
    }
    return Ok();
  }

  Status Truncate(uint64_t size) override {
    while (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) {
      if (errno != EINTR) return Failed("truncating", path_, errno);
    }
    return Ok();
  }

  Status Sync() override {
    // Never repeated, whatever the error: the first failure may have dropped the dirty pages.
    if (::fdatasync(fd_.get()) == 0) return Ok();
    return DataLoss(Failed("forcing to disk", path_, errno).message());
  }

 private:
  const std::string path_;
  Descriptor fd_;
};

class PosixLock final : public DirectoryLock {
 public:
  explicit PosixLock(int fd) : fd_(fd) {}

 private:
  Descriptor fd_;
};

}  // namespace

Status PosixDisk::CreateDirectory(const std::string& path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    std::string part = path.substr(0, slash);
    if (::mkdir(part.c_str(), kDirectoryMode) != 0 && errno != EEXIST) {
      // A parent that others own may refuse mkdir though it is there.
      struct stat about {};
      int error = errno;
      if (::stat(part.c_str(), &about) != 0) return Failed("creating directory", part, error);
    }
    if (slash == std::string::npos) break;
  }
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0) return Failed("creating directory", path, errno);
  if (!S_ISDIR(about.st_mode)) return Failed("creating directory", path, ENOTDIR);
  return Ok();
}

Result<std::vector<std::string>> PosixDisk::List(const std::string& directory) {
  DIR* dir = ::opendir(directory.c_str());
  if (dir == nullptr) return Failed("reading directory", directory, errno);
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(dir)) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
    errno = 0;
  }
  int error = errno;
  ::closedir(dir);
  if (error != 0) return Failed("reading directory", directory, error);
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::unique_ptr<File>> PosixDisk::Open(const std::string& path) {
  int fd = OpenRetrying(path, O_RDWR);
  if (fd < 0) return Failed("opening", path, errno);
  return std::unique_ptr<File>(std::make_unique<PosixFile>(path, fd));
}

Result<std::unique_ptr<File>> PosixDisk::Create(const std::string& path) {
  int fd = OpenRetrying(path, O_RDWR | O_CREAT | O_EXCL);
  if (fd < 0) return Failed("creating", path, errno);
  return std::unique_ptr<File>(std::make_unique<PosixFile>(path, fd));
}

Status PosixDisk::Rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return Ok();
  return Failed(("renaming " + from + " to").c_str(), to, errno);
}

Status PosixDisk::Remove(const std::string& path) {
  if (::unlink(path.c_str()) == 0) return Ok();
  return Failed("removing", path, errno);
}

Status PosixDisk::SyncDirectory(const std::string& path) {
  Descriptor fd(OpenRetrying(path, O_RDONLY | O_DIRECTORY));
  if (!fd.ok()) return Failed("opening directory", path, errno);
  if (::fsync(fd.get()) == 0) return Ok();
  return DataLoss(Failed("forcing to disk", path, errno).message());
}

Result<std::unique_ptr<DirectoryLock>> PosixDisk::Lock(const std::string& directory) {
  const std::string path = directory + "/" + std::string(kLockFile);
  Descriptor fd(OpenRetrying(path, O_RDWR | O_CREAT));
  if (!fd.ok()) return Failed("opening", path, errno);
  // flock, not fcntl: it also keeps out a second opener in the same process, and it is not lost
  // when an unrelated descriptor of the file is closed.
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return Failed("locking", path, errno);
    char pid[32] = {};
    ssize_t got = ::pread(fd.get(), pid, sizeof pid - 1, 0);
    std::string holder = got > 0 ? std::string(pid, static_cast<size_t>(got)) : "unknown";
    while (!holder.empty() && holder.back() == '\n') holder.pop_back();
    return FailedPrecondition("directory " + directory + " is in use by process " + holder +
                              ": stop that process, or give this one another directory");
  }
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd.get(), 0) != 0 || ::pwrite(fd.get(), pid.data(), pid.size(), 0) < 0) {
    // A full disk must not keep a node from starting: the lock itself is held, and only the pid in
    // another process's message would be missing.
  }
  return std::unique_ptr<DirectoryLock>(std::make_unique<PosixLock>(fd.Release()));
}

}  // namespace assent::txlog
