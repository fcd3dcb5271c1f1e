// A disk in memory that does what real ones do at the worst moment. Everything is drawn from the
// seed: the same seed and the same calls give the same bytes.
//
// - Power loss: of what was not forced, any subset of sectors stays; a sector may be torn; of names
//   created, renamed and removed since the directory was forced, any prefix stays, less some of the
//   removals.
// - A failed fdatasync drops part of what it should have forced for good, though reads still show
//   it (Linux marks the pages clean).
// - Full: a write stops midway.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "txlog/storage/disk.h"

namespace assent::txlog {

// Thread-safe.
class SimDisk final : public Disk {
 public:
  explicit SimDisk(uint64_t seed);
  ~SimDisk() override;

  Status CreateDirectory(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& directory) override;
  Result<std::unique_ptr<File>> Open(const std::string& path) override;
  Result<std::unique_ptr<File>> Create(const std::string& path) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  Status SyncDirectory(const std::string& path) override;
  Result<std::unique_ptr<DirectoryLock>> Lock(const std::string& directory) override;

  // The power fails in the middle of the n-th changing call from now (1: the next); that call and
  // every later one fail.
  void CrashAt(int n);
  bool crashed();
  // The n-th Sync or SyncDirectory from now fails.
  void FailSyncAt(int n);
  // The n-th WriteAt from now finds no room, after some of its bytes.
  void FillAt(int n);
  // Files may grow by so many bytes more.
  void SetRoom(uint64_t bytes);
  void UnlimitedRoom();

  // What stands after the power came back. Faults are cleared, locks gone, open files dead.
  void PowerLoss();
  // The process died, the machine did not: nothing is lost, locks are gone, open files dead.
  void ProcessDeath();

  // For tests to look and to damage, durably.
  bool Exists(const std::string& path);
  std::string Content(const std::string& path);
  void SetContent(const std::string& path, std::string bytes);
  void Flip(const std::string& path, uint64_t offset);
  int syncs();

 private:
  friend class SimFile;
  friend class SimLock;
  struct Change {
    bool truncates = false;
    uint64_t offset = 0;  // The new length, if it truncates.
    std::string bytes;
  };
  struct Inode {
    std::string cached;
    std::string durable;
    std::vector<Change> pending;
  };
  using InodePtr = std::shared_ptr<Inode>;  // Shared by names and open files, as in a real one.
  struct NameChange {
    std::string path;
    InodePtr inode;  // Null: removed.
  };

  uint64_t Draw(uint64_t below) REQUIRES(mutex_);
  bool Chance(int percent) REQUIRES(mutex_) { return Draw(100) < static_cast<uint64_t>(percent); }
  // Counts a changing call. An error if the power is gone; `*last` if it goes during this call.
  Status Step(bool* last) REQUIRES(mutex_);
  Status Write(Inode& inode, uint64_t offset, std::string_view bytes, bool counts_as_write)
      REQUIRES(mutex_);
  Status Sync(Inode& inode) REQUIRES(mutex_);
  void LoseUnforced(Inode& inode) REQUIRES(mutex_);
  void NewLife() REQUIRES(mutex_);
  static void Apply(std::string& content, const Change& change);

  Mutex mutex_;
  std::mt19937_64 random_ GUARDED_BY(mutex_);
  std::map<std::string, InodePtr> names_ GUARDED_BY(mutex_);
  std::map<std::string, InodePtr> durable_names_ GUARDED_BY(mutex_);
  std::vector<NameChange> pending_names_ GUARDED_BY(mutex_);
  std::map<std::string, bool> locked_ GUARDED_BY(mutex_);
  std::optional<uint64_t> room_ GUARDED_BY(mutex_);
  int crash_at_ GUARDED_BY(mutex_) = 0;
  int fail_sync_at_ GUARDED_BY(mutex_) = 0;
  int fill_at_ GUARDED_BY(mutex_) = 0;
  int syncs_ GUARDED_BY(mutex_) = 0;
  bool crashed_ GUARDED_BY(mutex_) = false;
  int life_ GUARDED_BY(mutex_) = 0;
};

}  // namespace assent::txlog
