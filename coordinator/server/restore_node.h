// A group made from a backup (docs/operations.md, "Restore").
#pragma once

#include <cstdint>

#include "base/backup/backup_file.h"
#include "base/status.h"
#include "coordinator/server/options.h"

namespace assent::coordinator {

struct RestoredNode {
  BackupHeader backup;
  uint64_t incarnation = 0;  // Of the new group; drawn.
};

// Makes a new group that goes on from the backup options.restore, whichever engine that is of: same
// cluster, everything that the backup knows to be decided, a new incarnation. Its home is the empty
// (or absent) data_dir, of its only member, or the prefix in etcd.
//
// FAILED_PRECONDITION: the backup is of another cluster than the options name, of a newer format,
// or of no group; the directory is not empty. DATA_LOSS: the backup is damaged. NOT_FOUND,
// PERMISSION_DENIED, UNAVAILABLE: it can't be read. Also those of txlog::RestoreGroup and
// txlog::etcd::RestoreGroup. Messages name the file, the directory or the prefix, and the remedy;
// nothing was changed, unless the disk failed midway.
Result<RestoredNode> RestoreNode(const Options& options);

}  // namespace assent::coordinator
