// A private directory for one test or one quickstart: databases, logs, sockets and config files
// live in it and go away with it.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/status.h"

namespace assent::test_support {

// The user that databases run as: they refuse to run as root. Ourselves unless we are root.
struct UnprivilegedUser {
  uid_t uid = 0;
  gid_t gid = 0;
};
// "nobody" when we are root, else the current user. Thread-safe.
UnprivilegedUser FindUnprivilegedUser();

// A directory with a short name (unix socket paths end at 107 bytes) under the system's temporary
// folder, mode 0755 so that the unprivileged user may pass through. Removed with all that is in it
// at destruction, unless Keep() was called. Aborts the process if it can't be made: no test can go
// on without it. Movable; not thread-safe.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(TempDir&& other) noexcept;
  TempDir& operator=(TempDir&& other) noexcept;
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  // path()/name.
  std::string File(const std::string& name) const { return path_ + "/" + name; }
  // Makes path()/name as a directory of mode 0700.
  Status MakeDir(const std::string& name) const;
  // The same, belonging to the unprivileged user.
  Status MakeDirForUnprivileged(const std::string& name) const;
  // Leaves the directory behind at destruction.
  void Keep() { keep_ = true; }

 private:
  void Remove();

  std::string path_;
  bool keep_ = false;
};

// Hands one file or directory (not what is in it) to the unprivileged user; nothing to do unless we
// are root.
Status GiveToUnprivileged(const std::string& path);

// Whole files, for config files and logs.
Status WriteFile(const std::string& path, const std::string& content);
// Empty if it can't be read.
std::string ReadFile(const std::string& path);
// The last lines of a file, for error messages.
std::string Tail(const std::string& path, size_t bytes_max = 2000);

}  // namespace assent::test_support
