#include "adapters/mysql/look_up.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>

#include "adapters/common/app_held.h"
#include "adapters/common/xid.h"
#include "adapters/mysql/detached.h"
#include "adapters/mysql/identity.h"

namespace assent::adapters::mysql {
namespace {

std::optional<uint64_t> ParseConnectionId(const std::string& text) {
  uint64_t id = 0;
  auto parsed = std::from_chars(text.data(), text.data() + text.size(), id);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return id;
}

// Why the session that prepared the branch could not be closed before the branch is ended.
std::optional<PrepareAnswer> WhySessionUnknown(const AppHeldBranch& branch, const Look& look,
                                               const ServerFacts& facts) {
  if (!ParseConnectionId(branch.connection_id)) {
    return VoteNo(Cause::kMisuse,
                  ToString(branch.gid) + ": connection_id is \"" + branch.connection_id +
                      "\"; this server ties a prepared branch to its session, so give "
                      "CONNECTION_ID() of the session that prepares, in decimal");
  }
  if (StartedWithin(facts, branch.age)) {
    // It may be that the branch outlived the session. It may as well be that the application's
    // driver connected anew without a word and prepared on a session that nobody has named, whose
    // commit from elsewhere could be an OK without effect. A no costs a retry.
    return VoteNo(Cause::kMisuse, ToString(branch.gid) + ": connection_id " + branch.connection_id +
                                      " is older than the start of the server, so the session "
                                      "that prepared is not known; begin anew");
  }
  // Whoever ends its branch itself may never need the agent for it. (If it does, the answer is
  // kRefused with the same remedy.)
  if (!look.rights_remedy.empty() && !branch.finished_by_app) {
    PrepareAnswer no = VoteNo(Cause::kPermission,
                              ToString(branch.gid) + " could not be ended: " + look.rights_remedy);
    no.error.session_lost = true;  // A new one feels the GRANT.
    return no;
  }
  return std::nullopt;
}

}  // namespace

PrepareAnswer VoteOf(const AppHeldBranch& branch, const Look& look, const ServerFacts& facts) {
  if (!IsOurs(branch.gid, look.cluster, look.resource)) {
    return VoteNo(Cause::kMisuse, ToString(branch.gid) + " is not a branch of cluster " +
                                      look.cluster + ", resource " + look.resource);
  }
  auto of_transaction = look.listed.find(branch.gid.gtrid);
  std::vector<Gid> listed;
  if (of_transaction != look.listed.end()) listed = of_transaction->second;
  if (std::find(listed.begin(), listed.end(), branch.gid) == listed.end()) {
    return NotPrepared(branch.gid, listed);
  }
  if (!facts.detaches_on_prepare) {
    if (auto no = WhySessionUnknown(branch, look, facts)) return *std::move(no);
  }
  return {.vote = Vote::kYes, .evidence = look.server + SessionPart(branch, facts)};
}

Evidence SessionPart(const AppHeldBranch& branch, const ServerFacts& facts) {
  Evidence session;
  auto id = ParseConnectionId(branch.connection_id);
  if (id && !facts.detaches_on_prepare && !StartedWithin(facts, branch.age)) {
    session = WithPreparer("", {.connection_id = *id, .server_started = facts.server_started});
  }
  return WithHolder(std::move(session), HolderOf(branch));
}

}  // namespace assent::adapters::mysql
