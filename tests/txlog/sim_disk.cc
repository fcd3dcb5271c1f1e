#include "tests/txlog/sim_disk.h"

#include <algorithm>

#include "base/check.h"

namespace assent::txlog {
namespace {

constexpr uint64_t kSectorBytes = 512;

Status PowerIsGone() { return Unavailable("simulated: the power is gone"); }
Status NoRoom() { return ResourceExhausted("simulated: no space left on device"); }

}  // namespace

class SimFile final : public File {
 public:
  SimFile(SimDisk& disk, SimDisk::InodePtr inode, int life)
      : disk_(disk), inode_(std::move(inode)), life_(life) {}

  Result<uint64_t> Size() override {
    MutexLock lock(disk_.mutex_);
    if (Status s = Alive(); !s.ok()) return s;
    return inode_->cached.size();
  }
  Result<std::string> ReadAll() override {
    MutexLock lock(disk_.mutex_);
    if (Status s = Alive(); !s.ok()) return s;
    return inode_->cached;
  }
  Result<std::string> ReadAt(uint64_t offset, size_t size) override {
    MutexLock lock(disk_.mutex_);
    if (Status s = Alive(); !s.ok()) return s;
    if (offset >= inode_->cached.size()) return std::string();
    return inode_->cached.substr(offset, size);
  }
  Status WriteAt(uint64_t offset, std::string_view bytes) override {
    MutexLock lock(disk_.mutex_);
    if (Status s = Alive(); !s.ok()) return s;
    return disk_.Write(*inode_, offset, bytes, /*counts_as_write=*/true);
  }
  Status Allocate(uint64_t size) override {
    MutexLock lock(disk_.mutex_);
    if (Status s = Alive(); !s.ok()) return s;
    const uint64_t now = inode_->cached.size();
    if (now >= size) return Ok();
    Status s = disk_.Write(*inode_, now, std::string(size - now, '\0'), false);
    return s.ok() ? disk_.Sync(*inode_) : s;
  }
  Status Truncate(uint64_t size) override {
    MutexLock lock(disk_.mutex_);
    if (Status s = Alive(); !s.ok()) return s;
    bool last = false;
    if (Status s = disk_.Step(&last); !s.ok()) return s;
    SimDisk::Change change{.truncates = true, .offset = size};
    SimDisk::Apply(inode_->cached, change);
    inode_->pending.push_back(change);
    return last ? PowerIsGone() : Ok();
  }
  Status Sync() override {
    MutexLock lock(disk_.mutex_);
    if (Status s = Alive(); !s.ok()) return s;
    return disk_.Sync(*inode_);
  }

 private:
  // A file of a process that is dead must do nothing: a test would pass for the wrong reason.
  Status Alive() REQUIRES(disk_.mutex_) {
    return life_ == disk_.life_ && !disk_.crashed_ ? Ok() : PowerIsGone();
  }

  SimDisk& disk_;
  const SimDisk::InodePtr inode_;
  const int life_;
};

class SimLock final : public DirectoryLock {
 public:
  SimLock(SimDisk& disk, std::string path, int life)
      : disk_(disk), path_(std::move(path)), life_(life) {}
  ~SimLock() override {
    MutexLock lock(disk_.mutex_);
    if (life_ == disk_.life_) disk_.locked_.erase(path_);
  }

 private:
  SimDisk& disk_;
  const std::string path_;
  const int life_;
};

SimDisk::SimDisk(uint64_t seed) : random_(seed) {}
SimDisk::~SimDisk() = default;

uint64_t SimDisk::Draw(uint64_t below) { return random_() % below; }

Status SimDisk::Step(bool* last) {
  *last = false;
  if (crashed_) return PowerIsGone();
  if (crash_at_ > 0 && --crash_at_ == 0) {
    crashed_ = true;
    *last = true;
  }
  return Ok();
}

void SimDisk::Apply(std::string& content, const Change& change) {
  if (change.truncates) {
    content.resize(change.offset, '\0');
    return;
  }
  content.resize(std::max<size_t>(content.size(), change.offset + change.bytes.size()), '\0');
  content.replace(change.offset, change.bytes.size(), change.bytes);
}

Status SimDisk::Write(Inode& inode, uint64_t offset, std::string_view bytes, bool counts_as_write) {
  bool last = false;
  if (Status s = Step(&last); !s.ok()) return s;
  Status answer = Ok();
  const uint64_t end = offset + bytes.size();
  if (counts_as_write && fill_at_ > 0 && --fill_at_ == 0) {
    bytes = bytes.substr(0, Draw(bytes.size() + 1));
    answer = NoRoom();
  } else if (room_.has_value() && end > inode.cached.size() + *room_) {
    const uint64_t fits = inode.cached.size() + *room_;
    bytes = bytes.substr(0, fits > offset ? Draw(fits - offset + 1) : 0);
    answer = NoRoom();
  }
  if (last) {
    bytes = bytes.substr(0, Draw(bytes.size() + 1));
    answer = PowerIsGone();
  }
  const uint64_t before = inode.cached.size();
  Change change{.offset = offset, .bytes = std::string(bytes)};
  Apply(inode.cached, change);
  if (room_.has_value()) *room_ -= inode.cached.size() - before;
  inode.pending.push_back(std::move(change));
  return answer;
}

Status SimDisk::Sync(Inode& inode) {
  bool last = false;
  if (Status s = Step(&last); !s.ok()) return s;
  ++syncs_;
  if (last) return PowerIsGone();
  if (fail_sync_at_ > 0 && --fail_sync_at_ == 0) {
    std::vector<Change> kept;
    for (Change& change : inode.pending) {
      if (Chance(50)) kept.push_back(std::move(change));
    }
    inode.pending = std::move(kept);
    return DataLoss("simulated: forcing to disk failed: Input/output error");
  }
  // Not simply a copy of what is cached: what an earlier failed Sync dropped stays lost.
  for (const Change& change : inode.pending) Apply(inode.durable, change);
  inode.pending.clear();
  return Ok();
}

Status SimDisk::CreateDirectory(const std::string&) { return Ok(); }

Result<std::vector<std::string>> SimDisk::List(const std::string& directory) {
  MutexLock lock(mutex_);
  if (crashed_) return PowerIsGone();
  std::vector<std::string> found;
  const std::string prefix = directory + "/";
  for (const auto& [path, inode] : names_) {
    if (path.starts_with(prefix)) found.push_back(path.substr(prefix.size()));
  }
  return found;
}

Result<std::unique_ptr<File>> SimDisk::Open(const std::string& path) {
  MutexLock lock(mutex_);
  if (crashed_) return PowerIsGone();
  auto it = names_.find(path);
  if (it == names_.end()) return NotFound("opening " + path + ": simulated: no such file");
  return std::unique_ptr<File>(std::make_unique<SimFile>(*this, it->second, life_));
}

Result<std::unique_ptr<File>> SimDisk::Create(const std::string& path) {
  MutexLock lock(mutex_);
  bool last = false;
  if (Status s = Step(&last); !s.ok()) return s;
  if (names_.contains(path)) return AlreadyExists("creating " + path);
  auto inode = std::make_shared<Inode>();
  names_[path] = inode;
  pending_names_.push_back({path, inode});
  if (last) return PowerIsGone();
  return std::unique_ptr<File>(std::make_unique<SimFile>(*this, inode, life_));
}

Status SimDisk::Rename(const std::string& from, const std::string& to) {
  MutexLock lock(mutex_);
  bool last = false;
  if (Status s = Step(&last); !s.ok()) return s;
  auto it = names_.find(from);
  if (it == names_.end()) return NotFound("renaming " + from);
  InodePtr inode = it->second;
  names_.erase(it);
  names_[to] = inode;
  // Two changes, so that a crash between them leaves both names: journals may replay so.
  pending_names_.push_back({to, inode});
  pending_names_.push_back({from, nullptr});
  return last ? PowerIsGone() : Ok();
}

Status SimDisk::Remove(const std::string& path) {
  MutexLock lock(mutex_);
  bool last = false;
  if (Status s = Step(&last); !s.ok()) return s;
  auto it = names_.find(path);
  if (it == names_.end()) return NotFound("removing " + path);
  if (room_.has_value()) *room_ += it->second->cached.size();
  names_.erase(it);
  pending_names_.push_back({path, nullptr});
  return last ? PowerIsGone() : Ok();
}

Status SimDisk::SyncDirectory(const std::string&) {
  MutexLock lock(mutex_);
  bool last = false;
  if (Status s = Step(&last); !s.ok()) return s;
  ++syncs_;
  if (last) return PowerIsGone();
  if (fail_sync_at_ > 0 && --fail_sync_at_ == 0) {
    return DataLoss("simulated: forcing the directory failed: Input/output error");
  }
  durable_names_ = names_;
  pending_names_.clear();
  return Ok();
}

Result<std::unique_ptr<DirectoryLock>> SimDisk::Lock(const std::string& directory) {
  MutexLock lock(mutex_);
  if (crashed_) return PowerIsGone();
  if (locked_.contains(directory)) {
    return FailedPrecondition("directory " + directory + " is in use by process 4711");
  }
  locked_[directory] = true;
  return std::unique_ptr<DirectoryLock>(std::make_unique<SimLock>(*this, directory, life_));
}

void SimDisk::CrashAt(int n) {
  MutexLock lock(mutex_);
  crash_at_ = n;
}
bool SimDisk::crashed() {
  MutexLock lock(mutex_);
  return crashed_;
}
void SimDisk::FailSyncAt(int n) {
  MutexLock lock(mutex_);
  fail_sync_at_ = n;
}
void SimDisk::FillAt(int n) {
  MutexLock lock(mutex_);
  fill_at_ = n;
}
void SimDisk::SetRoom(uint64_t bytes) {
  MutexLock lock(mutex_);
  room_ = bytes;
}
void SimDisk::UnlimitedRoom() {
  MutexLock lock(mutex_);
  room_.reset();
}

void SimDisk::LoseUnforced(Inode& inode) {
  // All, nothing, or any mixture: each is seen on real disks.
  const int keep_percent = static_cast<int>(Draw(3)) * 50;
  std::string content = std::move(inode.durable);
  for (const Change& change : inode.pending) {
    if (change.truncates) {
      if (Chance(keep_percent)) Apply(content, change);
      continue;
    }
    for (uint64_t at = 0; at < change.bytes.size();) {
      const uint64_t offset = change.offset + at;
      const uint64_t piece =
          std::min(kSectorBytes - offset % kSectorBytes, change.bytes.size() - at);
      if (Chance(keep_percent)) {
        const uint64_t whole = Chance(10) ? Draw(piece + 1) : piece;
        Apply(content, {.offset = offset, .bytes = change.bytes.substr(at, whole)});
      }
      at += piece;
    }
  }
  inode.pending.clear();
  inode.durable = content;
  inode.cached = std::move(content);
}

void SimDisk::NewLife() {
  ++life_;
  locked_.clear();
  crashed_ = false;
  crash_at_ = 0;
  fail_sync_at_ = 0;
  fill_at_ = 0;
}

void SimDisk::PowerLoss() {
  MutexLock lock(mutex_);
  const size_t kept = pending_names_.empty() ? 0 : Draw(pending_names_.size() + 1);
  for (size_t i = 0; i < kept; ++i) {
    const NameChange& change = pending_names_[i];
    if (change.inode != nullptr) {
      durable_names_[change.path] = change.inode;
    } else if (!Chance(25)) {
      durable_names_.erase(change.path);
    }
  }
  pending_names_.clear();
  names_ = durable_names_;
  std::vector<Inode*> done;
  for (auto& [path, inode] : names_) {
    if (std::find(done.begin(), done.end(), inode.get()) != done.end()) continue;
    done.push_back(inode.get());
    LoseUnforced(*inode);
  }
  NewLife();
}

void SimDisk::ProcessDeath() {
  MutexLock lock(mutex_);
  NewLife();
}

bool SimDisk::Exists(const std::string& path) {
  MutexLock lock(mutex_);
  return names_.contains(path);
}

std::string SimDisk::Content(const std::string& path) {
  MutexLock lock(mutex_);
  auto it = names_.find(path);
  ASSENT_CHECK(it != names_.end());
  return it->second->cached;
}

void SimDisk::SetContent(const std::string& path, std::string bytes) {
  MutexLock lock(mutex_);
  auto inode = std::make_shared<Inode>();
  inode->cached = bytes;
  inode->durable = std::move(bytes);
  names_[path] = inode;
  durable_names_[path] = inode;
}

void SimDisk::Flip(const std::string& path, uint64_t offset) {
  std::string bytes = Content(path);
  ASSENT_CHECK(offset < bytes.size());
  bytes[offset] = static_cast<char>(bytes[offset] ^ 0x10);
  SetContent(path, std::move(bytes));
}

int SimDisk::syncs() {
  MutexLock lock(mutex_);
  return syncs_;
}

}  // namespace assent::txlog
