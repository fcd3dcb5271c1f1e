// The file of a backup in the making: PATH.tmp, which takes its name only once it is whole, checked
// and on the disk.
#pragma once

#include <string>
#include <string_view>

#include "base/backup/backup_file.h"
#include "base/status.h"

namespace assent::ctl {

class BackupWriter {
 public:
  // `replace`: a file that stands at `path` may be replaced.
  BackupWriter(std::string path, bool replace);
  ~BackupWriter();  // Removes what did not take its name.
  BackupWriter(const BackupWriter&) = delete;
  BackupWriter& operator=(const BackupWriter&) = delete;

  // ALREADY_EXISTS: a file stands at the path. FAILED_PRECONDITION: the directory does not let us,
  // or another process makes a backup of the same name.
  Status Open();
  // FAILED_PRECONDITION: the disk's words. Or what BackupReader says of the bytes.
  Status Append(std::string_view bytes);
  // Forces it, gives it its name and forces that. Errors as of the others.
  Status Finish();

  // Only after Finish.
  const BackupHeader& header() const { return reader_.header(); }

 private:
  Status Failed(const std::string& what) const;
  Status Rename();

  const std::string path_;
  const std::string temporary_;
  const bool replace_;
  int fd_ = -1;
  BackupReader reader_;
};

}  // namespace assent::ctl
