// The decision log of a group of nodes: a record is durable once a majority of the voters has
// forced it to disk (Raft; docs/raft.md). A group of one is a group.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "txlog/decision_log.h"
#include "txlog/replicated/options.h"
#include "txlog/storage/format.h"
#include "txlog/transport/transport.h"

namespace assent::txlog {

// For NodeIdentity::first_members: the same in whatever order they are listed.
uint64_t DigestOf(const std::vector<Member>& members);

// Makes `directory` (which must not exist, or be empty) the home of one of the first members of a
// new group. The log begins with `first_record` and `members`; each of them must be given exactly
// the same of both, and the same cluster_uuid.
//
// INVALID_ARGUMENT: identity, record or members are not allowed. FAILED_PRECONDITION: the directory
// is not empty, or another process works in it. RESOURCE_EXHAUSTED, UNAVAILABLE: the disk's words;
// delete what is there and try again.
// identity.first_members is DigestOf(members), so that nodes that were given different ones notice.
Status BootstrapGroup(Disk& disk, const std::string& directory, const NodeIdentity& identity,
                      std::string first_record, const std::vector<Member>& members);

// The same for the only member of a group that begins with `state` instead of a first record: its
// log has applied that already, as if from a snapshot. For a group that is restored from a backup:
// identity.group_incarnation tells its nodes from those of the group before, and whoever joins it
// must be given the same. `state` is of any size.
Status RestoreGroup(Disk& disk, const std::string& directory, const NodeIdentity& identity,
                    std::string_view state, const Member& member);

// The same for a node that joins a group later: its log is empty, and it does nothing of its own
// until a leader has added it. Never with the id of a node that was a member before.
Status BootstrapJoining(Disk& disk, const std::string& directory, const NodeIdentity& identity);

// See DecisionLog for the calls. Here every one of them may come from any thread, callbacks
// included: it only posts.
class ReplicatedLog final : public DecisionLog {
 public:
  // Reads and repairs the log and starts to listen for peers. Then the log thread starts and tells
  // `listener`, in this order: the snapshot if there is one, the group, and whatever this node
  // learns to be committed. `listener` must outlive the log.
  //
  // `transport`: where to listen and with which certificates; null for a group of one that no node
  // will ever join. Who we are in it is taken from the directory.
  //
  // FAILED_PRECONDITION: not bootstrapped, in use by another process, of another cluster or node,
  // or of a newer format. DATA_LOSS: damaged; names file, offset and remedy. INVALID_ARGUMENT: an
  // option. UNAVAILABLE: the disk's words. Also those of Transport::Start.
  static Result<std::unique_ptr<ReplicatedLog>> Open(ReplicatedLogOptions options,
                                                     const TransportOptions* transport,
                                                     Listener& listener);

  // Takes up what was asked for before, which a group of one finishes. What is not over then, or
  // was to go with a next record, ends with kInDoubt or UNAVAILABLE.
  ~ReplicatedLog() override;

  const NodeIdentity& identity() const;
  // Null without a transport.
  const TransportMetrics* transport_metrics() const;
  // Where it listens for peers; 0 without a transport.
  uint16_t port() const;

  void Propose(std::string record, Term term, std::function<void(Fate)> done) override;
  void ProposeWithNext(std::string record, Term term, std::function<void(Fate)> done) override;
  void ReadBarrier(std::function<void(Status)> done) override;
  void SaveSnapshot(Index index, std::string state) override;
  void ChangeMembership(MembershipChange change, std::function<void(Status)> done) override;
  void TransferLeadership(uint64_t to, std::function<void(Status)> done) override;
  void ListMembers(std::function<void(GroupProgress)> done) override;

 private:
  class Impl;
  explicit ReplicatedLog(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace assent::txlog
