// An application: transactions one after another, over some databases, with everything that real
// ones do: they ask again elsewhere when no answer comes, repeat themselves under a client key,
// change their mind, vanish. What they are told, the checker hears.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/simulation/system/sim_agent.h"

namespace assent::simulation {

class SimClient {
 public:
  SimClient(World& world, Place place, std::map<uint64_t, std::unique_ptr<SimNode>>& nodes,
            std::vector<std::unique_ptr<SimAgent>>& agents)
      : world_(world), place_(place), nodes_(nodes), agents_(agents) {}

  // Begins a transaction, and when that is over the next, until told to stop.
  void Run();
  void Stop() { running_ = false; }
  // Nothing is under way.
  bool idle() const { return idle_; }
  // From now on nothing fails: what begins must commit. One transaction; then idle.
  void RunCalm();
  // Asks it about what is or was under way lately.
  void AskNewLeader(uint64_t node);
  // Asks about every transaction it has had.
  void AskAgainAboutAll();
  size_t told() const { return told_; }
  size_t calm_committed() const { return calm_committed_; }

 private:
  struct Branch {
    SimAgent* agent = nullptr;
    bool writes = true;
    bool early = false;                           // Prepared with its work.
    bool held = false;                            // By this application.
    bool finishes = false;                        // By itself, once it is told.
    std::optional<SimDatabase::Session> session;  // Of a held one, unless it is lost sight of.
    bool unseen = false;  // It never learned whether this is prepared, and commits all the same.
    std::optional<Gid> gid;
    uint64_t holder = 0;  // Of a gid of Begin.
    std::optional<coordinator::Ticket> ticket;
    int attempts = 0;
  };
  struct Transaction {
    uint64_t number = 0;
    Gtrid gtrid;
    std::string key;
    std::vector<Branch> branches;
    std::vector<coordinator::Ticket> void_tickets;  // Of attempts that were replaced.
    bool named_at_begin = false;
    bool rolls_back = false;
    bool committing = false;
    int tries = 0;
    int redone = 0;
  };

  void Next();
  void Plan();
  void Begin();
  void Work(size_t branch);
  void Open(size_t branch);
  void Held(size_t branch);
  void PrepareLater(size_t branch, SimDatabase::Session session, Micros at_most);
  void AskVote(size_t branch);
  void EndIt();
  void Commit();
  void Committed(const coordinator::CommitAnswer& answer);
  void Rollback();
  void Over(bool committed);
  void LeaveSession(Branch& branch);
  void CloseSoon(SimDatabase& database, SimDatabase::Session session);
  void ReportOthers(bool unseen_only);
  void AskAnyAgent();
  // Get, Commit or Rollback: one of so many first ones.
  void AskAgain(const Gtrid& gtrid, uint64_t node, uint64_t kinds = 3);
  Micros Think();
  coordinator::AppHeldNews NewsOf(const Branch& branch) const;

  // `then` hears the answer, or null if none came in time; once. Ignored if the transaction is
  // over by then.
  template <typename Answer, typename Call>
  void Ask(uint64_t node, Call call, std::function<void(const coordinator::Answer<Answer>*)> then,
           Micros patience = kSecond);
  void Observe(uint64_t node, const coordinator::BeginCall& call,
               const coordinator::Answer<coordinator::BeginAnswer>& answer);
  template <typename Call, typename Answer>
  void Observe(uint64_t node, const Call& call, const coordinator::Answer<Answer>& answer);
  void Later(Micros delay, std::function<void()> what);
  uint64_t AnyNode();
  // Perhaps one that has just lost the lead.
  uint64_t AnotherNode();
  void TakeHint(const coordinator::Refusal& refusal);

  World& world_;
  const Place place_;
  std::map<uint64_t, std::unique_ptr<SimNode>>& nodes_;
  std::vector<std::unique_ptr<SimAgent>>& agents_;
  bool running_ = false;
  bool idle_ = true;
  bool calm_ = false;
  uint64_t leader_ = 0;  // As far as it knows.
  uint64_t next_ = 1;
  Transaction now_;
  std::vector<Gtrid> history_;
  size_t told_ = 0;
  size_t calm_committed_ = 0;
};

}  // namespace assent::simulation
