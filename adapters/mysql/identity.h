// Which data stands behind a connection: the name that evidence carries, so that nobody believes an
// absence seen on another server.
#pragma once

#include <optional>
#include <string>

#include "adapters/common/app_held.h"
#include "adapters/mysql/connection.h"
#include "adapters/mysql/detached.h"
#include "adapters/resource_manager.h"

namespace assent::adapters::mysql {

// MySQL has server_uuid. MariaDB has nothing of the kind (10.11), and host name, port or data
// directory survive the loss of the data they would name. So it is the configured identity or, if
// there is none, a random UUID in the table assent_identity of the resource's database, made at the
// first connection: restored or emptied data answers with another UUID, or an older state of this
// one. A replica copies the table; that it is one is checked apart (finish.h).
inline constexpr char kIdentityTable[] = "assent_identity";

// The evidence of a vote also names the connection that prepared, where the branch stays tied to
// it, so that a finisher can tell when it is gone (detached.h), and says whether the application
// holds it: "id=<identity> conn=<connection id>@<start of the server> app=finishes".
struct VoteEvidence {
  Evidence server;  // Empty: it was no vote (FinishSession::SessionEvidence, or none at all).
  std::optional<Preparer> preparer;
  Holder holder = Holder::kAgent;
};
Evidence WithPreparer(const Evidence& server, const Preparer& preparer);
// Evidence of a scan, or none at all, has no preparer.
VoteEvidence ParseEvidence(const Evidence& evidence);

// One for each connection; reads once. Refers to the options. Not thread-safe.
class IdentityReader {
 public:
  explicit IdentityReader(const ConnectOptions& options) : options_(options) {}

  // FAILED_PRECONDITION or PERMISSION_DENIED with the remedy when there is none and it can't be
  // made; UNAVAILABLE when the connection is lost.
  Result<std::string> Read(Connection& connection);

  // "uuid=<server_uuid>" or "id=<identity>": which server. Errors as Read.
  Result<Evidence> ReadEvidence(Connection& connection);

 private:
  Result<std::string> FromTable(Connection& connection);

  const ConnectOptions& options_;
  std::optional<std::string> identity_;
};

}  // namespace assent::adapters::mysql
