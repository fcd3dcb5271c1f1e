// How a gid is written in SQL, per database, and read back from listings.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"

namespace assent::adapters {

// MySQL and MariaDB: X'gtrid',X'bqual',formatID. Never through placeholders: XA refuses them.
std::string XaLiteral(const Gid& gid);

// PostgreSQL: the quoted literal 'assent:gtrid:bqual'. Gids hold no character that needs escaping.
std::string PostgresLiteral(const Gid& gid);

// A row of XA RECOVER: format id, the two lengths, and the joined bytes. Nothing unless it is
// exactly a gid of ours (any cluster, any resource).
std::optional<Gid> GidFromXaRecover(int64_t format_id, size_t gtrid_bytes, size_t bqual_bytes,
                                    std::string_view data);

// True if the gid belongs to this cluster and resource; every other branch is left alone.
bool IsOurs(const Gid& gid, std::string_view cluster, std::string_view resource);

}  // namespace assent::adapters
