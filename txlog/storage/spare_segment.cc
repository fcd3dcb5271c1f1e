#include "txlog/storage/spare_segment.h"

#include "base/log.h"
#include "txlog/storage/files.h"

namespace assent::txlog {
namespace {

constexpr int kSkipAfterFailure = 500;

}  // namespace

SpareSegment::SpareSegment(Disk& disk, const std::string& directory, uint64_t bytes,
                           Executor& executor, std::function<void(const Status&)> die)
    : disk_(disk),
      path_(directory + "/" + std::string(kSpareFile)),
      bytes_(bytes),
      executor_(executor),
      die_(std::move(die)) {}

void SpareSegment::Prepare() {
  {
    MutexLock lock(mutex_);
    if (state_ != State::kNone || calls_to_skip_-- > 0) return;
    state_ = State::kBeingMade;
  }
  executor_.Run([this] { Make(); });
}

void SpareSegment::Make() {
  Result<std::unique_ptr<File>> file = MakeZeroedFile(disk_, path_, bytes_);
  if (!file.ok() && file.status().code() == Code::kDataLoss) {
    die_(file.status());
  } else if (!file.ok()) {
    LogWarning("log_segment_not_prepared", {{"reason", file.status().message()}});
  }
  MutexLock lock(mutex_);
  state_ = file.ok() ? State::kReady : State::kNone;
  calls_to_skip_ = file.ok() ? 0 : kSkipAfterFailure;
  if (file.ok()) file_ = std::move(*file);
}

std::unique_ptr<File> SpareSegment::Take() {
  MutexLock lock(mutex_);
  calls_to_skip_ = 0;
  if (state_ != State::kReady) return nullptr;
  state_ = State::kNone;
  return std::move(file_);
}

Result<std::unique_ptr<File>> MakeZeroedFile(Disk& disk, const std::string& path, uint64_t bytes) {
  if (Status s = RemoveIfThere(disk, path); !s.ok()) return s;
  Result<std::unique_ptr<File>> file = disk.Create(path);
  Status s = file.ok() ? (*file)->Allocate(bytes) : file.status();
  if (s.ok()) return file;
  file = s;  // Closed before it is removed.
  (void)RemoveIfThere(disk, path);
  return s;
}

}  // namespace assent::txlog
