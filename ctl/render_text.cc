#include <vector>

#include "ctl/hand_sql.h"
#include "ctl/render.h"
#include "ctl/table.h"

namespace assent::ctl {
namespace {

template <typename Enum>
std::string Strip(const std::string& name, std::string_view prefix, Enum value) {
  if (name.empty()) return std::to_string(static_cast<int>(value));
  return name.substr(prefix.size());
}

std::string Duration(uint64_t ms) {
  if (ms < 1'000) return std::to_string(ms) + "ms";
  uint64_t seconds = ms / 1'000;
  if (seconds < 60) return std::to_string(seconds) + "s";
  if (seconds < 3'600) {
    return std::to_string(seconds / 60) + "m" + std::to_string(seconds % 60) + "s";
  }
  if (seconds < 86'400) {
    return std::to_string(seconds / 3'600) + "h" + std::to_string(seconds / 60 % 60) + "m";
  }
  return std::to_string(seconds / 86'400) + "d" + std::to_string(seconds / 3'600 % 24) + "h";
}

std::string OrDash(const std::string& text) { return text.empty() ? "-" : Clean(text); }

std::string AbortLine(const v1::Abort& abort) {
  std::string line = Name(abort.cause());
  if (!abort.resource().empty()) line += " by " + Clean(abort.resource());
  if (abort.branch_cause() != v1::BRANCH_CAUSE_UNSPECIFIED)
    line += ", " + Name(abort.branch_cause());
  if (!abort.database_code().empty()) line += " " + Clean(abort.database_code());
  if (!abort.message().empty()) line += ": " + Clean(abort.message());
  return line;
}

// What a person may do about one branch. The verb that contradicts the outcome is not shown: it
// would make the transaction mixed.
std::string HandText(const v1::Branch& branch, v1::Outcome outcome) {
  std::vector<HandSql> sqls = HandSqlFor(branch);
  if (!MayBePrepared(branch.state()) || sqls.empty()) return "";
  // What somebody has ended can't be ended again; it can only be looked for.
  bool ended = branch.state() == v1::BRANCH_STATE_HEURISTIC_ROLLBACK ||
               branch.state() == v1::BRANCH_STATE_HEURISTIC_COMMIT;
  // Nobody can tell the outcome: a person must, and may need either verb.
  const bool untold = branch.state() == v1::BRANCH_STATE_HAZARD &&
                      (outcome == v1::OUTCOME_UNKNOWN || outcome == v1::OUTCOME_EXPIRED);
  std::string text;
  for (const HandSql& sql : sqls) {
    text += "  by hand in " + Clean(branch.resource()) +
            (sqls.size() == 1 ? "" : ", if it is " + sql.kind) + ":\n";
    std::vector<Cells> rows = {{"inspect", sql.inspect}};
    if (!ended && (untold || outcome == v1::OUTCOME_COMMITTED))
      rows.push_back({"commit", sql.commit});
    if (!ended && (untold || outcome == v1::OUTCOME_ABORTED))
      rows.push_back({"rollback", sql.rollback});
    text += Table(rows, "    ");
  }
  switch (branch.state()) {
    case v1::BRANCH_STATE_HEURISTIC_ROLLBACK:
      return text +
             "  The database rolled this branch back although the transaction committed: "
             "make its change again by hand.\n";
    case v1::BRANCH_STATE_HEURISTIC_COMMIT:
      return text +
             "  The database committed this branch although the transaction aborted: undo "
             "its change by hand.\n";
    case v1::BRANCH_STATE_HAZARD:
      if (untold) {
        return text +
               "  Nobody can tell whether it was decided: commit it if the service's records or a "
               "change in another database of this transaction say so, else roll it back. All of "
               "its branches must end alike.\n";
      }
      return text +
             "  The branch is gone or can't be accounted for: look whether its change is in "
             "the data before you act.\n";
    case v1::BRANCH_STATE_COMMITTING:
      return text + "  It will be committed without help as soon as the database can be reached.\n";
    case v1::BRANCH_STATE_PREPARING:
    case v1::BRANCH_STATE_PREPARED:
      if (outcome == v1::OUTCOME_UNKNOWN || outcome == v1::OUTCOME_UNSPECIFIED) {
        return text + "  Not decided yet: do not end it by hand.\n";
      }
      return text;
    default:  // A state of a newer server, or one that MayBePrepared has ruled out.
      return text;
  }
}

}  // namespace

std::string Name(v1::State state) { return Strip(v1::State_Name(state), "STATE_", state); }
std::string Name(v1::Outcome outcome) {
  return Strip(v1::Outcome_Name(outcome), "OUTCOME_", outcome);
}
std::string Name(v1::BranchState state) {
  return Strip(v1::BranchState_Name(state), "BRANCH_STATE_", state);
}
std::string Name(v1::AbortCause cause) {
  return Strip(v1::AbortCause_Name(cause), "ABORT_CAUSE_", cause);
}
std::string Name(v1::BranchCause cause) {
  return Strip(v1::BranchCause_Name(cause), "BRANCH_CAUSE_", cause);
}

namespace {

// Of a log that is kept elsewhere; "" of one of the node's own.
std::string LogText(const v1::LogStatus& log) {
  if (log.servers().empty() && log.trouble().empty()) return "";
  std::string text;
  if (!log.servers().empty()) {
    std::vector<Cells> rows = {{"ETCD", "UP", "ASKED", "VERSION", "BYTES", "PROBLEM"}};
    for (const v1::LogServer& server : log.servers()) {
      rows.push_back({OrDash(server.address()), server.up() ? "yes" : "no",
                      server.asked() ? "yes" : "-", OrDash(server.version()),
                      std::to_string(server.database_bytes()), OrDash(server.problem())});
    }
    text += "\n" + Table(rows);
  }
  if (!log.trouble().empty()) text += "\nthe log: " + Clean(log.trouble()) + "\n";
  if (log.no_space()) {
    text +=
        "\netcd has raised the alarm NOSPACE, so nothing can be decided: compact and defragment "
        "it or raise its --quota-backend-bytes, then etcdctl alarm disarm\n";
  }
  return text;
}

// "" where there is none.
std::string LeaseText(const v1::LogStatus& log) {
  if (log.engine() != "etcd") return "";
  if (log.lease_left_ms() == 0) return ", no lease";
  return ", lease for " + std::to_string(log.lease_left_ms()) + " ms";
}

}  // namespace

std::string StatusText(const v1::GetStatusReply& status, const std::string& endpoint) {
  std::string text = Table({
      {"coordinator", OrDash(status.node()) + " at " + endpoint + ", version " +
                          OrDash(status.version()) + (status.leader() ? ", leader" : ", follower") +
                          ", up " + Duration(status.uptime_ms())},
      {"cluster", OrDash(status.cluster()) + ", uuid " + OrDash(status.cluster_uuid()) +
                      ", group " + std::to_string(status.group()) + ", incarnation " +
                      std::to_string(status.group_incarnation())},
      {"log", "term " + std::to_string(status.term()) + ", applied index " +
                  std::to_string(status.applied_index()) +
                  (status.log().engine().empty() ? "" : ", " + Clean(status.log().engine())) +
                  LeaseText(status.log())},
      {"transactions", std::to_string(status.live_transactions()) + " live, " +
                           std::to_string(status.unfinished_transactions()) + " unfinished, " +
                           std::to_string(status.heuristic_transactions()) + " heuristic"},
  });
  text += LogText(status.log());
  if (!status.resources().empty()) {
    std::vector<Cells> rows = {{"RESOURCE", "KIND", "AGENTS", "PENDING", "SERVER", "IDENTITY"}};
    for (const v1::ResourceStatus& resource : status.resources()) {
      rows.push_back({OrDash(resource.name()), OrDash(resource.kind()),
                      resource.agents() == 0 ? "none" : std::to_string(resource.agents()),
                      std::to_string(resource.pending_branches()), OrDash(resource.server()),
                      OrDash(resource.identity())});
    }
    text += "\n" + Table(rows);
  }
  std::vector<Cells> rows = {{"AGENT", "VERSION", "CONNECTED", "PEER", "RESOURCES"}};
  for (const v1::AgentStatus& agent : status.agents()) {
    std::string resources;
    for (const std::string& r : agent.resources()) resources += (resources.empty() ? "" : ",") + r;
    rows.push_back({OrDash(agent.agent_id()), OrDash(agent.version()),
                    Duration(agent.connected_ms()), OrDash(agent.peer()), OrDash(resources)});
  }
  text += "\n" + (status.agents().empty() ? "no agent is connected\n" : Table(rows));
  if (status.heuristic_transactions() > 0) {
    text += "\nheuristic outcomes need an operator: assentctl list --state heuristic\n";
  }
  return text;
}

std::string ListText(const v1::ListReply& list) {
  if (list.transactions().empty()) return "no transactions\n";
  std::vector<Cells> rows = {{"GTRID", "STATE", "AGE", "BRANCHES", "LABEL"}};
  for (const v1::Transaction& transaction : list.transactions()) {
    std::string resources;
    for (const v1::Branch& branch : transaction.branches()) {
      resources += (resources.empty() ? "" : ",") + branch.resource();
    }
    rows.push_back({Clean(transaction.gtrid()), Name(transaction.state()),
                    Duration(transaction.age_ms()), OrDash(resources),
                    OrDash(transaction.label())});
  }
  std::string text = Table(rows);
  if (list.more()) {
    text +=
        "the first " + std::to_string(list.transactions_size()) + "; more follow: raise --limit\n";
  }
  return text;
}

std::string TransactionText(const v1::Transaction& transaction) {
  std::vector<Cells> head = {{"gtrid", Clean(transaction.gtrid())},
                             {"state", Name(transaction.state())},
                             {"outcome", Name(transaction.outcome())}};
  if (transaction.has_abort()) head.push_back({"cause", AbortLine(transaction.abort())});
  if (!transaction.label().empty()) head.push_back({"label", Clean(transaction.label())});
  if (!transaction.client_key().empty()) {
    head.push_back({"client key", Clean(transaction.client_key())});
  }
  if (transaction.age_ms() > 0) head.push_back({"age", Duration(transaction.age_ms())});
  if (transaction.state() == v1::STATE_ACTIVE) {
    head.push_back({"time left", Duration(transaction.remaining_ms())});
  }
  std::string text = Table(head);
  for (const v1::Branch& branch : transaction.branches()) {
    text += "\nbranch " + Clean(branch.resource()) + " (" +
            (branch.kind().empty() ? "kind not known" : Clean(branch.kind())) + ")  " +
            Name(branch.state()) + "\n";
    std::vector<Cells> rows = {{"gid", Clean(branch.gid())}};
    if (!branch.agent().empty()) rows.push_back({"agent", Clean(branch.agent())});
    if (!branch.detail().empty()) rows.push_back({"detail", Clean(branch.detail())});
    if (!branch.evidence().empty()) rows.push_back({"evidence", Clean(branch.evidence())});
    text += Table(rows, "  ") + HandText(branch, transaction.outcome());
  }
  if (transaction.state() == v1::STATE_HEURISTIC) {
    text +=
        "\nOnce the databases are settled: assentctl forget " + Clean(transaction.gtrid()) + "\n";
  }
  return text;
}

std::string MembersText(const v1::ListMembersReply& members) {
  const bool by_leader = members.node() == members.leader();
  std::vector<Cells> rows = {{"ID", "ROLE", "STATE", "MATCH", "PEER ADDRESS", "ADDRESS"}};
  for (const v1::Member& member : members.members()) {
    const bool standby = IsStandby(member);
    rows.push_back({std::to_string(member.id()),
                    member.leader() ? "leader"
                    : standby       ? "standby"
                                    : (member.voter() ? "voter" : "learner"),
                    by_leader ? (member.reachable() ? "up" : "silent") : "-",
                    by_leader && !standby ? std::to_string(member.match_index()) : "-",
                    OrDash(member.peer_address()), OrDash(member.address())});
  }
  std::string text = Table(rows);
  text += "\nterm " + std::to_string(members.term()) + ", last index " +
          std::to_string(members.last_index()) + ", committed " +
          std::to_string(members.commit_index()) + "\n";
  if (!by_leader) {
    text += "answered by node " + std::to_string(members.node()) +
            ", which can't say how far the others are: " +
            (members.leader() == 0 ? "it knows of no leader\n"
                                   : "node " + std::to_string(members.leader()) +
                                         ", which leads, can't be reached\n");
  }
  return text;
}

}  // namespace assent::ctl
