#include "tests/system/raw_node.h"

#include <grpcpp/grpcpp.h>

#include "base/rpc/credentials.h"
#include "base/rpc/status.h"

namespace assent::system_tests {

using std::chrono::milliseconds;
using std::chrono::system_clock;

RawNode::RawNode(const test_support::AssentdProcess& node, const test_support::TlsPaths& tls)
    : channel_(grpc::CreateChannel(
          node.endpoint(),
          rpc::ChannelCredentials({tls.ca_file, tls.cert_file, tls.key_file}).value())),
      stub_(v1::TransactionService::NewStub(channel_)) {
  channel_->WaitForConnected(system_clock::now() + std::chrono::seconds(5));
}

std::string RawNode::Word::ToString() const {
  if (outcome != v1::OUTCOME_UNSPECIFIED) return call + ": " + v1::Outcome_Name(outcome);
  return call + ": refused: " + refusal;
}

template <typename Request, typename Reply, typename Method>
RawNode::Word RawNode::Call(const char* call, const Request& request, Reply* reply, Method method,
                            milliseconds limit) const {
  grpc::ClientContext context;
  context.set_deadline(system_clock::now() + limit);
  const grpc::Status status = (stub_.get()->*method)(&context, request, reply);
  Word word{.call = call};
  if (!status.ok()) {
    v1::ErrorDetail detail;
    word.refusal = rpc::FromGrpc(status, &detail).ToString();
    word.reason = detail.reason();
    word.leader = detail.leader();
  }
  return word;
}

RawNode::Word RawNode::Get(const std::string& gtrid, milliseconds limit) const {
  v1::GetRequest request;
  request.set_gtrid(gtrid);
  v1::GetReply reply;
  Word word = Call("Get", request, &reply, &v1::TransactionService::Stub::Get, limit);
  if (word.refusal.empty()) word.outcome = reply.transaction().outcome();
  return word;
}

RawNode::Word RawNode::Commit(const std::string& gtrid, milliseconds limit) const {
  v1::CommitRequest request;
  request.set_gtrid(gtrid);
  v1::CommitReply reply;
  Word word = Call("Commit", request, &reply, &v1::TransactionService::Stub::Commit, limit);
  if (word.refusal.empty()) word.outcome = reply.outcome();
  return word;
}

RawNode::Word RawNode::Rollback(const std::string& gtrid, milliseconds limit) const {
  v1::RollbackRequest request;
  request.set_gtrid(gtrid);
  v1::RollbackReply reply;
  Word word = Call("Rollback", request, &reply, &v1::TransactionService::Stub::Rollback, limit);
  if (word.refusal.empty()) word.outcome = reply.outcome();
  return word;
}

RawNode::Word RawNode::Begin(milliseconds limit) const {
  v1::BeginRequest request;
  v1::BeginReply reply;
  return Call("Begin", request, &reply, &v1::TransactionService::Stub::Begin, limit);
}

}  // namespace assent::system_tests
