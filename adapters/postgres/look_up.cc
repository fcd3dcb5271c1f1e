#include "adapters/postgres/look_up.h"

#include <cstdlib>
#include <string_view>
#include <utility>

#include "adapters/common/app_held.h"
#include "adapters/common/xid.h"
#include "adapters/postgres/evidence.h"
#include "adapters/postgres/owner.h"

namespace assent::adapters::postgres {
namespace {

bool IsTrue(const pqxx::field& field) { return std::string_view(field.c_str()) == "t"; }

}  // namespace

std::string PrepareLookUp() {
  // At least one row, whatever is listed.
  return "PREPARE assent_look_up(text[]) AS SELECT " + FactsColumns() +
         ", current_database(),"
         " current_setting('synchronous_standby_names') <> ''"
         " AND current_setting('synchronous_commit') NOT IN ('off', 'local'),"
         " pg_snapshot_xmax(pg_current_snapshot())::text,"
         " p.gid, p.transaction::text, p.database, p.database = current_database(), " +
         MayBecome("p.owner") + ", " + GrantNeeded("p.owner") +
         " FROM (SELECT) one LEFT JOIN pg_prepared_xacts p"
         " ON starts_with(p.gid, 'assent:') AND split_part(p.gid, ':', 2) = ANY($1)";
}

std::string RunLookUp(const std::vector<AppHeldBranch>& branches) {
  std::string gtrids;  // No character of theirs needs quoting in an array.
  for (const AppHeldBranch& branch : branches) {
    gtrids += (gtrids.empty() ? "" : ",") + ToString(branch.gid.gtrid);
  }
  return "EXECUTE assent_look_up('{" + gtrids + "}')";
}

Look ReadLook(const pqxx::result& result) {
  const pqxx::row first = result.front();
  Look look{.server = FactsOf(first),
            .database = first[kFactsColumns].c_str(),
            .synchronous = IsTrue(first[kFactsColumns + 1])};
  for (const pqxx::row& row : result) {
    constexpr int kListed = kFactsColumns + 3;
    if (row[kListed].is_null()) continue;
    auto gid = ParseGid(row[kListed].c_str());
    if (!gid.ok()) continue;
    const uint64_t next_xid = std::strtoull(row[kFactsColumns + 2].c_str(), nullptr, 10);
    const auto xid = static_cast<uint32_t>(std::strtoull(row[kListed + 1].c_str(), nullptr, 10));
    look.listed[gid->gtrid].push_back({.gid = *gid,
                                       .xid = WidenXid(xid, next_xid),
                                       .database = row[kListed + 2].c_str(),
                                       .in_this_database = IsTrue(row[kListed + 3]),
                                       .may_end = IsTrue(row[kListed + 4]),
                                       .grant = row[kListed + 5].c_str()});
  }
  return look;
}

PrepareAnswer VoteOf(const AppHeldBranch& branch, const Look& look, const std::string& cluster,
                     const std::string& resource) {
  const std::string name = ToString(branch.gid);
  if (!IsOurs(branch.gid, cluster, resource)) {
    return VoteNo(Cause::kMisuse,
                  name + " is not a branch of cluster " + cluster + ", resource " + resource);
  }
  std::vector<Gid> others;
  auto of_transaction = look.listed.find(branch.gid.gtrid);
  if (of_transaction == look.listed.end()) return NotPrepared(branch.gid, others);
  for (const ListedBranch& listed : of_transaction->second) {
    if (listed.gid != branch.gid) {
      if (IsOurs(listed.gid, cluster, resource)) others.push_back(listed.gid);
      continue;
    }
    if (!listed.in_this_database) {
      return VoteNo(Cause::kWrongDatabase, name + " is prepared in database \"" + listed.database +
                                               "\", but " + resource + " is database \"" +
                                               look.database +
                                               "\" of that server: connect the application to it");
    }
    if (!listed.may_end) {
      return VoteNo(
          Cause::kPermission,
          name + " could not be ended by the agent: " +
              (listed.grant.empty() ? "the role that prepared it is gone" : listed.grant));
    }
    return {.vote = Vote::kYes,
            .evidence = ToString(XidEvidence{.xid = listed.xid,
                                             .identity = look.server.identity,
                                             .timeline = look.server.timeline,
                                             .holder = HolderOf(branch)})};
  }
  return NotPrepared(branch.gid, others);
}

}  // namespace assent::adapters::postgres
