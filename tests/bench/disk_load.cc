#include "tests/bench/disk_load.h"

#include "txlog/storage/posix_disk.h"
#include "txlog/storage/spare_segment.h"

namespace assent::bench {
namespace {

constexpr uint64_t kFileBytes = 16 << 20;

}  // namespace

Result<Rates> LoadDisk(const std::string& directory, const Load& load) {
  txlog::PosixDisk disk;
  const std::string path = directory + "/floor";
  auto file = txlog::MakeZeroedFile(disk, path, kFileBytes);
  if (!file.ok()) return file.status();
  const std::string entry(kEntryBytes, 'x');
  Window window(load, std::chrono::steady_clock::now());
  auto now = std::chrono::steady_clock::now();
  for (uint64_t at = 0; !window.Over(now); at = (at + kEntryBytes) % kFileBytes) {
    const auto begun = now;
    Status s = (*file)->WriteAt(at, entry);
    if (s.ok()) s = (*file)->Sync();
    if (!s.ok()) return s;
    now = std::chrono::steady_clock::now();
    window.Add(begun, now);
  }
  if (Status s = disk.Remove(path); !s.ok()) return s;
  return window.Take();
}

}  // namespace assent::bench
