#include "participant-agent/journal/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "base/random.h"

namespace assent::agent {
namespace {

std::string Hex16(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016" PRIx64, value);
  return text;
}

bool ParseHex16(std::string_view text, uint64_t* value) {
  if (text.size() != 16) return false;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value, 16);
  return error == std::errc() && end == text.data() + text.size();
}

std::string PinText(const ClusterPin& pin) {
  return pin.cluster + ' ' + pin.uuid + ' ' + Hex16(pin.group_incarnation);
}

std::optional<ClusterPin> ParsePin(const std::string& text) {
  const size_t first = text.find(' ');
  const size_t last = text.rfind(' ');
  if (first == std::string::npos || first == last) return std::nullopt;
  ClusterPin pin{.cluster = text.substr(0, first),
                 .uuid = text.substr(first + 1, last - first - 1)};
  if (!ParseHex16(std::string_view(text).substr(last + 1), &pin.group_incarnation)) {
    return std::nullopt;
  }
  return pin;
}

std::string Reason() { return std::strerror(errno); }

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

bool ReadAll(int fd, std::string* bytes) {
  char buffer[65536];
  while (true) {
    const ssize_t got = ::read(fd, buffer, sizeof(buffer));
    if (got == 0) return true;
    if (got < 0) {
      if (errno == EINTR) continue;
      return false;
    }
    bytes->append(buffer, static_cast<size_t>(got));
  }
}

[[noreturn]] void EndProcess(const std::string& path, const char* what) {
  LogError("journal_failed", {{"file", path}, {"what", what}, {"error", Reason()}});
  std::abort();
}

}  // namespace

Journal::Journal(std::string directory, std::string agent_id)
    : directory_(std::move(directory)),
      path_(directory_ + "/agent.journal"),
      agent_id_(std::move(agent_id)) {}

Journal::~Journal() {
  if (fd_ >= 0) ::close(fd_);
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

Result<std::unique_ptr<Journal>> Journal::Open(const std::string& directory,
                                               const std::string& agent_id) {
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return FailedPrecondition("can't create the data directory " + directory + ": " + Reason());
  }
  std::unique_ptr<Journal> journal(new Journal(directory, agent_id));
  if (Status status = journal->Lock(); !status.ok()) return status;
  if (Status status = journal->Load(); !status.ok()) return status;
  journal->incarnation_ = SystemRandom64();
  if (Status status = journal->Rewrite(); !status.ok()) return status;
  return journal;
}

Status Journal::Lock() {
  const std::string lock_path = directory_ + "/agent.lock";
  lock_fd_ = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0) {
    return FailedPrecondition("can't write in the data directory " + directory_ + ": " + Reason());
  }
  if (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    return AlreadyExists("the data directory " + directory_ +
                         " is in use by another agent: stop that one, or set data_dir to a "
                         "directory of its own");
  }
  return Ok();
}

Status Journal::Load() {
  const int fd = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    if (errno == ENOENT) return Ok();
    return FailedPrecondition("can't read " + path_ + ": " + Reason());
  }
  std::string bytes;
  const bool read = ReadAll(fd, &bytes);
  const std::string reason = read ? "" : Reason();
  ::close(fd);
  if (!read) return FailedPrecondition("can't read " + path_ + ": " + reason);
  if (bytes.empty()) return Ok();

  JournalContents contents = DecodeJournal(bytes);
  auto damaged = [&](const std::string& what) {
    return DataLoss(path_ + " is damaged at offset " + std::to_string(contents.good_bytes) + ": " +
                    what +
                    ". Remedy: restore the file, or move it away; the agent then starts "
                    "with an empty journal, which costs only the proof of who committed branches "
                    "that were being finished");
  };
  if (contents.corrupt) return damaged("an unreadable record in the part that was forced to disk");
  // The file is put in place whole, so its first record is never the torn one.
  if (contents.records.empty() || contents.records.front().type != RecordType::kFormat) {
    return damaged("no format record at its beginning");
  }
  if (contents.records.front().payload != kJournalFormat) {
    return FailedPrecondition(path_ + " was written in format \"" +
                              contents.records.front().payload + "\", this program reads \"" +
                              std::string(kJournalFormat) + "\": use the version that wrote it");
  }
  if (contents.lost_bytes > 0) {
    // Unforced words: at worst the proof of who committed a branch is gone.
    LogWarning("journal_bytes_lost",
               {{"file", path_}, {"offset", contents.good_bytes}, {"bytes", contents.lost_bytes}});
  }
  for (const JournalRecord& record : contents.records) {
    switch (record.type) {
      case RecordType::kFormat:
      case RecordType::kIncarnation:
      case RecordType::kForced:
        break;
      case RecordType::kAgentId:
        if (record.payload != agent_id_) {
          return FailedPrecondition("the data directory " + directory_ + " belongs to agent \"" +
                                    record.payload + "\", this agent is \"" + agent_id_ +
                                    "\": set agent_id or data_dir right");
        }
        break;
      case RecordType::kPin: {
        pin_ = ParsePin(record.payload);
        if (!pin_.has_value()) return damaged("a pin record with the text " + record.payload);
        break;
      }
      case RecordType::kWill:
      case RecordType::kDone:
      case RecordType::kForget: {
        auto gid = ParseGid(record.payload);
        if (!gid.ok()) return damaged(gid.status().message());
        if (record.type == RecordType::kForget) {
          words_.erase(*gid);
        } else {
          words_[*gid] = record.type == RecordType::kWill ? Word::kWill : Word::kDone;
        }
        break;
      }
    }
  }
  return Ok();
}

Status Journal::Rewrite() {
  std::string bytes = EncodeJournalRecord({RecordType::kFormat, std::string(kJournalFormat)});
  bytes += EncodeJournalRecord({RecordType::kAgentId, agent_id_});
  bytes += EncodeJournalRecord({RecordType::kIncarnation, Hex16(incarnation_)});
  if (pin_.has_value()) bytes += EncodeJournalRecord({RecordType::kPin, PinText(*pin_)});
  for (const auto& [gid, word] : words_) {
    bytes += EncodeJournalRecord(
        {word == Word::kWill ? RecordType::kWill : RecordType::kDone, ToString(gid)});
  }
  bytes += EncodeJournalRecord({RecordType::kForced, ""});

  const std::string fresh = path_ + ".new";
  const int fd = ::open(fresh.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return FailedPrecondition("can't create " + fresh + ": " + Reason());
  const int directory_fd = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool done = directory_fd >= 0 && WriteAll(fd, bytes) && ::fsync(fd) == 0 &&
                    ::rename(fresh.c_str(), path_.c_str()) == 0 && ::fsync(directory_fd) == 0;
  const std::string reason = done ? "" : Reason();
  if (directory_fd >= 0) ::close(directory_fd);
  if (!done) {
    ::close(fd);
    return FailedPrecondition("can't write " + path_ + ": " + reason);
  }
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
  ++counts_.forced_writes;
  file_bytes_ = live_bytes_at_rewrite_ = bytes.size();
  return Ok();
}

Status Journal::Pin(const ClusterPin& pin) {
  const std::optional<ClusterPin> before = std::exchange(pin_, pin);
  Status status = Rewrite();
  if (!status.ok()) pin_ = before;
  return status;
}

void Journal::Will(const Gid& gid) {
  words_[gid] = Word::kWill;
  ++counts_.wills;
  Append({RecordType::kWill, ToString(gid)});
}

void Journal::Done(const Gid& gid) {
  words_[gid] = Word::kDone;
  ++counts_.dones;
  Append({RecordType::kDone, ToString(gid)});
}

void Journal::Forget(const Gid& gid) {
  if (words_.erase(gid) == 0) return;
  ++counts_.forgets;
  Append({RecordType::kForget, ToString(gid)});
  CompactIfLarge();
}

Journal::Word Journal::WordOn(const Gid& gid) const {
  auto it = words_.find(gid);
  return it == words_.end() ? Word::kNothing : it->second;
}

std::vector<Gid> Journal::AllDone() const {
  std::vector<Gid> gids;
  for (const auto& [gid, word] : words_) {
    if (word == Word::kDone) gids.push_back(gid);
  }
  return gids;
}

void Journal::Append(const JournalRecord& record) {
  const std::string bytes = EncodeJournalRecord(record);
  if (!WriteAll(fd_, bytes)) EndProcess(path_, "append");
  file_bytes_ += bytes.size();
}

void Journal::CompactIfLarge() {
  if (file_bytes_ < kCompactBytes || file_bytes_ < 2 * live_bytes_at_rewrite_) return;
  if (Status status = Rewrite(); !status.ok()) {
    // The old file still holds everything; it only stays large.
    LogWarning("journal_compaction_failed", {{"file", path_}, {"error", status.message()}});
    live_bytes_at_rewrite_ = file_bytes_;
  }
}

}  // namespace assent::agent
