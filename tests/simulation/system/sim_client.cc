#include "tests/simulation/system/sim_client.h"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <utility>

namespace assent::simulation {

using coordinator::Answer;
using coordinator::Outcome;
using coordinator::Refusal;

namespace {

constexpr int kTriesMax = 25;

}  // namespace

// ---- Asking -------------------------------------------------------------------------------------

uint64_t SimClient::AnyNode() {
  auto it = nodes_.begin();
  std::advance(it, world_.timeline.Draw(nodes_.size()));
  return it->first;
}

uint64_t SimClient::AnotherNode() {
  return world_.deposed != 0 && world_.timeline.Chance(500) ? world_.deposed : AnyNode();
}

void SimClient::TakeHint(const Refusal& refusal) {
  leader_ = refusal.leader.empty() ? AnyNode() : std::strtoull(refusal.leader.c_str(), nullptr, 10);
  if (!nodes_.contains(leader_)) leader_ = AnyNode();
}

void SimClient::Later(Micros delay, std::function<void()> what) {
  world_.timeline.After(delay, [this, number = now_.number, what = std::move(what)] {
    if (now_.number == number) what();
  });
}

template <typename T, typename Call>
void SimClient::Ask(uint64_t node, Call call, std::function<void(const Answer<T>*)> then,
                    Micros patience) {
  auto waiting = std::make_shared<bool>(true);
  auto answered = [this, waiting, number = now_.number, then](const Answer<T>* answer) {
    if (std::exchange(*waiting, false) && now_.number == number) then(answer);
  };
  auto to_driver = [this, node, call, answered](coordinator::Driver& driver) {
    Call one = call;
    one.reply = [this, node, call, answered](Answer<T> answer) {
      auto leave = [this, node, call, answered, answer = std::move(answer)] {
        if constexpr (!std::is_same_v<T, coordinator::ReportAnswer>) Observe(node, call, answer);
        world_.network.Send(node, place_, [answered, answer] { answered(&answer); });
      };
      nodes_.at(node)->Effect(std::move(leave));
    };
    driver.TryPost(std::move(one));
  };
  world_.network.Send(place_, node,
                      [this, node, to_driver] { nodes_.at(node)->ToDriver(to_driver); });
  world_.timeline.After(patience, [answered] { answered(nullptr); });
}

void SimClient::Observe(uint64_t, const coordinator::BeginCall& call,
                        const Answer<coordinator::BeginAnswer>& answer) {
  const auto* begun = std::get_if<coordinator::BeginAnswer>(&answer);
  if (begun == nullptr) return;
  if (begun->committed_before) {
    return world_.checker.OnKeyCommitted(call.client_key, begun->gtrid);
  }
  world_.checker.OnBegun(begun->gtrid);
  for (const coordinator::BegunBranch& branch : begun->branches) {
    if (!branch.gid) continue;
    world_.checker.OnRegistered(*branch.gid, {});
    if (!branch.app_held) world_.checker.OnHeld(*branch.gid, branch.holder);
  }
}

template <typename Call, typename T>
void SimClient::Observe(uint64_t node, const Call& call, const Answer<T>& answer) {
  ++told_;
  const Gtrid& gtrid = call.gtrid;
  if (const auto* refusal = std::get_if<Refusal>(&answer)) {
    if (refusal->status.code() == Code::kNotFound) world_.checker.OnNeverIssued(node, gtrid);
    return;
  }
  const std::optional<Outcome> outcome = std::get<T>(answer).outcome;
  if (!outcome) return;
  world_.timeline.Trace([&] {
    return "node " + std::to_string(node) + ": tells outcome " +
           std::to_string(static_cast<int>(*outcome)) + " of " + Short(gtrid);
  });
  const LeadViews& views = nodes_.at(node)->views();
  if (*outcome == Outcome::kUnknown) {
    world_.checker.OnPendingSaid(node, views, gtrid);
  } else {
    world_.checker.OnEndSaid(node, views, gtrid);
  }
  world_.checker.OnTold(node, gtrid, *outcome);
  if constexpr (std::is_same_v<T, coordinator::CommitAnswer>) {
    const auto& told = std::get<T>(answer);
    if (*outcome != Outcome::kCommitted || told.heuristic) return;
    std::set<Gid> pending;
    for (const coordinator::PendingBranch& branch : told.pending) pending.insert(branch.gid);
    world_.checker.OnPendingTold(node, gtrid, pending);
  }
}

// ---- One after another --------------------------------------------------------------------------

void SimClient::Run() {
  running_ = true;
  calm_ = false;
  Next();
}

void SimClient::RunCalm() {
  calm_ = true;
  Next();
}

void SimClient::Next() {
  idle_ = false;
  now_ = Transaction{.number = next_++};
  Plan();
  Later(world_.timeline.Between(kMilli, world_.habits.pause_max), [this] { Begin(); });
}

void SimClient::Plan() {
  Timeline& timeline = world_.timeline;
  const size_t count = 1 + timeline.Draw(3);
  for (size_t i = 0; i < count; ++i) {
    Branch branch{.agent = agents_[timeline.Draw(agents_.size())].get()};
    branch.writes = i == 0 || timeline.Chance(800);
    branch.held = branch.writes && timeline.Chance(300);
    branch.finishes = branch.held && timeline.Chance(500);
    branch.early = !branch.held && timeline.Chance(300);
    now_.branches.push_back(branch);
  }
  now_.named_at_begin = timeline.Chance(400);
  if (calm_) return;
  now_.rolls_back = timeline.Chance(100);
  if (timeline.Chance(300)) {
    const bool shared = timeline.Chance(world_.habits.shared_keys);
    now_.key = shared ? "s" + std::to_string(timeline.now() / (3 * kSecond))
                      : "k" + std::to_string(place_) + "." + std::to_string(now_.number);
  }
}

coordinator::AppHeldNews SimClient::NewsOf(const Branch& branch) const {
  return {
      .connection_id = "",
      .finisher = branch.finishes ? coordinator::Finisher::kApp : coordinator::Finisher::kAgent};
}

void SimClient::Begin() {
  coordinator::BeginCall call{.client_key = now_.key};
  if (now_.named_at_begin) {
    for (const Branch& branch : now_.branches) {
      coordinator::BranchAsked asked{.resource = branch.agent->resource()};
      if (branch.held) asked.app_held = NewsOf(branch);
      call.branches.push_back(std::move(asked));
    }
  }
  if (leader_ == 0) leader_ = AnyNode();
  Ask<coordinator::BeginAnswer>(leader_, std::move(call), [this](const auto* answer) {
    const auto* begun = answer == nullptr ? nullptr : std::get_if<coordinator::BeginAnswer>(answer);
    if (begun == nullptr) {
      const auto* refusal = answer == nullptr ? nullptr : &std::get<Refusal>(*answer);
      if (refusal == nullptr) {
        leader_ = AnyNode();
      } else if (refusal->reason == coordinator::Reason::kKeyInUse) {
        if (world_.timeline.Chance(300)) return Over(false);
      } else {
        TakeHint(*refusal);
      }
      if (++now_.tries > kTriesMax && !calm_) return Over(false);
      return Later(world_.timeline.Between(20 * kMilli, 200 * kMilli), [this] { Begin(); });
    }
    if (begun->committed_before) return Over(true);
    now_.gtrid = begun->gtrid;
    now_.tries = 0;
    if (world_.timeline.Chance(world_.habits.asks_around)) AskAgain(now_.gtrid, AnotherNode(), 1);
    history_.push_back(now_.gtrid);
    for (size_t i = 0; i < begun->branches.size(); ++i) {
      now_.branches[i].gid = begun->branches[i].gid;
      now_.branches[i].holder = begun->branches[i].holder;
    }
    Work(0);
  });
}

// ---- The end of one -----------------------------------------------------------------------------

void SimClient::EndIt() {
  if (now_.rolls_back) return Rollback();
  if (!calm_ && world_.timeline.Chance(40)) return Over(false);  // It vanishes.
  for (const Branch& branch : now_.branches) {
    if (branch.writes && branch.gid) world_.checker.OnWorked(*branch.gid);
  }
  now_.committing = true;
  Commit();
}

void SimClient::Commit() {
  coordinator::CommitCall call{.gtrid = now_.gtrid,
                               .wait_for_applied = world_.timeline.Chance(500)};
  for (const Branch& branch : now_.branches) {
    if (branch.ticket && world_.timeline.Chance(900)) call.tickets.push_back(*branch.ticket);
  }
  for (const coordinator::Ticket& ticket : now_.void_tickets) call.tickets.push_back(ticket);
  if (!calm_ && world_.timeline.Chance(50)) {
    // A report of what is not its own to end says nothing.
    for (const Branch& branch : now_.branches) {
      if (!branch.finishes && branch.gid) call.finished.push_back(*branch.gid);
    }
  }
  if (leader_ == 0) leader_ = AnyNode();
  if (!calm_ && world_.timeline.Chance(40)) {
    // Somebody else has another mind.
    coordinator::RollbackCall other{.gtrid = now_.gtrid};
    Ask<coordinator::RollbackAnswer>(leader_, std::move(other), [](const auto*) {});
  }
  if (world_.timeline.Chance(world_.habits.asks_around)) AskAgain(now_.gtrid, AnotherNode(), 2);
  if (world_.timeline.Chance(world_.habits.asks_any_agent)) {
    Later(world_.timeline.Between(kMilli, 300 * kMilli), [this] { AskAnyAgent(); });
  }
  ReportOthers(/*unseen_only=*/true);
  Ask<coordinator::CommitAnswer>(
      leader_, std::move(call),
      [this](const auto* answer) {
        const auto* told =
            answer == nullptr ? nullptr : std::get_if<coordinator::CommitAnswer>(answer);
        if (told != nullptr && told->outcome == Outcome::kCommitted) return Committed(*told);
        if (told != nullptr && told->outcome == Outcome::kAborted) {
          if (calm_) {
            world_.checker.Wrong("AC4: nothing failed, and yet aborted: " + Short(now_.gtrid) +
                                 ", " +
                                 std::string(coordinator::AbortCauseName(
                                     told->abort.value_or(coordinator::AbortReason{}).cause)));
          }
          return Over(false);
        }
        if (told != nullptr && told->outcome == Outcome::kExpired) return Over(false);
        if (answer != nullptr && told == nullptr) TakeHint(std::get<Refusal>(*answer));
        if (answer == nullptr) leader_ = AnyNode();
        if (++now_.tries > kTriesMax && !calm_) return Over(false);
        Later(world_.timeline.Between(20 * kMilli, 300 * kMilli), [this] { Commit(); });
      },
      2 * kSecond);
}

// Commit takes long. A branch whose vote may be missing stands in its database, for every agent of
// that to see: but only who holds it can vote for it.
void SimClient::AskAnyAgent() {
  for (const Branch& branch : now_.branches) {
    if (branch.ticket || !branch.gid) continue;
    std::vector<SimAgent*> able;
    for (auto& agent : agents_) {
      if (agent->resource() == branch.agent->resource()) able.push_back(agent.get());
    }
    // The one that it worked with has been asked.
    if (able.size() > 1) std::erase(able, branch.agent);
    SimAgent* agent = able[world_.timeline.Draw(able.size())];
    auto answered = [this, number = now_.number](std::optional<coordinator::Ticket> ticket) {
      if (!ticket || now_.number != number) return;
      coordinator::CommitCall call{.gtrid = now_.gtrid};
      call.tickets.push_back(*std::move(ticket));
      Ask<coordinator::CommitAnswer>(leader_, std::move(call), [](const auto*) {});
    };
    world_.network.Send(place_, agent->place(), [this, agent, gid = *branch.gid, answered] {
      agent->Vote(gid, [this, agent, answered](std::optional<coordinator::Ticket> ticket) {
        world_.network.Send(agent->place(), place_, [answered, ticket] { answered(ticket); });
      });
    });
  }
}

// A report of what is not its own to end says nothing.
void SimClient::ReportOthers(bool unseen_only) {
  std::vector<Gid> gids;
  for (const Branch& branch : now_.branches) {
    if (!branch.gid) continue;
    if (unseen_only ? branch.unseen : !branch.finishes) gids.push_back(*branch.gid);
  }
  if (gids.empty()) return;
  world_.timeline.After(world_.timeline.Between(0, 8 * kMilli), [this, gids = std::move(gids)] {
    Ask<coordinator::ReportAnswer>(leader_, coordinator::ReportCall{.gids = gids},
                                   [](const auto*) {});
  });
}

// What is its own to end, it ends, and says so or not.
void SimClient::Committed(const coordinator::CommitAnswer& answer) {
  std::vector<Gid> mine;
  for (const coordinator::PendingBranch& pending : answer.pending) {
    if (!pending.yours || world_.timeline.Chance(200)) continue;
    for (const Branch& branch : now_.branches) {
      if (branch.gid != pending.gid) continue;
      SimDatabase& database = branch.agent->database();
      SimDatabase::Via via;
      if (branch.session && database.Alive(*branch.session)) via.session = branch.session;
      const auto ended = database.Finish(*branch.gid, agent::Decision::kCommit, "",
                                         agent::JournalWord::kNothing, via);
      if (ended.finish == agent::FinishClass::kDone) mine.push_back(*branch.gid);
    }
  }
  if (world_.timeline.Chance(world_.habits.meddles)) {
    ReportOthers(/*unseen_only=*/false);
    AskAgain(now_.gtrid, leader_, 2);
  }
  if (!mine.empty() && world_.timeline.Chance(700)) {
    coordinator::ReportCall call{.gids = std::move(mine)};
    Ask<coordinator::ReportAnswer>(leader_, std::move(call), [](const auto*) {});
  }
  if (calm_) ++calm_committed_;
  Over(true);
}

void SimClient::Rollback() {
  if (now_.tries++ > kTriesMax) return Over(false);
  if (leader_ == 0) leader_ = AnyNode();
  coordinator::RollbackCall call{.gtrid = now_.gtrid};
  Ask<coordinator::RollbackAnswer>(leader_, std::move(call), [this](const auto* answer) {
    const auto* told =
        answer == nullptr ? nullptr : std::get_if<coordinator::RollbackAnswer>(answer);
    if (told != nullptr && told->outcome != Outcome::kUnknown) return Over(false);
    if (answer != nullptr && told == nullptr) TakeHint(std::get<Refusal>(*answer));
    if (answer == nullptr) leader_ = AnyNode();
    Later(world_.timeline.Between(20 * kMilli, 300 * kMilli), [this] { Rollback(); });
  });
}

void SimClient::Over(bool committed) {
  for (Branch& branch : now_.branches) LeaveSession(branch);
  if (calm_ && !committed) {
    // Begun by nobody's fault in vain: an agent had not heard of the leader yet, say.
    if (now_.redone++ > 20) return world_.checker.Wrong("AC4: nothing can be committed any more");
    const int redone = now_.redone;
    Next();
    now_.redone = redone;
    return;
  }
  if (running_ && !committed && !now_.key.empty() && !now_.rolls_back && now_.redone++ < 3) {
    // The same business, under the same key.
    const Transaction before = std::move(now_);
    now_ = Transaction{.number = next_++, .key = before.key, .redone = before.redone};
    std::string key = before.key;
    Plan();
    now_.key = std::move(key);
    return Later(world_.timeline.Between(kMilli, 400 * kMilli), [this] { Begin(); });
  }
  if (running_ && world_.timeline.Chance(300) && !history_.empty()) {
    AskAgain(history_[world_.timeline.Draw(history_.size())], AnyNode());
  }
  if (running_) return Next();
  now_ = Transaction{.number = next_++};
  idle_ = true;
}

void SimClient::AskAgain(const Gtrid& gtrid, uint64_t node, uint64_t kinds) {
  switch (world_.timeline.Draw(kinds)) {
    case 0: {
      coordinator::GetCall call{.gtrid = gtrid};
      Ask<coordinator::TransactionView>(node, std::move(call), [](const auto*) {});
      return;
    }
    case 1: {
      coordinator::CommitCall call{.gtrid = gtrid};
      Ask<coordinator::CommitAnswer>(node, std::move(call), [](const auto*) {});
      return;
    }
    default: {
      coordinator::RollbackCall call{.gtrid = gtrid};
      Ask<coordinator::RollbackAnswer>(node, std::move(call), [](const auto*) {});
      return;
    }
  }
}

void SimClient::AskNewLeader(uint64_t node) {
  if (idle_ || history_.empty()) return;
  const size_t ago = world_.timeline.Draw(std::min<size_t>(3, history_.size()));
  const Gtrid& gtrid = history_[history_.size() - 1 - ago];
  const bool at_work = gtrid == now_.gtrid && !now_.committing;
  AskAgain(gtrid, node, at_work ? 1 : 2);
}

void SimClient::AskAgainAboutAll() {
  for (const Gtrid& gtrid : history_) AskAgain(gtrid, AnyNode());
}

}  // namespace assent::simulation
