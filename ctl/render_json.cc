#include <nlohmann/json.hpp>

#include "ctl/hand_sql.h"
#include "ctl/render.h"

namespace assent::ctl {
namespace {

using Json = nlohmann::ordered_json;

// What comes from databases need not be UTF-8: replaced, never thrown at.
std::string Dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json AbortObject(const v1::Abort& abort) {
  return {{"cause", Name(abort.cause())},
          {"resource", abort.resource()},
          {"gid", abort.gid()},
          {"branch_cause", Name(abort.branch_cause())},
          {"database_code", abort.database_code()},
          {"message", abort.message()}};
}

Json BranchObject(const v1::Branch& branch) {
  Json object = {{"gid", branch.gid()},          {"resource", branch.resource()},
                 {"kind", branch.kind()},        {"state", Name(branch.state())},
                 {"agent", branch.agent()},      {"detail", branch.detail()},
                 {"evidence", branch.evidence()}};
  Json& sqls = object["hand_sql"] = Json::array();
  if (MayBePrepared(branch.state())) {
    for (const HandSql& sql : HandSqlFor(branch)) {
      sqls.push_back({{"kind", sql.kind},
                      {"inspect", sql.inspect},
                      {"commit", sql.commit},
                      {"rollback", sql.rollback}});
    }
  }
  return object;
}

Json TransactionObject(const v1::Transaction& transaction) {
  Json object = {{"gtrid", transaction.gtrid()},
                 {"state", Name(transaction.state())},
                 {"outcome", Name(transaction.outcome())},
                 {"label", transaction.label()},
                 {"client_key", transaction.client_key()},
                 {"age_ms", transaction.age_ms()},
                 {"remaining_ms", transaction.remaining_ms()}};
  object["abort"] = transaction.has_abort() ? AbortObject(transaction.abort()) : Json(nullptr);
  Json& branches = object["branches"] = Json::array();
  for (const v1::Branch& branch : transaction.branches()) branches.push_back(BranchObject(branch));
  return object;
}

Json LogObject(const v1::LogStatus& log) {
  Json object = {{"engine", log.engine()},
                 {"trouble", log.trouble()},
                 {"no_space", log.no_space()},
                 {"lease_left_ms", log.lease_left_ms()}};
  Json& servers = object["servers"] = Json::array();
  for (const v1::LogServer& server : log.servers()) {
    servers.push_back({{"address", server.address()},
                       {"up", server.up()},
                       {"problem", server.problem()},
                       {"version", server.version()},
                       {"database_bytes", server.database_bytes()},
                       {"asked", server.asked()}});
  }
  return object;
}

}  // namespace

std::string StatusJson(const v1::GetStatusReply& status) {
  Json object = {{"version", status.version()},
                 {"cluster", status.cluster()},
                 {"cluster_uuid", status.cluster_uuid()},
                 {"group", status.group()},
                 // As text: JSON readers round numbers of 64 bits.
                 {"group_incarnation", std::to_string(status.group_incarnation())},
                 {"node", status.node()},
                 {"leader", status.leader()},
                 {"term", status.term()},
                 {"applied_index", status.applied_index()},
                 {"uptime_ms", status.uptime_ms()},
                 {"live_transactions", status.live_transactions()},
                 {"unfinished_transactions", status.unfinished_transactions()},
                 {"heuristic_transactions", status.heuristic_transactions()}};
  object["log"] = LogObject(status.log());
  Json& agents = object["agents"] = Json::array();
  for (const v1::AgentStatus& agent : status.agents()) {
    Json resources = Json::array();
    for (const std::string& resource : agent.resources()) resources.push_back(resource);
    agents.push_back({{"agent_id", agent.agent_id()},
                      {"peer", agent.peer()},
                      {"version", agent.version()},
                      {"connected_ms", agent.connected_ms()},
                      {"resources", resources}});
  }
  Json& resources = object["resources"] = Json::array();
  for (const v1::ResourceStatus& resource : status.resources()) {
    resources.push_back({{"name", resource.name()},
                         {"kind", resource.kind()},
                         {"identity", resource.identity()},
                         {"server", resource.server()},
                         {"agents", resource.agents()},
                         {"pending_branches", resource.pending_branches()}});
  }
  return Dump(object);
}

std::string ListJson(const v1::ListReply& list) {
  Json object;
  Json& transactions = object["transactions"] = Json::array();
  for (const v1::Transaction& t : list.transactions()) transactions.push_back(TransactionObject(t));
  object["more"] = list.more();
  return Dump(object);
}

std::string TransactionJson(const v1::Transaction& transaction) {
  return Dump(TransactionObject(transaction));
}

std::string ForgetJson(std::string_view gtrid) { return Dump({{"forgotten", gtrid}}); }

std::string MembersJson(const v1::ListMembersReply& members) {
  Json object = {{"node", members.node()},
                 {"term", members.term()},
                 {"leader", members.leader()},
                 {"last_index", members.last_index()},
                 {"commit_index", members.commit_index()}};
  const bool by_leader = members.node() == members.leader();
  Json& rows = object["members"] = Json::array();
  for (const v1::Member& member : members.members()) {
    Json row = {{"id", member.id()},
                {"peer_address", member.peer_address()},
                {"address", member.address()},
                {"voter", member.voter()},
                {"leader", member.leader()}};
    row["match_index"] =
        by_leader && !IsStandby(member) ? Json(member.match_index()) : Json(nullptr);
    row["reachable"] = by_leader ? Json(member.reachable()) : Json(nullptr);
    rows.push_back(std::move(row));
  }
  return Dump(object);
}

}  // namespace assent::ctl
