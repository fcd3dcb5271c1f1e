#include "txlog/etcd/convert.h"

#include <string>
#include <string_view>
#include <utility>

#include "base/rpc/connect_hint.h"

namespace assent::txlog::etcd {
namespace {

void Set(etcdserverpb::RangeRequest& to, const Range& from) {
  to.set_key(from.key);
  to.set_range_end(from.end);
  to.set_limit(from.limit);
  to.set_revision(from.revision);
  to.set_keys_only(from.keys_only);
}

void Add(google::protobuf::RepeatedPtrField<etcdserverpb::RequestOp>& to, const Operation& one) {
  etcdserverpb::RequestOp& op = *to.Add();
  if (const auto* put = std::get_if<Put>(&one)) {
    op.mutable_request_put()->set_key(put->key);
    op.mutable_request_put()->set_value(put->value);
    op.mutable_request_put()->set_lease(put->lease);
  } else if (const auto* gone = std::get_if<Delete>(&one)) {
    op.mutable_request_delete_range()->set_key(gone->key);
    op.mutable_request_delete_range()->set_range_end(gone->end);
  } else {
    Set(*op.mutable_request_range(), std::get<Range>(one));
  }
}

KeyValue FromProto(etcdserverpb::KeyValue& from) {
  return {std::move(*from.mutable_key()), std::move(*from.mutable_value()), from.create_revision(),
          from.mod_revision()};
}

}  // namespace

etcdserverpb::TxnRequest ToProto(const Txn& txn) {
  etcdserverpb::TxnRequest request;
  for (const Compare& one : txn.compares) {
    etcdserverpb::Compare& compare = *request.add_compare();
    compare.set_key(one.key);
    compare.set_result(one.is == Compare::Is::kEqual ? etcdserverpb::Compare::EQUAL
                                                     : etcdserverpb::Compare::GREATER);
    if (one.what == Compare::What::kCreateRevision) {
      compare.set_target(etcdserverpb::Compare::CREATE);
      compare.set_create_revision(one.revision);
    } else {
      compare.set_target(etcdserverpb::Compare::MOD);
      compare.set_mod_revision(one.revision);
    }
  }
  for (const Operation& one : txn.then) Add(*request.mutable_success(), one);
  for (const Operation& one : txn.otherwise) Add(*request.mutable_failure(), one);
  return request;
}

Done FromProto(etcdserverpb::TxnResponse& response) {
  Done done{.succeeded = response.succeeded(),
            .revision = response.header().revision(),
            .member = response.header().member_id()};
  for (etcdserverpb::ResponseOp& op : *response.mutable_responses()) {
    if (!op.has_response_range()) continue;
    std::vector<KeyValue>& range = done.ranges.emplace_back();
    for (auto& kv : *op.mutable_response_range()->mutable_kvs()) range.push_back(FromProto(kv));
  }
  return done;
}

std::vector<Change> FromProto(etcdserverpb::WatchResponse& response) {
  std::vector<Change> changes;
  for (etcdserverpb::Event& event : *response.mutable_events()) {
    changes.push_back(
        {event.type() == etcdserverpb::Event::DELETE, FromProto(*event.mutable_kv())});
  }
  return changes;
}

bool WantsToken(const grpc::Status& status) {
  if (status.error_code() == grpc::StatusCode::UNAUTHENTICATED) return true;
  const std::string message = status.error_message();
  return message == "etcdserver: user name is empty" ||
         message == "etcdserver: revision in header is old";
}

Outcome Classify(const grpc::Status& status) {
  using Why = NotDone::Why;
  const std::string& message = status.error_message();
  const auto says = [&](std::string_view words) { return message.find(words) != message.npos; };
  const bool etcds_own = message.rfind("etcdserver: ", 0) == 0;
  if (etcds_own && WantsToken(status)) return NotDone{Why::kBusy, message};
  switch (status.error_code()) {
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      if (etcds_own && says("space exceeded")) return NotDone{Why::kNoSpace, message};
      if (etcds_own && says("too many requests")) return NotDone{Why::kBusy, message};
      // The server's words (grpc-go); ours, of an answer that is too large, begin otherwise.
      if (message.rfind("grpc: received message larger than max", 0) == 0) {
        return NotDone{Why::kTooLarge, message};
      }
      break;
    case grpc::StatusCode::INVALID_ARGUMENT:
      if (etcds_own && says("request is too large")) return NotDone{Why::kTooLarge, message};
      [[fallthrough]];
    case grpc::StatusCode::NOT_FOUND:
    case grpc::StatusCode::OUT_OF_RANGE:
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::FAILED_PRECONDITION:
      if (etcds_own) return NotDone{Why::kRefused, message};
      break;
    case grpc::StatusCode::UNAVAILABLE:
      if (rpc::NeverConnected(message)) {
        return NotDone{Why::kBusy, message + rpc::ConnectHint(message)};
      }
      break;
    default:
      break;
  }
  return NoAnswer{message};
}

}  // namespace assent::txlog::etcd
