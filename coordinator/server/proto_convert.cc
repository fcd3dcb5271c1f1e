#include "coordinator/server/proto_convert.h"

#include <algorithm>
#include <limits>
#include <utility>

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

void FillLeadership(const LeadershipNews& from, v1::Leadership* to) {
  to->set_term(from.term);
  to->set_leader(from.leader);
}

Vote FromProto(v1::BranchVote::Vote vote) {
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
  return rpc::ToGrpc(refusal.status, detail);
}

void Fill(const BeginAnswer& from, v1::BeginReply* to) {
  to->set_gtrid(ToString(from.gtrid));
  to->set_remaining_ms(Milliseconds(from.remaining));
  if (from.committed_before) to->set_outcome(v1::OUTCOME_COMMITTED);
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
  }
}

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

v1::CoordinatorMessage ToProto(const AgentWelcome& welcome) {
  v1::CoordinatorMessage message;
  v1::Welcome* to = message.mutable_welcome();
  to->set_cluster(welcome.group.cluster);
  to->set_cluster_uuid(welcome.group.cluster_uuid);
  to->set_group(welcome.group.group);
  to->set_group_incarnation(welcome.group.incarnation);
  FillLeadership(welcome.leadership, to->mutable_leadership());
  return message;
}

ReadInput FromProto(const v1::AgentMessage& message) {
  ReadInput read;
  auto gid_of = [&](const std::string& text) {
    Result<Gid> gid = ParseGid(text);
    if (!gid.ok()) read.problems.push_back(gid.status().message());
    return gid;
  };
  for (const v1::RegisterBranch& one : message.registers()) {
    Result<Gtrid> gtrid = ParseGtrid(one.gtrid());
    if (gtrid.ok()) {
      read.input.registers.push_back({one.request_id(), std::move(*gtrid), one.resource()});
    } else {
      RegisterAnswer answer;
      answer.request = one.request_id();
      answer.refusal.status = gtrid.status();
      read.refused.registered.push_back(std::move(answer));
    }
  }
  for (const v1::BranchVote& one : message.votes()) {
    Result<Gid> gid = gid_of(one.gid());
    if (!gid.ok()) continue;
    read.input.votes.push_back({.gid = std::move(*gid),
                                .vote = FromProto(one.vote()),
                                .evidence = one.evidence(),
                                .failure = {.cause = static_cast<uint32_t>(one.cause()),
                                            .database_code = one.database_code(),
                                            .message = Cut(one.message())}});
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
    for (const RegisterAnswer& one : batch.registered) Pack(one, packer.Next().add_registered());
    for (const PrepareOrder& one : batch.prepares) {
      v1::PrepareBranch* to = packer.Next().add_prepares();
      to->set_gid(ToString(one.gid));
      to->set_remaining_ms(Milliseconds(one.remaining));
    }
    for (const FinishOrder& one : batch.finishes) {
      v1::FinishBranch* to = packer.Next().add_finishes();
      to->set_gid(ToString(one.gid));
      to->set_commit(one.commit);
      to->set_evidence(one.evidence);
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
