// Small files that people write: configs, certificates, passwords. Errors name the file and the
// remedy.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace assent {

// The whole file. `what` begins the message: "password file", "config file".
// NOT_FOUND: there is none. PERMISSION_DENIED: this user may not read it. FAILED_PRECONDITION: it
// is no regular file, larger than 1 MiB, or reading failed.
Result<std::string> ReadFile(std::string_view what, const std::string& path);

// As ReadFile, for secrets: FAILED_PRECONDITION also if users other than owner and group can read
// or write the file, or the group can write it.
Result<std::string> ReadPrivateFile(std::string_view what, const std::string& path);

}  // namespace assent
