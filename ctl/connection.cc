#include "ctl/connection.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <set>
#include <thread>
#include <utility>

#include "base/net/address.h"
#include "base/rpc/connect_hint.h"
#include "base/rpc/proxy.h"
#include "base/rpc/status.h"

namespace assent::ctl {
namespace {

constexpr uint32_t kPageMax = 1000;  // ListRequest.limit.

// While a group chooses its leader, how long until it is asked again.
constexpr std::chrono::milliseconds kElectionPoll{50};

// How much longer than an answer a backup may take to arrive.
constexpr std::chrono::minutes kBackupMax{10};

Result<std::vector<std::string>> SplitEndpoints(const std::string& text) {
  std::vector<std::string> endpoints;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    endpoints.push_back(text.substr(begin, comma - begin));
    begin = comma + 1;
    const std::string& one = endpoints.back();
    if (one.starts_with(net::kUnixScheme) && one.size() > net::kUnixScheme.size()) continue;
    if (Status s = net::CheckDialAddress("endpoint", one); !s.ok()) return s;
  }
  return endpoints;
}

// Adds who was asked and what to do about it.
Status Explain(const ConnectionOptions& options, const std::string& endpoint, const Status& status,
               const v1::ErrorDetail& detail) {
  std::string who = "coordinator " + endpoint;
  if (detail.reason() == v1::REASON_NOT_LEADER) {
    return {status.code(), who + " does not lead: " + status.message() + "; " +
                               (detail.leader().empty() ? "it knows no leader"
                                                        : "it names " + detail.leader() +
                                                              ", which does not lead either") +
                               ". Nobody did within " + std::to_string(options.timeout.count()) +
                               " ms; name more nodes with --endpoint, or wait longer with "
                               "--timeout-ms"};
  }
  // Without a word from the server, these come from the way there.
  bool silent = detail.ByteSizeLong() == 0;
  if (silent && status.code() == Code::kUnavailable) {
    const std::string hint = rpc::ConnectHint(status.message());
    return Unavailable(who + " can't be reached: " + status.message() + hint +
                       (hint.empty() ? "; is assentd running there?" : ".") +
                       " Another address is given with --endpoint or ASSENT_ENDPOINT, TLS files "
                       "with --tls-ca-file, --tls-cert-file and --tls-key-file");
  }
  if (silent && status.code() == Code::kDeadlineExceeded) {
    return DeadlineExceeded(who + " did not answer within " +
                            std::to_string(options.timeout.count()) +
                            " ms; try again, or wait longer with --timeout-ms");
  }
  return {status.code(), who + ": " + status.message()};
}

}  // namespace

Connection::Connection(ConnectionOptions options,
                       std::shared_ptr<grpc::ChannelCredentials> credentials)
    : options_(std::move(options)), credentials_(std::move(credentials)) {}

Result<Connection> Connection::Make(const ConnectionOptions& options) {
  Result<std::vector<std::string>> endpoints = SplitEndpoints(options.endpoint);
  if (!endpoints.ok()) return endpoints.status();
  auto credentials = rpc::ChannelCredentials(options.tls);
  if (!credentials.ok()) return credentials.status();
  Connection connection(options, std::move(*credentials));
  for (const std::string& endpoint : *endpoints) connection.Find(endpoint);
  return connection;
}

size_t Connection::Find(const std::string& endpoint) {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].endpoint == endpoint) return i;
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(64 << 20);
  rpc::GoStraightToLoopback(endpoint, arguments);
  if (!options_.tls_server_name.empty()) {
    arguments.SetSslTargetNameOverride(options_.tls_server_name);
  }
  const auto channel = grpc::CreateCustomChannel(
      endpoint,
      endpoint.starts_with(net::kUnixScheme) ? grpc::InsecureChannelCredentials() : credentials_,
      arguments);
  nodes_.push_back(
      {endpoint, v1::TransactionService::NewStub(channel), v1::AdminService::NewStub(channel)});
  return nodes_.size() - 1;
}

std::optional<size_t> Connection::NextToAsk(const std::set<size_t>& asked,
                                            const std::string& leader) {
  if (!leader.empty()) {
    const size_t said = Find(leader);
    if (!asked.contains(said)) return said;
  }
  for (size_t i = 1; i < nodes_.size(); ++i) {
    const size_t other = (current_ + i) % nodes_.size();
    if (!asked.contains(other)) return other;
  }
  return std::nullopt;
}

Status Connection::Try(const Attempt& attempt, std::chrono::milliseconds more) {
  const auto patience = std::chrono::steady_clock::now() + options_.timeout;
  std::set<size_t> asked;  // In this round: each node once.
  Status no_leader;        // Of this round: a node answered, and does not lead.
  for (;;) {
    const Node& node = nodes_[current_];
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + options_.timeout + more);
    const grpc::Status answer = attempt(node, context);
    v1::ErrorDetail detail;
    Status status = rpc::FromGrpc(answer, &detail);
    if (status.ok()) return status;
    const bool not_leader = detail.reason() == v1::REASON_NOT_LEADER;
    const Status explained = Explain(options_, node.endpoint, status, detail);
    // A call that may have reached its node is not repeated elsewhere.
    if (!not_leader && !rpc::NeverConnected(answer.error_message())) return explained;
    if (not_leader) no_leader = explained;
    asked.insert(current_);
    if (const auto next = NextToAsk(asked, detail.leader())) {
      current_ = *next;
      continue;
    }
    // Nobody leads who can be reached: where there is a group, it may be choosing.
    if (no_leader.ok()) return explained;
    if (std::chrono::steady_clock::now() >= patience) return no_leader;
    std::this_thread::sleep_for(kElectionPoll);
    asked.clear();
    no_leader = Status();
  }
}

template <typename Stub, typename Request, typename Reply>
Status Connection::Call(Method<Stub, Request, Reply> method, const Request& request, Reply* reply,
                        std::chrono::milliseconds more) {
  return Try(
      [&](const Node& node, grpc::ClientContext& context) {
        Stub& stub = node.Get(static_cast<const Stub*>(nullptr));
        reply->Clear();
        return (stub.*method)(&context, request, reply);
      },
      more);
}

Result<v1::GetStatusReply> Connection::GetStatus() {
  v1::GetStatusReply reply;
  Status status = Call(&Admin::GetStatus, v1::GetStatusRequest(), &reply);
  if (!status.ok()) return status;
  return reply;
}

Result<v1::ListReply> Connection::List(const std::vector<v1::State>& states, uint32_t limit) {
  v1::ListReply all;
  for (;;) {
    v1::ListRequest request;
    uint32_t have = static_cast<uint32_t>(all.transactions_size());
    request.set_limit(std::min(kPageMax, limit - have));
    for (v1::State state : states) request.add_states(state);
    if (have > 0) request.set_after(all.transactions(all.transactions_size() - 1).gtrid());
    v1::ListReply page;
    Status status = Call(&Transactions::List, request, &page);
    if (!status.ok()) return status;
    all.set_more(page.more());
    bool empty = page.transactions().empty();
    for (v1::Transaction& transaction : *page.mutable_transactions()) {
      *all.add_transactions() = std::move(transaction);
    }
    if (!page.more() || empty || static_cast<uint32_t>(all.transactions_size()) >= limit) {
      return all;
    }
  }
}

Result<v1::Transaction> Connection::Get(const std::string& gtrid) {
  v1::GetRequest request;
  request.set_gtrid(gtrid);
  v1::GetReply reply;
  Status status = Call(&Transactions::Get, request, &reply);
  if (!status.ok()) return status;
  return reply.transaction();
}

Status Connection::Forget(const std::string& gtrid) {
  v1::ForgetRequest request;
  request.set_gtrid(gtrid);
  v1::ForgetReply reply;
  return Call(&Admin::Forget, request, &reply);
}

Result<v1::ListMembersReply> Connection::ListMembers() {
  v1::ListMembersReply reply;
  if (Status s = Call(&Admin::ListMembers, v1::ListMembersRequest(), &reply); !s.ok()) return s;
  if (reply.node() == reply.leader()) return reply;
  // Only the leader knows how far each member is.
  for (const v1::Member& member : reply.members()) {
    if (!member.leader() || member.address().empty()) continue;
    const size_t asked = std::exchange(current_, Find(member.address()));
    v1::ListMembersReply of_leader;
    if (Call(&Admin::ListMembers, v1::ListMembersRequest(), &of_leader).ok()) return of_leader;
    current_ = asked;
    break;
  }
  return reply;
}

Status Connection::AddMember(const v1::AddMemberRequest& request) {
  v1::AddMemberReply reply;
  return Call(&Admin::AddMember, request, &reply);
}

Status Connection::PromoteMember(uint64_t id) {
  v1::PromoteMemberRequest request;
  request.set_id(id);
  v1::PromoteMemberReply reply;
  return Call(&Admin::PromoteMember, request, &reply);
}

Status Connection::RemoveMember(uint64_t id) {
  v1::RemoveMemberRequest request;
  request.set_id(id);
  v1::RemoveMemberReply reply;
  return Call(&Admin::RemoveMember, request, &reply);
}

Status Connection::TransferLeadership(uint64_t to, std::chrono::milliseconds drain) {
  v1::TransferLeadershipRequest request;
  request.set_to(to);
  request.set_drain_ms(static_cast<uint64_t>(drain.count()));
  v1::TransferLeadershipReply reply;
  return Call(&Admin::TransferLeadership, request, &reply, drain);
}

Result<bool> Connection::TransferIfLeading(uint64_t to, std::chrono::milliseconds drain) {
  v1::TransferLeadershipRequest request;
  request.set_to(to);
  request.set_drain_ms(static_cast<uint64_t>(drain.count()));
  v1::TransferLeadershipReply reply;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + options_.timeout + drain);
  const Node& node = nodes_.front();
  v1::ErrorDetail detail;
  const Status status =
      rpc::FromGrpc(node.admin->TransferLeadership(&context, request, &reply), &detail);
  if (status.ok()) return true;
  if (detail.reason() == v1::REASON_NOT_LEADER) return false;
  return Explain(options_, node.endpoint, status, detail);
}

Status Connection::Backup(const std::function<Status(std::string_view)>& take) {
  Status taken;
  Status status = Try(
      [&](const Node& node, grpc::ClientContext& context) {
        auto reader = node.admin->Backup(&context, v1::BackupRequest());
        v1::BackupChunk chunk;
        while (reader->Read(&chunk)) {
          taken = take(chunk.data());
          if (!taken.ok()) {
            context.TryCancel();
            break;
          }
        }
        return reader->Finish();
      },
      kBackupMax);
  return taken.ok() ? status : taken;
}

}  // namespace assent::ctl
