// Files that appear whole or not at all, whatever crashes.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/status.h"

namespace assent::certs {

enum class Write {
  kNew,      // Whatever stands there stays: ALREADY_EXISTS.
  kReplace,  // In one step; who has the old file open goes on reading it.
};

// Writes `text` with exactly this mode, and returns once it is on the disk.
// FAILED_PRECONDITION: the directory or the disk does not let us.
Status WriteWhole(const std::string& path, const std::string& text, mode_t mode, Write how);

}  // namespace assent::certs
