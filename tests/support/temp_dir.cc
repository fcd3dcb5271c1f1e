#include "tests/support/temp_dir.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>
#include <vector>

#include "base/check.h"

namespace assent::test_support {
namespace {

// Leaves room for "/data/mariadb.sock" and the like within 107 bytes.
constexpr size_t kTempPathBytesMax = 60;

std::string TempRoot() {
  std::error_code error;
  std::string root = std::filesystem::temp_directory_path(error).string();
  while (root.size() > 1 && root.back() == '/') root.pop_back();
  if (error || root.empty() || root.size() > kTempPathBytesMax) return "/tmp";
  return root;
}

Status Failed(const std::string& what, const std::string& path) {
  return Internal(what + " " + path + ": " + std::strerror(errno));
}

}  // namespace

UnprivilegedUser FindUnprivilegedUser() {
  if (geteuid() != 0) return {geteuid(), getegid()};
  static const UnprivilegedUser nobody = [] {
    passwd entry{};
    passwd* found = nullptr;
    std::vector<char> buffer(16384);
    if (getpwnam_r("nobody", &entry, buffer.data(), buffer.size(), &found) == 0 && found) {
      return UnprivilegedUser{found->pw_uid, found->pw_gid};
    }
    return UnprivilegedUser{65534, 65534};
  }();
  return nobody;
}

TempDir::TempDir() {
  std::string pattern = TempRoot() + "/as-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) {
    std::fprintf(stderr, "mkdtemp %s: %s; set TMPDIR to a writable folder\n", pattern.c_str(),
                 std::strerror(errno));
    std::abort();
  }
  path_ = pattern;
  ASSENT_CHECK(chmod(path_.c_str(), 0755) == 0);
}

TempDir::~TempDir() { Remove(); }

TempDir::TempDir(TempDir&& other) noexcept
    : path_(std::exchange(other.path_, {})), keep_(other.keep_) {}

TempDir& TempDir::operator=(TempDir&& other) noexcept {
  if (this == &other) return *this;
  Remove();
  path_ = std::exchange(other.path_, {});
  keep_ = other.keep_;
  return *this;
}

void TempDir::Remove() {
  if (path_.empty() || keep_) return;
  std::error_code error;  // A leftover is untidy, not wrong.
  std::filesystem::remove_all(path_, error);
}

Status TempDir::MakeDir(const std::string& name) const {
  std::string path = File(name);
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return Failed("mkdir", path);
  return Ok();
}

Status TempDir::MakeDirForUnprivileged(const std::string& name) const {
  if (Status made = MakeDir(name); !made.ok()) return made;
  return GiveToUnprivileged(File(name));
}

Status GiveToUnprivileged(const std::string& path) {
  if (geteuid() != 0) return Ok();
  UnprivilegedUser user = FindUnprivilegedUser();
  if (chown(path.c_str(), user.uid, user.gid) != 0) return Failed("chown", path);
  return Ok();
}

Status WriteFile(const std::string& path, const std::string& content) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << content;
  out.close();
  if (!out) return Internal("can't write " + path);
  return Ok();
}

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string Tail(const std::string& path, size_t bytes_max) {
  std::string text = ReadFile(path);
  if (text.size() <= bytes_max) return text;
  return "..." + text.substr(text.size() - bytes_max);
}

}  // namespace assent::test_support
