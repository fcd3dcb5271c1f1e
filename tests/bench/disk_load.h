// What the disk itself can do: the floor under every log.
#pragma once

#include <string>

#include "base/status.h"
#include "tests/bench/load.h"

namespace assent::bench {

// Writes kEntryBytes behind each other into a preallocated, zeroed file in `directory`, one write
// and one fdatasync at a time, from one thread. in_flight of `load` is ignored.
Result<Rates> LoadDisk(const std::string& directory, const Load& load);

}  // namespace assent::bench
