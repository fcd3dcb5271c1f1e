// A database as PostgreSQL is one, or MariaDB (docs/protocols.md section 13): sessions die with a
// crash, prepared branches do not; each verb happens wholly or not at all.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "participant-agent/core/branch.h"
#include "participant-agent/core/recovery_scan.h"
#include "tests/simulation/system/system_checker.h"
#include "tests/simulation/system/timeline.h"

namespace assent::simulation {

class SimDatabase {
 public:
  using Session = uint64_t;

  // `ties`: as in MariaDB, a prepared branch is its session's until that has ended.
  SimDatabase(std::string name, bool ties, Timeline& timeline, SystemChecker& checker)
      : name_(std::move(name)), ties_(ties), timeline_(timeline), checker_(checker) {}

  const std::string& name() const { return name_; }
  bool ties() const { return ties_; }
  bool up() const { return up_; }
  void Crash();
  void Start() { up_ = true; }
  // Checkpoints, locks, a slow disk: what agents ask of it takes so much longer.
  void Stall(Micros time) { stalled_until_ = std::max(stalled_until_, timeline_.now() + time); }
  Micros StallsFor() const { return std::max(stalled_until_, timeline_.now()) - timeline_.now(); }

  // Begins a transaction that writes or not; nothing if the database is away.
  std::optional<Session> Begin(bool writes, bool apps = false);
  // False: the session is lost, and what was unprepared in it.
  bool Alive(Session session) const { return up_ && sessions_.contains(session); }
  // PREPARE TRANSACTION, or for one that wrote nothing its end.
  agent::PrepareAnswered Prepare(Session session, const Gid& gid);
  // Rolls back what is not prepared.
  void Close(Session session) { sessions_.erase(session); }

  // Where the verb is sent from: a session of the branch itself, or elsewhere, having ended an
  // application's session that the branch is tied to.
  struct Via {
    std::optional<Session> session = std::nullopt;
    bool kills_apps = false;
  };
  // COMMIT or ROLLBACK PREPARED by whoever holds a decision (section 10).
  agent::FinishAnswered Finish(const Gid& gid, agent::Decision decision,
                               const std::string& evidence, agent::JournalWord word,
                               const Via& via);
  // Nothing: it is away.
  std::optional<std::vector<agent::ListedBranch>> List() const;
  std::optional<std::string> Find(const Gid& gid) const;

  const std::map<Gid, std::string>& prepared() const { return prepared_; }

 private:
  const std::string name_;
  const bool ties_;
  Timeline& timeline_;
  SystemChecker& checker_;
  bool up_ = true;
  Micros stalled_until_ = 0;
  uint64_t next_ = 1;
  struct AtWork {
    bool wrote = false;
    bool apps = false;
  };
  std::map<Session, AtWork> sessions_;
  std::map<Gid, Session> tied_;
  std::map<Gid, std::string> prepared_;  // With the evidence, "xid:<n>".
  std::map<std::string, bool> xids_;     // Ended ones: committed or not.
};

}  // namespace assent::simulation
