#include "base/backup/backup_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "base/crc32c.h"
#include "base/mutant.h"

namespace assent {
namespace {

constexpr std::string_view kMagic = "assent-backup\n";
constexpr std::string_view kCrcKey = "crc32c=";
// "crc32c=", 8 digits, a line's end.
constexpr size_t kEndBytes = kCrcKey.size() + 9;
constexpr size_t kPieceBytes = 256 << 10;

Status Damaged(const std::string& what) {
  return DataLoss("is damaged: " + what + ". Take another copy, or another backup");
}

// Walks the lines of a header, in their order.
class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text) {}

  std::string_view Take(std::string_view key) {
    const size_t end = text_.find('\n');
    if (!good_ || end == std::string_view::npos || !text_.starts_with(key) ||
        text_.substr(key.size(), 1) != "=") {
      if (good_) missing_ = key;
      good_ = false;
      return {};
    }
    const std::string_view value = text_.substr(key.size() + 1, end - key.size() - 1);
    text_.remove_prefix(end + 1);
    for (char c : value) good_ = good_ && c >= ' ' && c <= '~';
    if (!good_) missing_ = key;
    return value;
  }
  void Take(std::string_view key, std::string* to) { *to = Take(key); }
  void Take(std::string_view key, uint64_t* to) {
    const std::string_view text = Take(key);
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *to);
    if (good_ && (error != std::errc{} || end != text.data() + text.size())) {
      good_ = false;
      missing_ = key;
    }
  }
  bool good() const { return good_; }
  // Behind which the first unexpected thing stands.
  std::string missing() const { return std::string(missing_); }
  std::string_view rest() const { return text_; }

 private:
  std::string_view text_;
  std::string_view missing_;
  bool good_ = true;
};

void Put(std::string& out, std::string_view key, std::string_view value) {
  out.append(key).append("=").append(value).append("\n");
}
void Put(std::string& out, std::string_view key, uint64_t value) {
  Put(out, key, std::to_string(value));
}

std::string Hex(uint32_t value) {
  char text[9];
  std::snprintf(text, sizeof text, "%08x", static_cast<unsigned>(value));
  return text;
}

}  // namespace

std::string EncodeBackupEnd(uint32_t crc) { return std::string(kCrcKey) + Hex(crc) + "\n"; }

std::string EncodeBackupHeader(const BackupHeader& header) {
  std::string out(kMagic);
  Put(out, "format_version", kBackupFormat);
  Put(out, "program", header.program);
  Put(out, "cluster", header.cluster);
  Put(out, "cluster_uuid", header.cluster_uuid);
  Put(out, "group", header.group);
  Put(out, "group_incarnation", header.group_incarnation);
  Put(out, "term", header.term);
  Put(out, "index", header.index);
  Put(out, "taken", header.taken);
  Put(out, "decisions", header.decisions);
  Put(out, "unfinished", header.unfinished);
  Put(out, "state_bytes", header.state_bytes);
  return out.append("\n");
}

Status BackupReader::ReadHeader() {
  const std::string_view text(lines_);
  if (!std::string_view(kMagic).starts_with(text.substr(0, kMagic.size()))) {
    return DataLoss("is no backup of Assent: it does not begin with \"assent-backup\"");
  }
  const size_t end = text.find("\n\n");
  if (end == std::string_view::npos) {
    return text.size() < kBackupHeaderBytesMax ? Ok() : Damaged("its header has no end");
  }
  Lines lines(text.substr(kMagic.size(), end + 1 - kMagic.size()));
  uint64_t format = 0;
  lines.Take("format_version", &format);
  if (lines.good() && format > kBackupFormat) {
    return FailedPrecondition("is of format " + std::to_string(format) +
                              ", this program reads format " + std::to_string(kBackupFormat) +
                              ": use the newer program that wrote it");
  }
  lines.Take("program", &header_.program);
  lines.Take("cluster", &header_.cluster);
  lines.Take("cluster_uuid", &header_.cluster_uuid);
  lines.Take("group", &header_.group);
  lines.Take("group_incarnation", &header_.group_incarnation);
  lines.Take("term", &header_.term);
  lines.Take("index", &header_.index);
  lines.Take("taken", &header_.taken);
  lines.Take("decisions", &header_.decisions);
  lines.Take("unfinished", &header_.unfinished);
  lines.Take("state_bytes", &header_.state_bytes);
  if (!lines.good() || !lines.rest().empty() || format == 0) {
    return Damaged("its header should have a line " +
                   (lines.good() ? "less" : lines.missing() + "= with a value"));
  }
  crc_ = Crc32c(text.substr(0, end + 2));
  has_header_ = true;
  const std::string rest(text.substr(end + 2));
  lines_.clear();
  return Feed(rest);
}

Status BackupReader::Feed(std::string_view bytes) {
  if (!has_header_) {
    const size_t most = kBackupHeaderBytesMax - lines_.size();
    lines_ += bytes.substr(0, most);
    if (Status s = ReadHeader(); !s.ok() || !has_header_) return s;
    return bytes.size() > most ? Feed(bytes.substr(most)) : Ok();
  }
  const size_t of_state = std::min<uint64_t>(bytes.size(), header_.state_bytes - state_seen_);
  const std::string_view state = bytes.substr(0, of_state);
  state_seen_ += of_state;
  crc_ = Crc32c(state, crc_);
  if (keep_state_) state_ += state;
  end_ += bytes.substr(of_state, kEndBytes + 1);
  if (end_.size() > kEndBytes) {
    return Damaged("it goes on behind its end, at byte " +
                   std::to_string(header_.state_bytes + kEndBytes) + " behind its header");
  }
  return Ok();
}

Status BackupReader::Finish() const {
  if (!has_header_ || end_.size() < kEndBytes) {
    return DataLoss(
        "is cut short: it was not written or copied to its end. Take another copy, or another "
        "backup");
  }
  if (end_ != EncodeBackupEnd(crc_) && !MutantOn(Mutant::kBackupUnchecked)) {
    return Damaged("its bytes make the checksum " + Hex(crc_) + ", it ends with '" +
                   end_.substr(0, kEndBytes - 1) + "'");
  }
  return Ok();
}

Result<BackupHeader> ReadBackup(const std::string& path, std::string* state) {
  const std::string name = "backup " + path;
  auto failed = [&name](int error) {
    const std::string why = name + " can't be read: " + std::strerror(error);
    if (error == ENOENT) return NotFound(why);
    return error == EACCES ? PermissionDenied(why) : Unavailable(why);
  };
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failed(errno);
  BackupReader reader(state != nullptr);
  const auto buffer = std::make_unique<char[]>(kPieceBytes);
  Status status;
  while (status.ok()) {
    const ssize_t got = ::read(fd, buffer.get(), kPieceBytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      status = failed(errno);
      ::close(fd);
      return status;
    }
    if (got == 0) {
      status = reader.Finish();
      break;
    }
    status = reader.Feed({buffer.get(), static_cast<size_t>(got)});
  }
  ::close(fd);
  if (!status.ok()) return Status(status.code(), name + " " + status.message());
  if (state != nullptr) *state = reader.TakeState();
  return reader.header();
}

}  // namespace assent
