// Names of the files in a log's directory, and the one safe way to replace one.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "txlog/storage/disk.h"
#include "txlog/storage/format.h"

namespace assent::txlog {

inline constexpr std::string_view kNodeFile = "node";
inline constexpr std::string_view kHardStateFile = "hard_state";
// Made ahead for the next roll-over, and made in haste when the former was not ready.
inline constexpr std::string_view kSpareFile = "segment.spare";
inline constexpr std::string_view kFreshFile = "segment.fresh";

// "segment-00000000000000000042": 20 digits, so that names sort as numbers do.
std::string SegmentName(Index first_index);
std::string SnapshotName(Index index);
// A snapshot that a leader sent: of no value before it is installed.
std::string IncomingName(Index index);
// A snapshot that takes the place of everything else in the directory; half done, the next start
// finishes it.
std::string InstallName(Index index);
std::optional<Index> ParseSegmentName(std::string_view name);
std::optional<Index> ParseSnapshotName(std::string_view name);
std::optional<Index> ParseIncomingName(std::string_view name);
std::optional<Index> ParseInstallName(std::string_view name);
// Left behind by a crash in the middle of making a file: of no value.
bool IsLeftover(std::string_view name);

// Puts `pieces` in the place of `name`: written beside, forced, renamed, the directory forced.
// After a crash either the old file or the new one is there, whole. RESOURCE_EXHAUSTED,
// UNAVAILABLE: the old one is. DATA_LOSS: end the process.
Status ReplaceFile(Disk& disk, const std::string& directory, const std::string& name,
                   std::initializer_list<std::string_view> pieces);

// Fine if the file is not there.
Status RemoveIfThere(Disk& disk, const std::string& path);

// The same for a large file that nobody needs any more, gently: other files are being forced
// meanwhile. A crash may leave part of it. DATA_LOSS: end the process.
Status RemoveInSteps(Disk& disk, const std::string& path);

// DATA_LOSS with file, offset, reason and remedy.
Status DamagedFile(const std::string& path, uint64_t offset, const std::string& what);

}  // namespace assent::txlog
