#include "txlog/etcd/group.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/failpoint.h"
#include "base/random.h"
#include "etcd/rpc.grpc.pb.h"
#include "txlog/etcd/ask.h"
#include "txlog/etcd/core/batch.h"
#include "txlog/etcd/core/options.h"
#include "txlog/etcd/core/restoring.h"

namespace assent::txlog::etcd {
namespace {

// `identity`: what was read of that key.
Status Taken(const std::string& prefix, const std::vector<KeyValue>& identity) {
  if (identity.empty()) {
    return AlreadyExists("somebody has just made a group below " + prefix + " in etcd");
  }
  return AlreadyExists(
      "there is a group below " + prefix + " in etcd already (" + identity[0].value +
      "): start coordinators on it as they are started every day, or give another etcd_prefix");
}

// Nothing of any group is there.
Status CheckVacant(Endpoints& endpoints, const std::string& prefix) {
  const Layout layout(prefix);
  auto there = Ask(endpoints, {.then = {Range{layout.identity()}, Range{.key = layout.group_begin(),
                                                                        .end = layout.group_end(),
                                                                        .limit = 1,
                                                                        .keys_only = true}}});
  if (!there.ok()) return there.status();
  if (there->ranges.size() != 2) return Unavailable("etcd answered a read with something else");
  if (!there->ranges[0].empty()) return Taken(prefix, there->ranges[0]);
  if (there->ranges[1].empty()) return Ok();
  return FailedPrecondition(
      "below " + prefix + " in etcd is what somebody has left of a group (" +
      there->ranges[1][0].key +
      "): if it is of no use any more, remove all of it (etcdctl del --prefix " + prefix +
      "/), or give another etcd_prefix");
}

// `refused`: the answer to a step of a restore that did not hold.
Status NotRestored(const std::string& prefix, const Done& refused) {
  if (refused.ranges.size() != 2) return Unavailable("etcd answered a write with something else");
  if (!refused.ranges[0].empty()) return Taken(prefix, refused.ranges[0]);
  return FailedPrecondition("somebody has removed what this restore had written below " + prefix +
                            ", or begun a group there: see what else works on that prefix, then "
                            "restore once more");
}

Status CheckGroup(const std::string& prefix, const Identity& identity) {
  if (Status s = CheckPrefix(prefix); !s.ok()) return s;
  if (ParseIdentity(Text(identity)) == identity) return Ok();
  return InvalidArgument("a cluster's UUID and name are words");
}

}  // namespace

Status CheckPrefix(const std::string& prefix) {
  const bool fine = std::all_of(prefix.begin(), prefix.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '/';
  });
  if (prefix.empty() || prefix.size() > 200 || !fine || prefix.front() == '/' ||
      prefix.back() == '/') {
    return InvalidArgument("prefix \"" + prefix +
                           "\": 1 to 200 characters of [A-Za-z0-9_./-], with no slash at its ends");
  }
  return Ok();
}

Status BootstrapGroup(const ClientOptions& options, const std::string& prefix,
                      const Identity& identity, std::string first_record) {
  if (Status s = CheckGroup(prefix, identity); !s.ok()) return s;
  if (first_record.empty() || first_record.size() > kRecordBytesMax) {
    return InvalidArgument("the first record is empty, or too long");
  }
  const Layout layout(prefix);
  const Batch first{.term = 1, .first_index = 1, .records = {std::move(first_record)}};
  Txn txn;
  // A log without an identity is what somebody has left of another group.
  txn.compares = {{.key = layout.identity()}, {.key = layout.term()}, {.key = layout.Log(1)}};
  txn.then = {Put{layout.identity(), Text(identity)}, Put{layout.term(), TermText(1)},
              Put{layout.Log(1), Encode(first)}};
  txn.otherwise = {Range{layout.identity()}};
  auto endpoints = Endpoints::Open(options);
  if (!endpoints.ok()) return endpoints.status();
  if (Status s = CheckVacant(**endpoints, prefix); !s.ok()) return s;
  auto done = Ask(**endpoints, txn);
  if (!done.ok()) return done.status();
  if (done->succeeded) return Ok();
  return Taken(prefix, done->ranges.empty() ? std::vector<KeyValue>() : done->ranges[0]);
}

Status RestoreGroup(const ClientOptions& options, const std::string& prefix,
                    const Identity& identity, std::string state) {
  if (Status s = CheckGroup(prefix, identity); !s.ok()) return s;
  auto endpoints = Endpoints::Open(options);
  if (!endpoints.ok()) return endpoints.status();
  if (Status s = CheckVacant(**endpoints, prefix); !s.ok()) return s;
  const Restoring restoring(prefix, identity, std::move(state), SystemRandom64(),
                            Options{}.chunk_bytes);
  Done last;
  for (size_t i = 0; i < restoring.steps(); ++i) {
    ASSENT_FAILPOINT("etcd.restore.step");
    auto done = Ask(**endpoints, restoring.Step(i));
    if (!done.ok()) return done.status();
    if (!done->succeeded && !restoring.IsOurs(*done)) return NotRestored(prefix, *done);
    last = std::move(*done);
  }
  // What it leaves costs space and nothing else, until the first snapshot of a leader.
  (void)Ask(**endpoints, restoring.Sweep(last));
  return Ok();
}

Result<Identity> ReadIdentity(Endpoints& endpoints, const std::string& prefix) {
  const Layout layout(prefix);
  auto done = Ask(endpoints, {.then = {Range{layout.identity()}}});
  if (!done.ok()) return done.status();
  if (done->ranges.empty() || done->ranges[0].empty()) {
    return NotFound("there is no group below " + prefix +
                    " in etcd: bootstrap it first, or correct etcd_prefix");
  }
  std::optional<Identity> identity = ParseIdentity(done->ranges[0][0].value);
  if (!identity)
    return DataLoss(layout.identity() + " in etcd is no identity but '" +
                    done->ranges[0][0].value.substr(0, 100) +
                    "': something else writes there; give another etcd_prefix");
  return *identity;
}

void RevokeLease(const ClientOptions& options, LeaseId lease) {
  auto endpoints = Endpoints::Open(options);
  if (!endpoints.ok()) return;
  for (size_t tries = 0; tries < (*endpoints)->size(); ++tries) {
    size_t which = 0;
    auto channel = (*endpoints)->Current(&which);
    (*endpoints)->Failed(which);
    if ((*endpoints)->uses_token() && !GetToken(**endpoints, channel).ok()) continue;
    grpc::ClientContext context;
    (void)(*endpoints)->Prepare(context);
    etcdserverpb::LeaseRevokeRequest request;
    request.set_id(lease);
    etcdserverpb::LeaseRevokeResponse response;
    if (etcdserverpb::Lease::NewStub(channel)->LeaseRevoke(&context, request, &response).ok()) {
      return;
    }
  }
}

}  // namespace assent::txlog::etcd
