#include "txlog/storage/files.h"

#include <charconv>
#include <cstdio>

namespace assent::txlog {
namespace {

constexpr std::string_view kSegmentPrefix = "segment-";
constexpr std::string_view kSnapshotPrefix = "snapshot-";
constexpr std::string_view kIncomingPrefix = "incoming-";
constexpr std::string_view kInstallPrefix = "install-";
constexpr std::string_view kTemporarySuffix = ".tmp";
constexpr size_t kDigits = 20;
// A large snapshot is forced in pieces: one flush of everything would hold up the log's own.
constexpr size_t kPieceBytes = 128 << 10;
// On a disk mounted with `discard`, removing a segment at once held up commits for 20 ms and more;
// in such steps for 3 ms at most.
constexpr uint64_t kShrinkBytes = 1 << 20;

std::string Numbered(std::string_view prefix, Index number) {
  char digits[kDigits + 1];
  std::snprintf(digits, sizeof digits, "%020llu", static_cast<unsigned long long>(number));
  return std::string(prefix) + digits;
}

std::optional<Index> ParseNumbered(std::string_view prefix, std::string_view name) {
  if (name.substr(0, prefix.size()) != prefix) return std::nullopt;
  std::string_view digits = name.substr(prefix.size());
  Index number = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (digits.size() != kDigits || error != std::errc{} || end != digits.data() + digits.size()) {
    return std::nullopt;
  }
  return number;
}

Status WriteWhole(Disk& disk, const std::string& path,
                  std::initializer_list<std::string_view> pieces) {
  if (Status s = RemoveIfThere(disk, path); !s.ok()) return s;
  Result<std::unique_ptr<File>> file = disk.Create(path);
  if (!file.ok()) return file.status();
  uint64_t at = 0;
  for (std::string_view piece : pieces) {
    while (!piece.empty()) {
      std::string_view part = piece.substr(0, kPieceBytes);
      if (Status s = (*file)->WriteAt(at, part); !s.ok()) return s;
      at += part.size();
      piece.remove_prefix(part.size());
      if (piece.empty()) break;
      if (Status s = (*file)->Sync(); !s.ok()) return s;
    }
  }
  return (*file)->Sync();
}

}  // namespace

std::string SegmentName(Index first_index) { return Numbered(kSegmentPrefix, first_index); }
std::string SnapshotName(Index index) { return Numbered(kSnapshotPrefix, index); }

std::string IncomingName(Index index) { return Numbered(kIncomingPrefix, index); }
std::string InstallName(Index index) { return Numbered(kInstallPrefix, index); }

std::optional<Index> ParseSegmentName(std::string_view name) {
  return ParseNumbered(kSegmentPrefix, name);
}

std::optional<Index> ParseSnapshotName(std::string_view name) {
  return ParseNumbered(kSnapshotPrefix, name);
}

std::optional<Index> ParseIncomingName(std::string_view name) {
  return ParseNumbered(kIncomingPrefix, name);
}

std::optional<Index> ParseInstallName(std::string_view name) {
  return ParseNumbered(kInstallPrefix, name);
}

bool IsLeftover(std::string_view name) {
  return name == kSpareFile || name == kFreshFile || ParseIncomingName(name) ||
         name.ends_with(kTemporarySuffix);
}

Status RemoveIfThere(Disk& disk, const std::string& path) {
  Status s = disk.Remove(path);
  return s.code() == Code::kNotFound ? Ok() : s;
}

Status RemoveInSteps(Disk& disk, const std::string& path) {
  Result<std::unique_ptr<File>> file = disk.Open(path);
  if (!file.ok()) return file.status().code() == Code::kNotFound ? Ok() : file.status();
  Result<uint64_t> size = (*file)->Size();
  if (!size.ok()) return size.status();
  for (uint64_t left = *size; left > kShrinkBytes;) {
    left -= kShrinkBytes;
    if (Status s = (*file)->Truncate(left); !s.ok()) return s;
    if (Status s = (*file)->Sync(); !s.ok()) return s;
  }
  return RemoveIfThere(disk, path);
}

Status ReplaceFile(Disk& disk, const std::string& directory, const std::string& name,
                   std::initializer_list<std::string_view> pieces) {
  const std::string path = directory + "/" + name;
  const std::string temporary = path + std::string(kTemporarySuffix);
  Status s = WriteWhole(disk, temporary, pieces);
  if (s.ok()) s = disk.Rename(temporary, path);
  if (!s.ok()) {
    // Its room may be what others lack. If even that fails, the next start removes it.
    (void)RemoveIfThere(disk, temporary);
    return s;
  }
  return disk.SyncDirectory(directory);
}

Status DamagedFile(const std::string& path, uint64_t offset, const std::string& what) {
  return DataLoss(path + " is damaged at offset " + std::to_string(offset) + ": " + what +
                  ". Nothing was changed. Bring the whole directory back from a backup, with a new "
                  "incarnation (docs/log-format.md, \"When a file is damaged\")");
}

}  // namespace assent::txlog
