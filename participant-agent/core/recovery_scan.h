// What a listing of prepared branches means (docs/protocols.md 4.2 and 4.3): which to ask the
// coordinator about, which to leave, which are gone. Pure: no database connection in sight.
//
// Nothing is ever rolled back by age. Age only trades questions against delay.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"

namespace assent::agent {

struct ListedBranch {
  Gid gid;
  std::string evidence;
};

// What the agent itself knows of a gid when the listing arrives.
enum class Knowledge : uint8_t {
  kNothing,
  kAtWork,     // Open or preparing: its vote will come, or it rolls back.
  kPrepared,   // Voted yes; waits for its decision.
  kFinishing,  // The decision is being carried out.
  kOver,       // Finished or gone, as far as this agent knows.
};

struct Known {
  Knowledge knowledge = Knowledge::kNothing;
  MonotonicTime since;  // Since when it is so.
};

// What the coordinator said last when asked about a gid.
enum class LastAnswer : uint8_t { kNone, kRetry, kPending, kLeaveAlone };

struct ScanVerdict {
  std::vector<ListedBranch> inquire;
  // Over as far as this agent knows, and yet listed: the database came back from a backup or failed
  // over. The agent's memory of it is wrong and must be dropped; it is among `inquire` too.
  std::vector<Gid> relisted;
  // Gone, and not by this agent's doing: listed before and not now, or voted yes and not listed. If
  // the agent still waits for its decision, it is among `inquire` too, again and again: whoever
  // ended it may have been told the decision, and then nobody else will tell us.
  std::vector<Gid> gone;
};

// One for each resource. Not thread-safe.
class RecoveryScan {
 public:
  // `inquiry_age`: how long a prepared branch may wait unheard before the coordinator is asked.
  explicit RecoveryScan(Duration inquiry_age) : inquiry_age_(inquiry_age) {}

  // A complete listing that began at `began`. `know` tells what the agent knows of a gid.
  // `waiting`: what it voted yes for and waits for the decision of, listed or not. `ask_all`: a
  // leader said hello; it is asked about every prepared branch, whatever its age.
  template <typename Know>
  ScanVerdict Listed(const std::vector<ListedBranch>& listed, MonotonicTime began, bool ask_all,
                     Know&& know, const std::vector<ListedBranch>& waiting = {}) {
    std::map<Gid, Known> known;
    for (const ListedBranch& branch : listed) known[branch.gid] = know(branch.gid);
    for (const ListedBranch& branch : waiting) known.try_emplace(branch.gid, know(branch.gid));
    for (const auto& [gid, seen] : seen_) known.try_emplace(gid, know(gid));
    return Judge(listed, waiting, began, ask_all, known);
  }

  // An inquiry was answered with anything but a decision.
  void Answered(const Gid& gid, LastAnswer answer, MonotonicTime now);

  // The agent ended it and drops its memory of it: neither its absence nor its presence in a
  // listing that is under way is news.
  void Ended(const Gid& gid, MonotonicTime now) {
    seen_.erase(gid);
    ended_[gid] = now;
  }

  // Whether the last listing had it.
  bool Lists(const Gid& gid) const { return seen_.contains(gid); }

  // What the last listing told of it; empty if it was not listed.
  std::string EvidenceOf(const Gid& gid) const {
    auto it = seen_.find(gid);
    return it == seen_.end() ? "" : it->second.evidence;
  }

  // Prepared branches at the last listing.
  size_t listed_count() const { return seen_.size(); }

 private:
  struct Seen {
    MonotonicTime first;
    MonotonicTime asked{};  // Last time; the clock's zero: never.
    LastAnswer answer = LastAnswer::kNone;
    std::string evidence;
  };

  ScanVerdict Judge(const std::vector<ListedBranch>& listed,
                    const std::vector<ListedBranch>& waiting, MonotonicTime began, bool ask_all,
                    const std::map<Gid, Known>& known);
  bool ShallAsk(const Seen& seen, const Known& known, MonotonicTime now) const;

  const Duration inquiry_age_;
  std::map<Gid, Seen> seen_;
  std::map<Gid, Seen> missing_;                   // Waiting, and not listed.
  std::unordered_map<Gid, MonotonicTime> ended_;  // Since the last listing began.
};

}  // namespace assent::agent
