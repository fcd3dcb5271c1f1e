// Phase two and recovery.
//
// How "no such gid" (42704) is answered. First the server must be a primary, and for evidence that
// names one, the one named: else ask again, on a new session (a name may lead to another server
// after a failover). Then the listing: listed is busy. Then, by the verb:
//
//   evidence               pg_xact_status   Commit                        Rollback
//   with this xid          committed        kDone                         kHeuristicCommit
//                          aborted, or      kHeuristicRollback            kDone
//                          in the future
//                          in progress      kTransient                    kTransient
//                          forgotten        journal WILL or DONE: kDone   kHazard
//                                           journal silent: kHazard
//   none                   -                as above                      kDone
//   not readable           -                as above                      kHazard
//
// "In the future" is an xid that this server has not reached, so nothing here was done by it: the
// server came back from a backup, or took over without the end of the log. "Committed" on another
// timeline than the vote's counts as forgotten: the xid may have been lost, and given to another.
// (A server set back by copying its disk keeps the timeline; nothing here can notice that.)
//
// Rollback without evidence of a gid that is not there is kDone, and no hazard: who got a YES holds
// its evidence, so without evidence there was no YES from here; the branch never prepared, or was
// rolled back by an earlier duplicate of the same verb (protocols.md 4.2, GONE). A caller that
// holds evidence must pass it, or a commit by hand goes unnoticed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adapters/postgres/connection.h"
#include "adapters/resource_manager.h"

namespace assent::adapters::postgres {

class PostgresFinishSession final : public FinishSession {
 public:
  PostgresFinishSession(const ConnectOptions& options, std::unique_ptr<Connection> connection);

  FinishAnswer Commit(const Gid& gid, const Evidence& evidence, JournalWord journal) override;
  FinishAnswer Rollback(const Gid& gid, const Evidence& evidence) override;
  Result<std::vector<PreparedBranch>> Recover() override;
  // One round trip for any number of branches; two where commits wait for a synchronous standby.
  Result<std::vector<PrepareAnswer>> LookUp(const std::vector<AppHeldBranch>& branches) override;
  Evidence SessionEvidence(const AppHeldBranch& branch) override;
  Status CheckRole(const std::string& role) override;

 private:
  // One verb on one gid, as it goes through the functions below.
  struct Task {
    Decision decision;
    const Gid& gid;
    const Evidence& evidence;
    JournalWord journal;
    std::string what;  // "COMMIT PREPARED of assent:... on orders_pg"
  };

  FinishAnswer Do(const Task& task);
  // The gid is not there: why?
  FinishAnswer ExplainAbsence(const Task& task);
  FinishAnswer FromStatus(const Task& task, const XidEvidence& evidence, const std::string& status);
  FinishAnswer WithoutStatus(const Task& task, const std::string& why);
  FinishAnswer Answer(const Task& task, Finish finish, const std::string& detail,
                      const std::string& code = "") const;
  FinishAnswer AskAgain(const Task& task, const Failure& failure) const;

  // SET ROLE to the role that owns the branch, and back. The role stays until another is needed:
  // branches of one application come one after the other. What BecomeOwner returns is what is
  // missing; empty: it is done, or the branch is not listed any more.
  Outcome<std::string> BecomeOwner(const Gid& gid);
  std::optional<Failure> BecomeSelf();

  // Why nothing may be concluded from what this server lacks; empty: it may.
  Outcome<std::string> WhyNotPrimary();
  std::string WhyStandby() const;
  // UNAVAILABLE unless the synchronous standby has all that was written up to now.
  Status ConfirmReplicated();

  const std::string cluster_;
  const std::string resource_;
  std::unique_ptr<Connection> connection_;
  bool look_up_prepared_ = false;
  std::string role_;    // Current, quoted; empty: the user's own.
  ServerFacts server_;  // Once WhyNotPrimary() has asked.
};

}  // namespace assent::adapters::postgres
