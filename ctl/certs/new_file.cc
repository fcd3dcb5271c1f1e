#include "ctl/certs/new_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace assent::certs {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

Status Failed(const std::string& path) {
  return FailedPrecondition(path + ": cannot be written: " + strerror(errno) +
                            "; the directory must exist, be writable for this user and have room");
}

bool WriteAll(int fd, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t wrote = write(fd, text.data() + done, text.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return false;
    done += static_cast<size_t>(wrote);
  }
  return true;
}

Status SyncDirectory(const std::string& path) {
  std::filesystem::path directory = std::filesystem::path(path).parent_path();
  if (directory.empty()) directory = ".";
  Descriptor opened(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return opened.fd() >= 0 && fsync(opened.fd()) == 0 ? Ok() : Failed(path);
}

}  // namespace

Status WriteWhole(const std::string& path, const std::string& text, mode_t mode, Write how) {
  std::string temporary = path + ".XXXXXX";
  Descriptor file(mkostemp(temporary.data(), O_CLOEXEC));  // Mode 0600: never open to others.
  if (file.fd() < 0) return Failed(path);
  Status status;
  if (!WriteAll(file.fd(), text) || fchmod(file.fd(), mode) != 0 || fsync(file.fd()) != 0) {
    status = Failed(path);
  } else if (how == Write::kReplace) {
    if (rename(temporary.c_str(), path.c_str()) == 0) return SyncDirectory(path);
    status = Failed(path);
  } else if (link(temporary.c_str(), path.c_str()) != 0) {
    // Unlike rename, it replaces nothing.
    status = errno == EEXIST ? AlreadyExists(path + " exists") : Failed(path);
  }
  unlink(temporary.c_str());
  return status.ok() ? SyncDirectory(path) : status;
}

}  // namespace assent::certs
