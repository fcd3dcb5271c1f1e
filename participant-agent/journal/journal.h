// The agent's journal: who the agent is, which cluster it belongs to, and which commits it was
// about to do (docs/protocols.md, "Log records"). In mode A the databases are the agent's memory of
// branches; this file only tells "I did it" from "somebody else did".
//
// One file, `agent.journal`, and a lock file beside it. Not thread-safe: the driver thread owns it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "participant-agent/journal/journal_format.h"

namespace assent::agent {

// The cluster that this agent belongs to, noted on first contact.
struct ClusterPin {
  std::string cluster;  // Its name, as in gtrids.
  std::string uuid;
  uint64_t group_incarnation = 0;
  bool operator==(const ClusterPin&) const = default;
};

class Journal {
 public:
  // What was said last of a gid that the group has not yet forgotten.
  enum class Word : uint8_t { kNothing, kWill, kDone };

  // What this process has written so far.
  struct Counts {
    uint64_t forced_writes = 0;  // Of the whole file: at start, at a pin, when it is compacted.
    uint64_t wills = 0;
    uint64_t dones = 0;
    uint64_t forgets = 0;
  };

  // Opens (or creates) the journal in `directory`, cuts a torn end, rewrites it compactly and notes
  // a fresh agent incarnation. All of it is on disk when this returns.
  //
  // ALREADY_EXISTS: another process uses the directory.
  // FAILED_PRECONDITION: the directory belongs to another agent, or is not writable.
  // DATA_LOSS: damaged elsewhere than at its end; the message names file, offset and remedy.
  static Result<std::unique_ptr<Journal>> Open(const std::string& directory,
                                               const std::string& agent_id);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  uint64_t agent_incarnation() const { return incarnation_; }
  const std::optional<ClusterPin>& pin() const { return pin_; }

  // Forced: on disk when it returns OK.
  Status Pin(const ClusterPin& pin);

  // Unforced: they survive the death of this process, not that of the machine. A failed write ends
  // the process: without WILL, a branch that was committed could later look like a hazard.
  void Will(const Gid& gid);
  void Done(const Gid& gid);
  void Forget(const Gid& gid);

  Word WordOn(const Gid& gid) const;
  // Those of kDone.
  std::vector<Gid> AllDone() const;
  size_t remembered() const { return words_.size(); }
  size_t file_bytes() const { return file_bytes_; }
  const Counts& counts() const { return counts_; }

  // The file is rewritten once it holds more than this and less than half of it is alive.
  static constexpr size_t kCompactBytes = 4 << 20;

 private:
  Journal(std::string directory, std::string agent_id);

  Status Lock();
  Status Load();
  // Writes all that is alive to a new file, forces it, and puts it in the old one's place.
  Status Rewrite();
  void Append(const JournalRecord& record);
  void CompactIfLarge();

  const std::string directory_;
  const std::string path_;
  const std::string agent_id_;
  int lock_fd_ = -1;
  int fd_ = -1;
  uint64_t incarnation_ = 0;
  std::optional<ClusterPin> pin_;
  std::unordered_map<Gid, Word> words_;
  Counts counts_;
  size_t file_bytes_ = 0;
  size_t live_bytes_at_rewrite_ = 0;
};

}  // namespace assent::agent
