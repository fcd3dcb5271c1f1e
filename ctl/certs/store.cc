#include "ctl/certs/store.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/random.h"
#include "base/read_file.h"
#include "ctl/certs/new_file.h"

namespace assent::certs {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kSecret = 0600;
constexpr mode_t kPublic = 0644;

Files FilesOf(const std::string& directory, const std::string& name) {
  const std::string base = fs::path(directory) / name;
  return {base + ".pem", base + ".key"};
}

bool Exists(const std::string& path) {
  struct stat info = {};
  return lstat(path.c_str(), &info) == 0;
}

// The key first: a certificate always has its key beside it.
Status WriteBoth(const Files& files, const Identity& identity, Write how) {
  if (Status key = WriteWhole(files.key, identity.key_pem, kSecret, how); !key.ok()) return key;
  return WriteWhole(files.certificate, identity.certificate_pem, kPublic, how);
}

Result<Authority> LoadAuthority(const std::string& directory) {
  const Files files = FilesOf(directory, "ca");
  if (!Exists(files.certificate) && !Exists(files.key)) {
    return NotFound(directory + " holds no authority (ca.pem, ca.key); make one with: assentctl " +
                    "certs init " + directory);
  }
  auto certificate = ReadFile("authority", files.certificate);
  if (!certificate.ok()) return certificate.status();
  auto key = ReadPrivateFile("key of the authority", files.key);
  if (!key.ok()) return key.status();
  auto authority = Authority::Load({*certificate, *key});
  if (authority.ok()) return authority;
  return FailedPrecondition("authority in " + directory + ": " + authority.status().message() +
                            "; put the right files back from their backup");
}

// What may be replaced, and its hosts.
Result<Facts> CheckRenewal(const Files& files, const Request& request, const Authority& authority) {
  auto pem = ReadFile("certificate", files.certificate);
  if (!pem.ok()) return pem.status();
  const std::string refusal =
      "--force renews only what this authority has signed for the same "
      "name and role; " +
      files.certificate;
  std::vector<Facts> all = ReadCertificates(*pem);
  if (all.empty()) return FailedPrecondition(refusal + " holds no certificate");
  if (!authority.HasSigned(*pem)) return FailedPrecondition(refusal + " is from another authority");
  if (all[0].role != request.role || all[0].name != request.name) {
    return FailedPrecondition(refusal + " is of " + all[0].subject + "; choose another name");
  }
  return all[0];
}

Status Taken(const Files& files) {
  const bool half = !Exists(files.certificate);
  if (half) {
    return AlreadyExists(files.key +
                         " exists without its certificate, as a run that was cut short leaves it; "
                         "move it away, or choose another name");
  }
  return AlreadyExists(files.certificate +
                       " exists; choose another name, or renew it with --force");
}

Result<Shown> ShowFile(const std::string& path) {
  auto pem = ReadFile("certificate", path);
  if (!pem.ok()) return pem.status();
  return Shown{path, ReadCertificates(*pem)};
}

}  // namespace

Result<Files> InitAuthority(const std::string& directory, WallTime now) {
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return FailedPrecondition("directory " + directory + ": cannot be made: " + strerror(errno) +
                              "; its parent must exist and be writable for this user");
  }
  const Files files = FilesOf(directory, "ca");
  for (const std::string& file : {files.certificate, files.key}) {
    if (!Exists(file)) continue;
    return AlreadyExists(file +
                         " exists: this directory has an authority, and what it has signed would "
                         "be void without it; choose another directory");
  }
  char number[9];
  snprintf(number, sizeof(number), "%08x", static_cast<unsigned>(SystemRandom64() >> 32));
  auto identity = MakeAuthority(PlanAuthority(number, now));
  if (!identity.ok()) return identity.status();
  if (Status written = WriteBoth(files, *identity, Write::kNew); !written.ok()) return written;
  return files;
}

Result<Files> Issue(const std::string& directory, Request request, bool renew, WallTime now) {
  if (Status name = CheckName(request.name); !name.ok()) return name;
  auto authority = LoadAuthority(directory);
  if (!authority.ok()) return authority.status();
  const Files files = FilesOf(directory, request.name);
  const bool taken = Exists(files.certificate) || Exists(files.key);
  if (taken && (!renew || !Exists(files.certificate))) return Taken(files);
  if (taken) {
    auto old = CheckRenewal(files, request, *authority);
    if (!old.ok()) return old.status();
    if (request.hosts.empty()) request.hosts = old->hosts;
  }
  auto plan = PlanCertificate(request, authority->validity(), now);
  if (!plan.ok()) return plan.status();
  auto identity = authority->Sign(*plan);
  if (!identity.ok()) return identity.status();
  if (Status written = WriteBoth(files, *identity, taken ? Write::kReplace : Write::kNew);
      !written.ok()) {
    return written;
  }
  return files;
}

Result<std::vector<Shown>> Show(const std::string& path) {
  std::vector<Shown> all;
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    auto shown = ShowFile(path);
    if (!shown.ok()) return shown.status();
    if (shown->certificates.empty()) {
      return FailedPrecondition(path + " holds no certificate in PEM form");
    }
    all.push_back(std::move(*shown));
    return all;
  }
  std::vector<std::string> files;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".pem") files.push_back(it->path());
  }
  if (error) return FailedPrecondition(path + ": cannot be listed: " + error.message());
  if (files.empty()) {
    return NotFound(path + " holds no *.pem; make an authority with: assentctl certs init " + path);
  }
  const std::string first = FilesOf(path, "ca").certificate;
  std::sort(files.begin(), files.end(), [&](const std::string& a, const std::string& b) {
    return std::pair(a != first, a) < std::pair(b != first, b);
  });
  for (const std::string& file : files) {
    auto shown = ShowFile(file);
    if (!shown.ok()) return shown.status();
    all.push_back(std::move(*shown));
  }
  return all;
}

}  // namespace assent::certs
