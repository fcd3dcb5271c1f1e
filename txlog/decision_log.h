// The face of the durable decision log: opaque records, appended in order, applied in order.
//
// Behind this door stands one engine at a time: a group of one node or several, each with its own
// disk (txlog/replicated), or one whose log lives in etcd (txlog/etcd). Nothing above may depend on
// which. txlog never parses a record.
//
// Words are those of the Raft paper (Ongaro, Ousterhout 2014): term, index, applied, snapshot.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"

namespace assent::txlog {

using Term = uint64_t;
using Index = uint64_t;

// The largest record that Propose takes. Larger ones are refused, nothing written.
inline constexpr size_t kRecordBytesMax = 1 << 20;

// What became of a proposal.
enum class Fate {
  kDurable,  // A majority has forced the record to disk: it will be applied, everywhere, in this
             // order. That is not yet a decision: see Listener::OnApplied.
  kRefused,  // Nothing was written, and never will be. Aborting is safe.
  kInDoubt,  // Leadership was lost midway; only what is applied later can tell.
};

// One entry of the log that has taken effect. An empty record is the log's own: the no-op that a
// leader commits at the start of its term.
struct Applied {
  Index index = 0;
  Term term = 0;
  std::string record;
};

// A node of the group.
struct Member {
  uint64_t id = 0;           // From 1. Never given to another node, not even after removal.
  std::string peer_address;  // Where the other nodes find it, "host:port".
  std::string address;       // Where clients and agents find it.
  bool voter = true;         // Otherwise a learner: it gets every entry and counts for nothing.

  bool operator==(const Member&) const = default;
};

// Who belongs to the group and who leads it, as far as this node knows.
struct Group {
  Term term = 0;
  uint64_t leader = 0;  // 0: unknown, or nobody.
  std::vector<Member> members;

  // The leader's own record, if it is known.
  const Member* Leader() const {
    for (const Member& member : members) {
      if (member.id == leader) return &member;
    }
    return nullptr;
  }

  bool operator==(const Group&) const = default;
};

// How far a member has come, as the leader sees it.
struct MemberProgress {
  Member member;
  Index match_index = 0;  // It holds every entry up to here, durably.
  bool reachable = true;  // It answered within an election timeout.
};
struct GroupProgress {
  Group group;
  Index last_index = 0;
  Index commit_index = 0;
  std::vector<MemberProgress> members;
};

// One step of single-server membership change (Ongaro's thesis, section 4.1): the next is refused
// until this one is committed.
struct MembershipChange {
  enum class Kind {
    kAddLearner,  // `member` joins, without a vote.
    kPromote,     // The learner member.id becomes a voter; refused until it has caught up.
    kRemove,  // member.id leaves. A leader that removes itself steps down once that is committed.
  };
  Kind kind = Kind::kAddLearner;
  Member member;
};

// What the log tells its owner. All calls come from the log thread (or one that does its work just
// then: never two at a time), in log order, and must not block: post them to the driver's queue.
class Listener {
 public:
  virtual ~Listener() = default;

  // Everything before is replaced by this state (as given to SaveSnapshot once). Only at start, or
  // when a follower was too far behind.
  virtual void OnSnapshot(Index index, Term term, std::string state) = 0;

  // Entries took effect, in order, without gap. A proposal's `done(kDurable)` comes before or after
  // the OnApplied that carries its record; only the latter decides anything.
  virtual void OnApplied(std::vector<Applied> entries) = 0;

  // This node leads in `term`, or (leader = false) no longer does. Leadership is announced as soon
  // as it is won; the no-op of that term arrives later through OnApplied and only then is every
  // entry of older terms known here.
  virtual void OnLeadership(Term term, bool leader) = 0;

  // The log has grown past its limit since the last snapshot: call SaveSnapshot when convenient.
  virtual void OnSnapshotWanted() = 0;

  // The members, or what is known of the leader, have changed. Before the first OnLeadership at
  // least once.
  virtual void OnGroup(Group /*group*/) {}
};

// Durable, ordered, replicated.
//
// Thread-safety: every call from the driver thread. Callbacks run on the log thread and must not
// block. Destruction stops the log thread; proposals under way then end with kInDoubt.
class DecisionLog {
 public:
  virtual ~DecisionLog() = default;

  // Starts to append `record` (opaque bytes, 1 to kRecordBytesMax); `done` runs once.
  //
  // The record is meant for `term`: in any other term, or when this node does not lead, it is
  // refused. kInDoubt is settled by the applied stream: once an entry or snapshot of a later term
  // is applied and this record was not among the applied ones, it never will be. Truncation here
  // proves nothing (docs/protocols.md).
  //
  // Errors: none but the three fates. A full disk refuses. A failed fsync ends the process, since
  // the page cache can't be trusted afterwards.
  virtual void Propose(std::string record, Term term, std::function<void(Fate)> done) = 0;

  // As Propose, but alone it begins no append: it goes behind the record of the next Propose and,
  // where the engine can, shares its forced write. For what nobody waits for. An engine may take it
  // at once.
  virtual void ProposeWithNext(std::string record, Term term, std::function<void(Fate)> done) {
    Propose(std::move(record), term, std::move(done));
  }

  // Runs `done` once everything committed before this call has been handed to OnApplied and this
  // node has proved that it still leads (read index). UNAVAILABLE: it does not; ask the leader.
  virtual void ReadBarrier(std::function<void(Status)> done) = 0;

  // Keeps `state`, which reflects every entry up to and including `index` (already applied), and
  // drops the entries that it covers. A failure to write keeps the old snapshot and all entries and
  // is logged.
  virtual void SaveSnapshot(Index index, std::string state) = 0;

  // Runs `done` once the change is committed. Only a leader can do it.
  // UNAVAILABLE: this node does not lead (ask the leader), or lost the lead meanwhile (list the
  // members to learn the outcome). FAILED_PRECONDITION: another change is under way, the member is
  // not in the state that the change needs, or the group would be left without a voter; the message
  // says which. ALREADY_EXISTS: the id belongs to a member (of former ones nobody
  // knows: never use an id twice). NOT_FOUND: no such member.
  virtual void ChangeMembership(MembershipChange change, std::function<void(Status)> done) = 0;

  // Hands the lead to voter `to` (0: whoever is furthest). No proposal is taken meanwhile.
  // OK: this node no longer leads. UNAVAILABLE: it does not lead, or the other did not take over
  // within an election timeout; this node then leads on. NOT_FOUND: no such voter.
  virtual void TransferLeadership(uint64_t to, std::function<void(Status)> done) = 0;

  // What the leader knows of everybody; a follower knows only the group.
  virtual void ListMembers(std::function<void(GroupProgress)> done) = 0;
};

}  // namespace assent::txlog
