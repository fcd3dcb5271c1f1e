// A database of ours alone, in memory: the double that stands behind ResourceManager in the agent's
// tests. Deterministic; it keeps prepared branches across "restarts", ties them to their session if
// asked to, counts verbs, and fails when told.
//
// Statements that it understands: "write X" (an effect that commits or not), "select" (one row),
// "bulk" (4 MiB), "fail", "deadlock", "lose" (the connection ends), "block" (until cancelled or let
// go).
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "adapters/resource_manager.h"
#include "base/mutex.h"

namespace assent::agent {

// Thread-safe. Outlives its resource managers and sessions.
class FakeDatabase {
 public:
  struct Counts {
    int starts = 0;
    int prepares = 0;
    int commits = 0;  // Verbs that reached the database.
    int rollbacks = 0;
  };

  // Prepared branches stay tied to their session, as on MariaDB; the report says so.
  void SetAttached(bool attached) EXCLUDES(mutex_);
  // Down: no connection can be opened, and all that exist are lost. Prepared branches stay.
  void SetDown(bool down) EXCLUDES(mutex_);
  // The next that many verbs of the kind fail so.
  void FailPrepares(int count, adapters::WorkError error) EXCLUDES(mutex_);
  void FailStarts(int count, adapters::WorkError error) EXCLUDES(mutex_);
  void FailCommits(int count, adapters::FinishAnswer answer) EXCLUDES(mutex_);
  // The next commits reach the database, but their answers are lost with the session.
  void LoseCommitAnswers(int count) EXCLUDES(mutex_);
  // The next cancels come when no statement happens to run.
  void LoseCancels(int count) EXCLUDES(mutex_);
  void SetReport(adapters::ProbeReport report) EXCLUDES(mutex_);
  void LetGo() EXCLUDES(mutex_);  // Ends every "block".

  // Sessions of applications: connected under an id that was not used before; each may prepare
  // one branch with an effect, and end it. Ending fails, as in a database, if the branch is not
  // listed any more or the session is gone.
  uint64_t AppConnect() EXCLUDES(mutex_);
  bool AppConnected(uint64_t id) EXCLUDES(mutex_);
  void AppPrepare(uint64_t id, const Gid& gid, const std::string& effect) EXCLUDES(mutex_);
  bool AppFinish(uint64_t id, const Gid& gid, bool commit) EXCLUDES(mutex_);
  // How the branches that applications hold were looked up.
  struct LookCounts {
    int looks = 0;       // Questions to the database.
    size_t largest = 0;  // Branches in one.
    int role_checks = 0;
  };
  LookCounts look_counts() EXCLUDES(mutex_);
  // Looks wait until they are let go; `looking` tells that one does.
  void HoldLooks(bool hold) EXCLUDES(mutex_);
  bool looking() EXCLUDES(mutex_);
  // The next that many looks fail so.
  void FailLooks(int count, Status status) EXCLUDES(mutex_);
  // Of streamed results, since the start.
  uint64_t rows_given() EXCLUDES(mutex_);
  // This agent may finish what the role prepares.
  void AllowRole(const std::string& role) EXCLUDES(mutex_);

  // Somebody else's hand.
  void PutPrepared(const Gid& gid) EXCLUDES(mutex_);
  void TakePrepared(const Gid& gid) EXCLUDES(mutex_);

  std::set<std::string> Effects() EXCLUDES(mutex_);  // Committed ones.
  std::vector<Gid> Prepared() EXCLUDES(mutex_);
  Counts CountsOf(const Gid& gid) EXCLUDES(mutex_);
  int blocked() EXCLUDES(mutex_);
  int sessions() EXCLUDES(mutex_);  // Open work sessions.

  std::unique_ptr<adapters::ResourceManager> MakeManager(const std::string& cluster,
                                                         const std::string& resource);

 private:
  friend class FakeManager;
  friend class FakeWorkSession;
  friend class FakeFinishSession;

  struct PreparedState {
    std::vector<std::string> effects;
    const void* session = nullptr;  // To which it is tied.
    uint64_t app = 0;               // Or the application's, 0: none.
  };

  adapters::FinishAnswer Finish(const Gid& gid, bool commit, const void* session,
                                const adapters::Evidence& evidence, adapters::JournalWord word)
      EXCLUDES(mutex_);
  static adapters::Evidence EvidenceOf(const adapters::AppHeldBranch& branch);

  Mutex mutex_;
  CondVar changed_;
  bool attached_ GUARDED_BY(mutex_) = false;
  bool down_ GUARDED_BY(mutex_) = false;
  uint64_t restarts_ GUARDED_BY(mutex_) = 0;
  uint64_t let_go_ GUARDED_BY(mutex_) = 0;
  int blocked_ GUARDED_BY(mutex_) = 0;
  int sessions_ GUARDED_BY(mutex_) = 0;
  int fail_starts_ GUARDED_BY(mutex_) = 0;
  adapters::WorkError start_error_ GUARDED_BY(mutex_);
  int fail_prepares_ GUARDED_BY(mutex_) = 0;
  adapters::WorkError prepare_error_ GUARDED_BY(mutex_);
  int fail_commits_ GUARDED_BY(mutex_) = 0;
  adapters::FinishAnswer commit_answer_ GUARDED_BY(mutex_);
  int lose_commit_answers_ GUARDED_BY(mutex_) = 0;
  int lose_cancels_ GUARDED_BY(mutex_) = 0;
  adapters::ProbeReport report_ GUARDED_BY(mutex_){
      .server = "Fake 1.0", .identity = "fake-1", .prepared_max = 0, .findings = {}};
  std::map<Gid, PreparedState> prepared_ GUARDED_BY(mutex_);
  std::map<Gid, Counts> counts_ GUARDED_BY(mutex_);
  std::set<std::string> effects_ GUARDED_BY(mutex_);
  uint64_t apps_ GUARDED_BY(mutex_) = 0;
  std::set<uint64_t> connected_ GUARDED_BY(mutex_);
  LookCounts look_counts_ GUARDED_BY(mutex_);
  bool hold_looks_ GUARDED_BY(mutex_) = false;
  bool looking_ GUARDED_BY(mutex_) = false;
  uint64_t rows_given_ GUARDED_BY(mutex_) = 0;
  int fail_looks_ GUARDED_BY(mutex_) = 0;
  Status look_error_ GUARDED_BY(mutex_);
  std::set<std::string> roles_ GUARDED_BY(mutex_);
};

}  // namespace assent::agent
