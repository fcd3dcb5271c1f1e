// Ending a prepared branch, and what it means when the server does not know it. Shared by the
// session that prepared it and by finish sessions.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <unordered_set>
#include <variant>
#include <vector>

#include "adapters/mysql/connection.h"
#include "adapters/mysql/identity.h"
#include "adapters/mysql/rights.h"
#include "adapters/resource_manager.h"
#include "base/mutex.h"

namespace assent::adapters::mysql {

struct FinishRequest {
  Decision decision = Decision::kAbort;
  Gid gid;
  Evidence evidence;
  JournalWord journal = JournalWord::kNothing;
};

enum class Finisher {
  kPreparer,  // The session that prepared the branch and still holds it.
  kAnother,   // Any other: first makes sure that the branch has left its session.
};

// Rollbacks that we sent, and that were answered OK or whose answer was lost with the connection:
// when such a branch is absent later, it was rolled back by us. MariaDB has no other trace of it,
// and without this a lost answer, or a repeat, would be a hazard. (For commits the agent's journal
// says WILL.) In memory, shared by all sessions of a resource: after a restart only what is listed
// is rolled back. Keeps the last kCountMax. Thread-safe.
class OwnRollbacks {
 public:
  static constexpr size_t kCountMax = 10'000;

  void Add(const Gid& gid);
  bool Contains(const Gid& gid) const;

 private:
  mutable Mutex mutex_;
  std::unordered_set<Gid> gids_ GUARDED_BY(mutex_);
  std::deque<Gid> oldest_first_ GUARDED_BY(mutex_);
};

// What a session finishes with.
struct FinishTools {
  Connection& connection;
  IdentityReader& identity;
  OwnRollbacks& own_rollbacks;
  RightsReader* rights = nullptr;  // Of Finisher::kAnother, and the user for its messages.
  std::string user;
};

// Sends XA COMMIT or XA ROLLBACK, never ONE PHASE, and classifies the answer. Where a branch stays
// tied to its session, another session first makes sure that it is gone (detached.h); of an
// app-held one that is listed, it closes it (app_session.h). An answer with session_lost has marked
// the connection lost.
FinishAnswer FinishBranch(const FinishTools& tools, Finisher finisher,
                          const FinishRequest& request);

// Every prepared branch of this server whose id has our format, of any cluster and resource.
std::variant<std::vector<Gid>, SqlError> ListPrepared(Connection& connection);

// Why a server is no place to conclude anything from an absence; nothing if it is a writable
// primary as far as can be seen. An error if it can't be asked.
using Why = std::variant<std::optional<std::string>, SqlError>;
Why WhyNotPrimary(Connection& connection);

// The second half of it: why this server looks like a running replica, whether read-only or not.
// Circular replication looks so too; there, an absence stays undecided.
Why WhyReplica(Connection& connection);

// What ListPrepared and then WhyNotPrimary answer, in one round trip. On connections of
// Purpose::kFinish. An error: the listing failed.
struct Listing {
  std::vector<Gid> gids;
  Why why_not_primary;
};
std::variant<Listing, SqlError> ListAndProve(Connection& connection);

}  // namespace assent::adapters::mysql
