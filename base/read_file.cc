#include "base/read_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

namespace assent {
namespace {

constexpr size_t kBytesMax = 1 << 20;

Result<std::string> Read(std::string_view what, const std::string& path, mode_t forbidden) {
  std::string name = std::string(what) + " " + path;
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // A pipe must not hold us up.
  if (fd < 0) {
    int error = errno;
    std::string message = name + ": cannot be opened: " + strerror(error);
    if (error == ENOENT || error == ENOTDIR) {
      return NotFound(message + "; create it or name another");
    }
    if (error == EACCES) {
      return PermissionDenied(message + "; let this user (uid " + std::to_string(geteuid()) +
                              ") read it");
    }
    return FailedPrecondition(message);
  }
  std::unique_ptr<FILE, int (*)(FILE*)> file(fdopen(fd, "r"), fclose);
  struct stat info = {};
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    return FailedPrecondition(name + ": is not a regular file; name one that is");
  }
  if ((info.st_mode & forbidden) != 0) {
    char mode[8];
    snprintf(mode, sizeof(mode), "%04o", static_cast<unsigned>(info.st_mode & 07777));
    return FailedPrecondition(name + ": its mode " + mode +
                              " lets other users at a secret; run: chmod 0600 " + path);
  }
  std::string text(kBytesMax + 1, '\0');
  text.resize(fread(text.data(), 1, text.size(), file.get()));
  if (ferror(file.get())) return FailedPrecondition(name + ": reading failed: " + strerror(errno));
  if (text.size() > kBytesMax) return FailedPrecondition(name + ": is larger than 1 MiB");
  return text;
}

}  // namespace

Result<std::string> ReadFile(std::string_view what, const std::string& path) {
  return Read(what, path, 0);
}

Result<std::string> ReadPrivateFile(std::string_view what, const std::string& path) {
  return Read(what, path, S_IWGRP | S_IRWXO);
}

}  // namespace assent
