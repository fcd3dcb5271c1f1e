// An agent: the real cores (branch, recovery scan) with the duties of its driver done plainly, as
// docs/protocols.md 4.2, 5 and 10 say. One resource each. Its memory dies with it; its journal dies
// only as far as it was not forced, which is all of it but the incarnation.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "participant-agent/core/branch.h"
#include "participant-agent/core/opened_gids.h"
#include "participant-agent/core/recovery_scan.h"
#include "tests/simulation/system/agent_link.h"
#include "tests/simulation/system/sim_database.h"

namespace assent::simulation {

// How a call at an agent's door ends. Nothing in it: refused, or not understood in time.
struct OpenReply {
  std::optional<Gid> gid;
  // The work was to prepare, and did.
  std::optional<coordinator::Ticket> ticket;
};

class SimAgent {
 public:
  SimAgent(World& world, Place place, SimDatabase& database,
           std::map<uint64_t, std::unique_ptr<SimNode>>& nodes);

  const std::string& resource() const { return database_.name(); }
  SimDatabase& database() { return database_; }
  Place place() const { return place_; }
  bool up() const { return life_ != nullptr; }
  void Start();
  // With `machine` its journal loses what was not forced.
  void Crash(bool machine);
  SimClock& clock() { return clock_; }
  void CutOneLink();
  // Stands still so long, as after SIGSTOP, and then goes on with what has gathered.
  void Freeze(Micros time);
  bool frozen() const { return up() && world_.timeline.now() < life_->frozen_until; }
  // At once, or in its turn once it goes on; never if it dies before.
  void WhenAwake(std::function<void()> what);

  // ---- Its door: `done` runs once at most, here ----
  struct OpenCall {
    Gtrid gtrid;
    std::optional<Gid> gid;  // From Begin.
    uint64_t holder = 0;     // Of gid: who may open it.
    bool writes = true;
    bool prepares = false;
    // Enlist: the application's session works.
    std::optional<coordinator::AppHeldNews> app_held;
    std::optional<Gid> again;
    std::function<void(const OpenReply&)> done;
  };
  void Open(OpenCall call);
  // Of an app-held branch: its ticket, or nothing.
  void Vote(const Gid& gid, std::function<void(std::optional<coordinator::Ticket>)> done);

  // ---- What links bring ----
  void OnWelcome(const std::shared_ptr<AgentLink>& link, const coordinator::AgentWelcome& welcome);
  void OnSaid(const std::shared_ptr<AgentLink>& link, const coordinator::AgentOutput& said);
  void OnLinkDown(const std::shared_ptr<AgentLink>& link);
  uint64_t life() const { return up() ? life_->number : 0; }
  bool Lives(uint64_t life) const { return up() && life_->number == life; }

 private:
  struct Peer {
    std::shared_ptr<AgentLink> link;
    bool accepted = false;
    bool leader = false;
    coordinator::Term term = 0;
    coordinator::AgentInput out;
    bool due = false;
  };
  struct Branch {
    agent::Branch core;
    std::optional<SimDatabase::Session> session;
    MonotonicTime since{};
    std::function<void(const OpenReply&)> opened;
    std::vector<std::function<void(std::optional<coordinator::Ticket>)>> votes;
  };
  struct Life {
    explicit Life(uint64_t own) : incarnation(own), opened(own) {}

    uint64_t number = 0;
    uint64_t incarnation = 0;
    std::map<uint64_t, Peer> peers;
    std::map<Gid, Branch> branches;
    std::map<uint64_t, OpenCall> registering;
    std::set<Gid> heard_pending;
    uint64_t next_request = 1;
    coordinator::Term term = 0;
    Micros frozen_until = 0;
    std::deque<std::function<void()>> gathered;
    agent::OpenedGids opened;
    agent::RecoveryScan scan{std::chrono::milliseconds(700)};
  };

  void Later(Micros delay, std::function<void()> what);
  void GoOn();
  void Dial(uint64_t node);
  Peer* PeerOf(const std::shared_ptr<AgentLink>& link);
  Peer* Leader();
  coordinator::AgentInput* Out();
  void Flush(Peer& peer);
  void SetLeadership(Peer& peer, const coordinator::LeadershipNews& news);
  void LeaderCame(Peer& peer);
  void SendRegister(uint64_t request, const OpenCall& call);
  void Registered(const coordinator::RegisterAnswer& answer);
  void Begin(const Gid& gid, OpenCall call);
  void Work(const Gid& gid, bool prepares);
  agent::PrepareAnswered PrepareAtDatabase(SimDatabase::Session session, const Gid& gid);
  void Prepare(Peer& peer, const coordinator::PrepareOrder& order);
  void Finish(const Gid& gid, bool commit, const std::string& evidence,
              const std::optional<coordinator::AppHeldNews>& app_held);
  void Answered(const coordinator::InquiryReply& answer);
  void Forget(const Gid& gid);
  void TraceSaid(const coordinator::AgentOutput& said);
  void ScanLoop();
  void Scan(bool ask_all);
  void Listed(const std::vector<agent::ListedBranch>& listed, MonotonicTime began, bool ask_all);

  void Deliver(const Gid& gid, const agent::BranchEvent& event);
  // `op` at the database, then `answer` here; nothing if the answer is lost on its way.
  template <typename Answer>
  void AtDatabase(std::function<Answer()> op, std::function<void(std::optional<Answer>)> answer);
  void Perform(const Gid& gid, Branch& branch, const agent::BranchAction& action);
  void Do(const Gid&, Branch&, const agent::InterruptWork&) {}
  void Do(const Gid& gid, Branch& branch, const agent::RunPrepare& action);
  void Do(const Gid& gid, Branch& branch, const agent::RollBackSession& action);
  void Do(const Gid& gid, Branch& branch, const agent::ReleaseSession& action);
  void Do(const Gid& gid, Branch& branch, const agent::SendVote& action);
  void Do(const Gid& gid, Branch& branch, const agent::AnswerVote& action);
  void Do(const Gid& gid, Branch& branch, const agent::SendLost& action);
  void Do(const Gid& gid, Branch& branch, const agent::WriteWill& action);
  void Do(const Gid& gid, Branch& branch, const agent::WriteDone& action);
  void Do(const Gid& gid, Branch& branch, const agent::EraseWill& action);
  void Do(const Gid& gid, Branch& branch, const agent::FinishOnSession& action);
  void Do(const Gid& gid, Branch& branch, const agent::FinishInPool& action);
  void Do(const Gid& gid, Branch& branch, const agent::SendFinished& action);
  void Do(const Gid& gid, Branch& branch, const agent::LookUp& action);
  void Do(const Gid& gid, Branch& branch, const agent::AwaitApplication& action);
  void FinishAtDatabase(const Gid& gid, agent::Decision decision, const std::string& evidence,
                        agent::JournalWord word, SimDatabase::Via via, Micros delay);
  agent::JournalWord WordOn(const Gid& gid) const;
  coordinator::Ticket TicketOf(const Gid& gid, const agent::AnswerVote& vote) const;

  World& world_;
  const Place place_;
  SimDatabase& database_;
  std::map<uint64_t, std::unique_ptr<SimNode>>& nodes_;
  SimClock clock_;
  std::unique_ptr<Life> life_;
  std::vector<std::unique_ptr<Life>> dead_;  // Until nothing of it is on the stack.
  uint64_t lives_ = 0;
  // The journal.
  std::map<Gid, agent::JournalWord> journal_;
  std::map<Gid, agent::JournalWord> forced_;  // What of it the disk happens to hold.
};

// Once sent, it happens, whatever becomes of the agent meanwhile.
template <typename Answer>
void SimAgent::AtDatabase(std::function<Answer()> op,
                          std::function<void(std::optional<Answer>)> answer) {
  Timeline& timeline = world_.timeline;
  timeline.After(timeline.Between(50, 3 * kMilli) + database_.StallsFor(),
                 [this, number = life_->number, op = std::move(op), answer = std::move(answer)] {
                   std::optional<Answer> got = op();
                   if (world_.timeline.Chance(world_.answers_lost)) got.reset();
                   world_.timeline.After(world_.timeline.Between(50, 2 * kMilli),
                                         [this, number, answer, got = std::move(got)] {
                                           if (!Lives(number)) return;
                                           WhenAwake([answer, got] { answer(got); });
                                         });
                 });
}

}  // namespace assent::simulation
