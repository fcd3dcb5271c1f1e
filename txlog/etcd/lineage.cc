#include "txlog/etcd/lineage.h"

#include <chrono>

#include "etcd/rpc.grpc.pb.h"
#include "txlog/etcd/ask.h"

namespace assent::txlog::etcd {
namespace {

std::string ForPeople(const Lineage& lineage) {
  return "etcd " + std::to_string(lineage.cluster_id) + " in its raft term " +
         std::to_string(lineage.raft_term) + " at entry " + std::to_string(lineage.raft_index);
}

}  // namespace

Result<Lineage> CheckLineage(Endpoints& endpoints, const std::string& prefix) {
  const std::string key = Layout(prefix).lineage();
  auto done = Ask(endpoints, {.then = {Range{key}}});
  if (!done.ok()) return done.status();
  if (done->ranges.size() != 1) return Unavailable("etcd answered a read with something else");

  // Of the member that has just answered. Where something else stands between, it may be another
  // one, which may be behind: then the id is all that can be compared.
  size_t which = 0;
  auto channel = endpoints.Current(&which);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + endpoints.options().request_timeout);
  etcdserverpb::StatusResponse response;
  const grpc::Status status =
      etcdserverpb::Maintenance::NewStub(channel)->Status(&context, {}, &response);
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) return Lineage{};
  if (!status.ok()) return ToStatus(status, endpoints.address(which));
  const Lineage now{response.header().cluster_id(), response.raft_term(), response.raft_index()};

  if (done->ranges[0].empty()) return now;  // Nobody has led yet.
  const std::optional<Lineage> before = ParseLineage(done->ranges[0][0].value);
  if (!before) {
    return DataLoss(key + " in etcd names no etcd but '" + done->ranges[0][0].value.substr(0, 100) +
                    "': something else writes there; give another etcd_prefix");
  }
  const bool same = response.header().member_id() == done->member;
  if (same ? Continues(*before, now) : now.cluster_id == before->cluster_id) return now;
  return FailedPrecondition(
      "the group below " + prefix + " was in " + ForPeople(*before) + ", and is in " +
      ForPeople(now) +
      " now: etcd was restored from a snapshot of its own, and may have forgotten decisions that "
      "databases have carried out. Restore a backup of assentctl below another etcd_prefix "
      "(assentd --restore). Only if all coordinators had been stopped before that snapshot was "
      "taken, nothing is lost and they may go on: etcdctl del " +
      key);
}

}  // namespace assent::txlog::etcd
