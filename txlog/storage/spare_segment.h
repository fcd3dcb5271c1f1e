// The next segment's file, made ahead: allocating and zeroing takes a hundred flushes, and no
// commit should wait for that.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/mutex.h"
#include "base/status.h"
#include "txlog/storage/disk.h"
#include "txlog/storage/executor.h"

namespace assent::txlog {

// Thread-safe; must outlive the executor's tasks.
class SpareSegment {
 public:
  // `die`: called on the executor when a forced write fails.
  SpareSegment(Disk& disk, const std::string& directory, uint64_t bytes, Executor& executor,
               std::function<void(const Status&)> die);

  // Sees to it that a spare will be there, unless one is already or is being made. A full disk is
  // only noted, and tried again at the next roll-over, or after some hundred calls.
  void Prepare() EXCLUDES(mutex_);

  // The file at `path()`, zeroed and forced; now the caller's, who renames it before the next
  // Prepare. Null if none is ready.
  std::unique_ptr<File> Take() EXCLUDES(mutex_);

  const std::string& path() const { return path_; }

 private:
  enum class State { kNone, kBeingMade, kReady };

  void Make() EXCLUDES(mutex_);

  Disk& disk_;
  const std::string path_;
  const uint64_t bytes_;
  Executor& executor_;
  const std::function<void(const Status&)> die_;
  Mutex mutex_;
  State state_ GUARDED_BY(mutex_) = State::kNone;
  std::unique_ptr<File> file_ GUARDED_BY(mutex_);
  // A full disk is not asked at each commit.
  int calls_to_skip_ GUARDED_BY(mutex_) = 0;
};

// A new file of `bytes` zeroes at `path`. On failure nothing is left of it.
Result<std::unique_ptr<File>> MakeZeroedFile(Disk& disk, const std::string& path, uint64_t bytes);

}  // namespace assent::txlog
