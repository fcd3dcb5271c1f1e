#include "coordinator/server/proto_convert.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "adapters/common/statements.h"

namespace assent::coordinator {
namespace {

uint32_t Milliseconds(Duration duration) {
  auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  return static_cast<uint32_t>(std::clamp<int64_t>(ms, 0, std::numeric_limits<uint32_t>::max()));
}

// Words for people go into log records, which have a largest size. Cut between characters: bytes
// that are no UTF-8 would make a record that can't be read again.
std::string Cut(const std::string& words) {
  constexpr size_t kWordsMax = 2000;
  if (words.size() <= kWordsMax) return words;
  size_t end = kWordsMax;
  while (end > 0 && (static_cast<unsigned char>(words[end]) & 0xC0) == 0x80) --end;
  return words.substr(0, end) + "...";
}

void FillAbort(const AbortReason& from, v1::Abort* to) {
  to->set_cause(static_cast<v1::AbortCause>(from.cause));
  if (!from.gid) return;
  to->set_resource(from.gid->bqual.resource);
  to->set_gid(ToString(*from.gid));
  to->set_branch_cause(static_cast<v1::BranchCause>(from.failure.cause));
  to->set_database_code(from.failure.database_code);
  to->set_message(from.failure.message);
}

void FillView(const TransactionView& from, v1::Transaction* to) {
  to->set_gtrid(ToString(from.gtrid));
  if (from.state) to->set_state(static_cast<v1::State>(*from.state));
  if (from.outcome) to->set_outcome(static_cast<v1::Outcome>(*from.outcome));
  for (const BranchView& branch : from.branches) {
    v1::Branch* one = to->add_branches();
    one->set_gid(ToString(branch.gid));
    one->set_resource(branch.gid.bqual.resource);
    one->set_state(static_cast<v1::BranchState>(branch.state));
    one->set_agent(branch.agent);
    one->set_detail(branch.detail);
    one->set_evidence(branch.evidence);
    one->set_kind(branch.kind);
  }
  if (from.abort) FillAbort(*from.abort, to->mutable_abort());
  to->set_label(from.label);
  to->set_client_key(from.client_key);
  to->set_remaining_ms(Milliseconds(from.remaining));
  to->set_age_ms(static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(from.age).count()));
}

void FillAppHeld(const AppHeldNews& from, v1::AppHeld* to) {
  to->set_connection_id(from.connection_id);
  to->set_finisher(static_cast<v1::Finisher>(from.finisher));
  to->set_age_ms(Milliseconds(from.age));
}

void FillStatements(const adapters::BranchStatements& from, v1::BranchStatements* to) {
  for (const std::string& sql : from.begin) to->add_begin(sql);
  for (const std::string& sql : from.prepare) to->add_prepare(sql);
  for (const std::string& sql : from.abandon) to->add_abandon(sql);
  to->set_commit(from.commit);
  to->set_rollback(from.rollback);
}

void FillLeadership(const LeadershipNews& from, v1::Leadership* to) {
  to->set_term(from.term);
  to->set_leader(from.leader);
}

Vote VoteOf(v1::BranchVote::Vote vote) {
  switch (vote) {
    case v1::BranchVote::YES:
      return Vote::kYes;
    case v1::BranchVote::READ_ONLY:
      return Vote::kReadOnly;
    default:
      return Vote::kNo;  // What we do not understand is no yes.
  }
}

}  // namespace

grpc::Status ToGrpc(const Refusal& refusal) {
  v1::ErrorDetail detail;
  detail.set_reason(static_cast<v1::Reason>(refusal.reason));
  detail.set_retry_delay_ms(refusal.retry_delay_ms);
  detail.set_gtrid(refusal.gtrid);
  detail.set_leader(refusal.leader);
  return rpc::ToGrpc(refusal.status, detail);
}

void Fill(const BeginAnswer& from, v1::BeginReply* to) {
  to->set_gtrid(ToString(from.gtrid));
  to->set_remaining_ms(Milliseconds(from.remaining));
  if (from.committed_before) to->set_outcome(v1::OUTCOME_COMMITTED);
  for (const BegunBranch& branch : from.branches) {
    v1::RegisteredBranch* one = to->add_branches();
    one->set_resource(branch.resource);
    one->set_kind(branch.kind);
    if (!branch.gid) continue;
    one->set_gid(ToString(*branch.gid));
    if (!branch.app_held) {
      one->set_agent_incarnation(branch.holder);
      continue;
    }
    if (auto statements = adapters::StatementsOf(branch.kind, *branch.gid)) {
      FillStatements(*statements, one->mutable_statements());
    }
  }
}

void Fill(const CommitAnswer& from, v1::CommitReply* to) {
  to->set_outcome(static_cast<v1::Outcome>(from.outcome));
  to->set_applied(from.applied);
  to->set_heuristic(from.heuristic);
  if (from.abort) FillAbort(*from.abort, to->mutable_abort());
  if (from.applied) return;
  for (const PendingBranch& branch : from.pending) {
    v1::PendingBranch* one = to->add_pending();
    one->set_gid(ToString(branch.gid));
    one->set_resource(branch.gid.bqual.resource);
    one->set_reason(branch.reason);
    one->set_yours(branch.yours);
  }
}

void Fill(const ReportAnswer&, v1::ReportFinishedReply*) {}

void Fill(const RollbackAnswer& from, v1::RollbackReply* to) {
  to->set_outcome(static_cast<v1::Outcome>(from.outcome));
  if (from.abort) FillAbort(*from.abort, to->mutable_abort());
}

void Fill(const TransactionView& from, v1::GetReply* to) {
  FillView(from, to->mutable_transaction());
}

void Fill(const ListAnswer& from, v1::ListReply* to) {
  for (const TransactionView& view : from.transactions) FillView(view, to->add_transactions());
  to->set_more(from.more);
}

void Fill(const StatusAnswer& from, v1::GetStatusReply* to) {
  to->set_cluster(from.cluster);
  to->set_cluster_uuid(from.cluster_uuid);
  to->set_group(from.group);
  to->set_group_incarnation(from.incarnation);
  to->set_term(from.term);
  to->set_leader(from.leader);
  to->set_applied_index(from.applied_index);
  for (const AgentStatusView& agent : from.agents) {
    v1::AgentStatus* one = to->add_agents();
    one->set_agent_id(agent.agent_id);
    one->set_peer(agent.peer);
    one->set_version(agent.version);
    one->set_connected_ms(Milliseconds(agent.connected));
    for (const std::string& resource : agent.resources) one->add_resources(resource);
  }
  for (const ResourceStatusView& resource : from.resources) {
    v1::ResourceStatus* one = to->add_resources();
    one->set_name(resource.name);
    one->set_kind(resource.kind);
    one->set_identity(resource.identity);
    one->set_server(resource.server);
    one->set_agents(resource.agents);
    one->set_pending_branches(resource.pending_branches);
  }
  to->set_live_transactions(from.live);
  to->set_unfinished_transactions(from.unfinished);
  to->set_heuristic_transactions(from.heuristic);
}

void Fill(const ForgetAnswer&, v1::ForgetReply*) {}
void Fill(const MembershipAnswer&, v1::AddMemberReply*) {}
void Fill(const MembershipAnswer&, v1::PromoteMemberReply*) {}
void Fill(const MembershipAnswer&, v1::RemoveMemberReply*) {}
void Fill(const MembershipAnswer&, v1::TransferLeadershipReply*) {}

void Fill(const txlog::GroupProgress& from, v1::ListMembersReply* to) {
  to->set_term(from.group.term);
  to->set_leader(from.group.leader);
  to->set_last_index(from.last_index);
  to->set_commit_index(from.commit_index);
  for (const txlog::MemberProgress& progress : from.members) {
    v1::Member* one = to->add_members();
    one->set_id(progress.member.id);
    one->set_peer_address(progress.member.peer_address);
    one->set_address(progress.member.address);
    one->set_voter(progress.member.voter);
    one->set_leader(progress.member.id == from.group.leader);
    one->set_match_index(progress.match_index);
    one->set_reachable(progress.reachable);
  }
}

Result<AppHeldNews> FromProto(const v1::AppHeld& from) {
  // As a database's counter of sessions: 64 bits at most.
  constexpr size_t kDigitsMax = 20;
  const std::string& id = from.connection_id();
  if (id.size() > kDigitsMax || id.find_first_not_of("0123456789") != std::string::npos) {
    return InvalidArgument("app_held.connection_id '" + id.substr(0, 32) +
                           "': must be the decimal number of the session at its database, from "
                           "pg_backend_pid() or CONNECTION_ID()");
  }
  AppHeldNews news{.connection_id = id, .age = std::chrono::milliseconds(from.age_ms())};
  switch (from.finisher()) {
    case v1::FINISHER_UNSPECIFIED:
    case v1::FINISHER_AGENT:
      news.finisher = Finisher::kAgent;
      return news;
    case v1::FINISHER_APP:
      news.finisher = Finisher::kApp;
      return news;
    default:
      break;
  }
  return InvalidArgument("app_held.finisher " + std::to_string(from.finisher()) +
                         ": must be AGENT (1) or APP (2)");
}

Result<std::vector<BranchAsked>> FromProto(
    const google::protobuf::RepeatedPtrField<v1::BranchRequest>& branches) {
  std::vector<BranchAsked> asked;
  for (const v1::BranchRequest& one : branches) {
    asked.push_back({.resource = one.resource()});
    if (!one.has_app_held()) continue;
    Result<AppHeldNews> news = FromProto(one.app_held());
    if (!news.ok()) {
      return InvalidArgument("branch on resource '" + one.resource() +
                             "': " + news.status().message());
    }
    asked.back().app_held = std::move(*news);
  }
  return asked;
}

Result<std::vector<Ticket>> FromProto(
    const google::protobuf::RepeatedPtrField<v1::Ticket>& tickets) {
  if (tickets.size() > kTicketsMax) {
    return InvalidArgument("tickets has " + std::to_string(tickets.size()) + " entries, at most " +
                           std::to_string(kTicketsMax) +
                           " are taken: one for each branch is enough");
  }
  std::vector<Ticket> read;
  for (const v1::Ticket& one : tickets) {
    Result<Gid> gid = ParseGid(one.gid());
    if (!gid.ok()) return InvalidArgument("tickets: " + gid.status().message());
    if (one.evidence().size() > kEvidenceBytesMax) {
      return InvalidArgument("ticket of " + one.gid() + ": evidence has " +
                             std::to_string(one.evidence().size()) + " bytes, at most " +
                             std::to_string(kEvidenceBytesMax) +
                             " are allowed: hand in the ticket as the agent gave it");
    }
    read.push_back({.gid = std::move(*gid),
                    .agent_incarnation = one.agent_incarnation(),
                    .evidence = one.evidence(),
                    .read_only = one.read_only()});
  }
  return read;
}

Result<std::vector<Gid>> FromProto(const std::string& field,
                                   const google::protobuf::RepeatedPtrField<std::string>& gids) {
  if (gids.size() > kFinishedMax) {
    return InvalidArgument(field + " has " + std::to_string(gids.size()) + " gids, at most " +
                           std::to_string(kFinishedMax) +
                           " are taken at once: send the others with another call");
  }
  std::vector<Gid> read;
  for (const std::string& text : gids) {
    Result<Gid> gid = ParseGid(text);
    if (!gid.ok()) return InvalidArgument(field + ": " + gid.status().message());
    read.push_back(std::move(*gid));
  }
  return read;
}

AgentHello FromProto(const v1::Hello& hello, std::string peer) {
  AgentHello made{.agent_id = hello.agent_id(),
                  .incarnation = hello.agent_incarnation(),
                  .cluster_uuid = hello.cluster_uuid(),
                  .group_incarnation = hello.group_incarnation(),
                  .version = hello.version(),
                  .peer = std::move(peer)};
  for (const v1::ServedResource& served : hello.resources()) {
    made.resources.push_back({.name = served.name(),
                              .kind = served.kind(),
                              .identity = served.identity(),
                              .server = served.server()});
  }
  return made;
}

namespace {

void FillMembers(const std::vector<txlog::Member>& members, v1::GroupMembers* to) {
  to->Clear();  // The last of several.
  for (const txlog::Member& member : members) {
    v1::GroupMember* one = to->add_members();
    one->set_id(member.id);
    one->set_address(member.address);
  }
}

}  // namespace

v1::CoordinatorMessage ToProto(const AgentWelcome& welcome, uint64_t node_id) {
  v1::CoordinatorMessage message;
  v1::Welcome* to = message.mutable_welcome();
  to->set_cluster(welcome.group.cluster);
  to->set_cluster_uuid(welcome.group.cluster_uuid);
  to->set_group(welcome.group.group);
  to->set_group_incarnation(welcome.group.incarnation);
  FillLeadership(welcome.leadership, to->mutable_leadership());
  to->set_node_id(node_id);
  FillMembers(welcome.members, to->mutable_members());
  return message;
}

namespace {

Result<RegisterAsked> ReadRegister(const v1::RegisterBranch& from) {
  Result<Gtrid> gtrid = ParseGtrid(from.gtrid());
  if (!gtrid.ok()) return gtrid.status();
  RegisterAsked asked{
      .request = from.request_id(), .gtrid = std::move(*gtrid), .resource = from.resource()};
  if (from.has_app_held()) {
    Result<AppHeldNews> news = FromProto(from.app_held());
    if (!news.ok()) return news.status();
    asked.app_held = std::move(*news);
  }
  if (!from.again().empty()) {
    Result<Gid> again = ParseGid(from.again());
    if (!again.ok()) return InvalidArgument("again: " + again.status().message());
    asked.again = std::move(*again);
  }
  return asked;
}

VoteCast ReadVote(Gid gid, const v1::BranchVote& from) {
  VoteCast vote{.gid = std::move(gid),
                .vote = VoteOf(from.vote()),
                .evidence = from.evidence(),
                .failure = {.cause = static_cast<uint32_t>(from.cause()),
                            .database_code = from.database_code(),
                            .message = Cut(from.message())}};
  if (vote.evidence.size() <= kEvidenceBytesMax) return vote;
  // It could never be put on record, and without it nobody could tell how the branch ended.
  vote.failure = {.cause = v1::BRANCH_CAUSE_MISUSE,
                  .message = "the evidence of the vote has " +
                             std::to_string(vote.evidence.size()) + " bytes, at most " +
                             std::to_string(kEvidenceBytesMax) + " are allowed"};
  vote.vote = Vote::kNo;
  vote.evidence.clear();
  return vote;
}

}  // namespace

ReadInput FromProto(const v1::AgentMessage& message) {
  ReadInput read;
  auto gid_of = [&](const std::string& text) {
    Result<Gid> gid = ParseGid(text);
    if (!gid.ok()) read.problems.push_back(gid.status().message());
    return gid;
  };
  for (const v1::RegisterBranch& one : message.registers()) {
    Result<RegisterAsked> asked = ReadRegister(one);
    if (asked.ok()) {
      read.input.registers.push_back(std::move(*asked));
    } else {
      RegisterAnswer answer;
      answer.request = one.request_id();
      answer.refusal.status = asked.status();
      read.refused.registered.push_back(std::move(answer));
    }
  }
  for (const v1::BranchVote& one : message.votes()) {
    Result<Gid> gid = gid_of(one.gid());
    if (!gid.ok()) continue;
    read.input.votes.push_back(ReadVote(*std::move(gid), one));
  }
  for (const v1::BranchLost& one : message.lost()) {
    Result<Gid> gid = gid_of(one.gid());
    if (!gid.ok()) continue;
    read.input.lost.push_back({.gid = std::move(*gid),
                               .failure = {.cause = static_cast<uint32_t>(one.cause()),
                                           .database_code = one.database_code(),
                                           .message = Cut(one.message())}});
  }
  for (const v1::BranchFinished& one : message.finished()) {
    Result<Gid> gid = gid_of(one.gid());
    if (!gid.ok()) continue;
    if (one.state() < v1::BRANCH_STATE_OPEN || one.state() > v1::BRANCH_STATE_HAZARD) {
      read.problems.push_back("finished " + one.gid() + " with state " +
                              std::to_string(one.state()));
      continue;
    }
    read.input.finished.push_back({.gid = std::move(*gid),
                                   .state = static_cast<BranchViewState>(one.state()),
                                   .detail = Cut(one.detail())});
  }
  for (const v1::Inquiry& one : message.inquiries()) {
    Result<Gid> gid = gid_of(one.gid());
    if (gid.ok()) read.input.inquiries.push_back(std::move(*gid));
  }
  return read;
}

namespace {

// Ids and evidence are a few hundred bytes at most, so this stays far below the 4 MiB that a gRPC
// peer takes by default.
constexpr size_t kItemsMax = 2000;

// Fills messages one item at a time, opening a new one when the last is full.
class Packer {
 public:
  v1::CoordinatorMessage& Next() {
    if (messages_.empty() || items_ == kItemsMax) {
      messages_.emplace_back();
      items_ = 0;
    }
    ++items_;
    return messages_.back();
  }
  std::vector<v1::CoordinatorMessage> Take() { return std::move(messages_); }

 private:
  std::vector<v1::CoordinatorMessage> messages_;
  size_t items_ = 0;
};

void Pack(const RegisterAnswer& from, v1::BranchRegistered* to) {
  to->set_request_id(from.request);
  if (from.gid) {
    to->set_gid(ToString(*from.gid));
    to->set_remaining_ms(Milliseconds(from.remaining));
    return;
  }
  to->set_code(static_cast<uint32_t>(from.refusal.status.code()));
  to->set_reason(static_cast<v1::Reason>(from.refusal.reason));
  to->set_message(from.refusal.status.message());
}

}  // namespace

std::vector<v1::CoordinatorMessage> ToProto(const std::vector<AgentOutput>& batches) {
  Packer packer;
  for (const AgentOutput& batch : batches) {
    if (batch.leadership) FillLeadership(*batch.leadership, packer.Next().mutable_leadership());
    if (batch.members) FillMembers(*batch.members, packer.Next().mutable_members());
    for (const RegisterAnswer& one : batch.registered) Pack(one, packer.Next().add_registered());
    for (const PrepareOrder& one : batch.prepares) {
      v1::PrepareBranch* to = packer.Next().add_prepares();
      to->set_gid(ToString(one.gid));
      to->set_remaining_ms(Milliseconds(one.remaining));
      if (one.app_held) FillAppHeld(*one.app_held, to->mutable_app_held());
    }
    for (const FinishOrder& one : batch.finishes) {
      v1::FinishBranch* to = packer.Next().add_finishes();
      to->set_gid(ToString(one.gid));
      to->set_commit(one.commit);
      to->set_evidence(one.evidence);
      if (one.app_held) FillAppHeld(*one.app_held, to->mutable_app_held());
    }
    for (const InquiryReply& one : batch.answers) {
      v1::InquiryAnswer* to = packer.Next().add_answers();
      to->set_gid(ToString(one.gid));
      to->set_answer(static_cast<v1::InquiryAnswer::Answer>(one.answer));
      to->set_evidence(one.evidence);
    }
    for (const Gid& gid : batch.forget) packer.Next().add_forget(ToString(gid));
  }
  return packer.Take();
}

}  // namespace assent::coordinator
