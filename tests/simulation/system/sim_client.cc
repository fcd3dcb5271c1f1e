#include "tests/simulation/system/sim_client.h"

#include <cstdlib>
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
        if constexpr (std::is_same_v<T, coordinator::BeginAnswer>) {
          Observe(node, answer);
        } else if constexpr (!std::is_same_v<T, coordinator::ReportAnswer>) {
          Observe(node, call.gtrid, answer);
        }
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

void SimClient::Observe(uint64_t, const Answer<coordinator::BeginAnswer>& answer) {
  const auto* begun = std::get_if<coordinator::BeginAnswer>(&answer);
  if (begun == nullptr || begun->committed_before) return;
  world_.checker.OnBegun(begun->gtrid);
  for (const coordinator::BegunBranch& branch : begun->branches) {
    if (branch.gid) world_.checker.OnRegistered(*branch.gid);
  }
}

template <typename T>
void SimClient::Observe(uint64_t node, const Gtrid& gtrid, const Answer<T>& answer) {
  ++told_;
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
  world_.checker.OnTold(node, gtrid, *outcome);
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
  Later(world_.timeline.Between(kMilli, 300 * kMilli), [this] { Begin(); });
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
    now_.key = "k" + std::to_string(place_) + "." + std::to_string(now_.number);
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
      if (answer != nullptr)
        TakeHint(std::get<Refusal>(*answer));
      else
        leader_ = AnyNode();
      if (++now_.tries > kTriesMax && !calm_) return Over(false);
      return Later(world_.timeline.Between(20 * kMilli, 200 * kMilli), [this] { Begin(); });
    }
    if (begun->committed_before) {
      world_.checker.OnKeyCommitted(now_.key, begun->gtrid);
      return Over(true);
    }
    now_.gtrid = begun->gtrid;
    now_.tries = 0;
    history_.push_back(now_.gtrid);
    for (size_t i = 0; i < begun->branches.size(); ++i) {
      now_.branches[i].gid = begun->branches[i].gid;
      now_.branches[i].holder = begun->branches[i].holder;
    }
    Work(0);
  });
}

// ---- Work ---------------------------------------------------------------------------------------

void SimClient::Work(size_t i) {
  if (i == now_.branches.size()) return EndIt();
  Open(i);
}

void SimClient::Open(size_t i) {
  Branch& branch = now_.branches[i];
  ++branch.attempts;
  const bool again = branch.held && branch.gid && branch.attempts > 1;
  if (branch.held && branch.gid && !again) return Held(i);  // Registered by Begin.
  SimAgent::OpenCall call{.gtrid = now_.gtrid, .writes = branch.writes, .prepares = branch.early};
  if (branch.held) {
    call.app_held = NewsOf(branch);
    if (again) call.again = branch.gid;
  } else {
    call.gid = branch.gid;
    call.holder = branch.holder;
  }
  auto waiting = std::make_shared<bool>(true);
  auto answered = [this, i, waiting, number = now_.number](const OpenReply* reply) {
    if (!std::exchange(*waiting, false) || now_.number != number) return;
    if (reply == nullptr || !reply->gid) return Rollback();
    Branch& same = now_.branches[i];
    same.gid = reply->gid;
    same.ticket = reply->ticket;
    if (same.held) return Held(i);
    Work(i + 1);
  };
  SimAgent* agent = branch.agent;
  call.done = [this, agent, answered](const OpenReply& reply) {
    world_.network.Send(agent->place(), place_, [answered, reply] { answered(&reply); });
  };
  const auto send = [this, agent, call] {
    world_.network.Send(place_, agent->place(), [agent, call] { agent->Open(call); });
  };
  send();
  // A repeat that was held up on its way: perhaps until nobody remembers the transaction.
  if (call.gid && world_.timeline.Chance(100)) {
    world_.timeline.After(world_.timeline.Between(kMilli, 10 * kSecond), send);
  }
  world_.timeline.After(3 * kSecond, [answered] { answered(nullptr); });
}

// On a session of its own: the work, and PREPARE.
void SimClient::Held(size_t i) {
  Later(world_.timeline.Between(100, 5 * kMilli), [this, i] {
    Branch& branch = now_.branches[i];
    SimDatabase& database = branch.agent->database();
    const auto session = database.Begin(true);
    if (!session) return Rollback();
    Later(world_.timeline.Between(100, 5 * kMilli), [this, i, &database, session = *session] {
      const auto answer = database.Prepare(session, *now_.branches[i].gid);
      const bool unclear = answer.session_lost || world_.timeline.Chance(world_.answers_lost);
      if (unclear || world_.timeline.Chance(400)) return AskVote(i);
      if (answer.vote != agent::Vote::kYes) return Rollback();
      Later(world_.timeline.Between(50, 2 * kMilli), [this, i] { Work(i + 1); });
    });
  });
}

void SimClient::AskVote(size_t i) {
  auto waiting = std::make_shared<bool>(true);
  auto answered = [this, i, waiting,
                   number = now_.number](std::optional<coordinator::Ticket> ticket) {
    if (!std::exchange(*waiting, false) || now_.number != number) return;
    Branch& branch = now_.branches[i];
    branch.ticket = std::move(ticket);
    if (branch.ticket && (calm_ || branch.attempts > 2 || !world_.timeline.Chance(150))) {
      return Work(i + 1);
    }
    // It may be one that tries again all the same, and forgets nothing.
    if (branch.ticket) now_.void_tickets.push_back(*std::exchange(branch.ticket, std::nullopt));
    if (branch.attempts < 3) return Open(i);  // A new attempt.
    Rollback();
  };
  SimAgent* agent = now_.branches[i].agent;
  world_.network.Send(place_, agent->place(), [this, agent, gid = *now_.branches[i].gid, answered] {
    agent->Vote(gid, [this, agent, answered](std::optional<coordinator::Ticket> ticket) {
      world_.network.Send(agent->place(), place_, [answered, ticket] { answered(ticket); });
    });
  });
  world_.timeline.After(2 * kSecond, [answered] { answered({}); });
}

// ---- The end of one -----------------------------------------------------------------------------

void SimClient::EndIt() {
  if (now_.rolls_back) return Rollback();
  if (!calm_ && world_.timeline.Chance(40)) return Over(false);  // It vanishes.
  for (const Branch& branch : now_.branches) {
    if (branch.writes) world_.checker.OnWorked(*branch.gid);
  }
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
      if (!branch.finishes) call.finished.push_back(*branch.gid);
    }
  }
  if (leader_ == 0) leader_ = AnyNode();
  if (!calm_ && world_.timeline.Chance(40)) {
    // Somebody else has another mind.
    coordinator::RollbackCall other{.gtrid = now_.gtrid};
    Ask<coordinator::RollbackAnswer>(leader_, std::move(other), [](const auto*) {});
  }
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

// What is its own to end, it ends, and says so or not.
void SimClient::Committed(const coordinator::CommitAnswer& answer) {
  std::vector<Gid> mine;
  for (const coordinator::PendingBranch& pending : answer.pending) {
    if (!pending.yours || world_.timeline.Chance(200)) continue;
    for (const Branch& branch : now_.branches) {
      if (branch.gid != pending.gid) continue;
      const auto ended = branch.agent->database().Finish(*branch.gid, agent::Decision::kCommit, "",
                                                         agent::JournalWord::kNothing);
      if (ended.finish == agent::FinishClass::kDone) mine.push_back(*branch.gid);
    }
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
    AskAgain(history_[world_.timeline.Draw(history_.size())]);
  }
  if (running_) return Next();
  now_ = Transaction{.number = next_++};
  idle_ = true;
}

void SimClient::AskAgain(const Gtrid& gtrid) {
  const uint64_t node = AnyNode();
  switch (world_.timeline.Draw(3)) {
    case 0: {
      coordinator::GetCall call{.gtrid = gtrid};
      Ask<coordinator::TransactionView>(node, std::move(call), [](const auto*) {});
      return;
    }
    case 1: {
      coordinator::RollbackCall call{.gtrid = gtrid};
      Ask<coordinator::RollbackAnswer>(node, std::move(call), [](const auto*) {});
      return;
    }
    default: {
      coordinator::CommitCall call{.gtrid = gtrid};
      Ask<coordinator::CommitAnswer>(node, std::move(call), [](const auto*) {});
      return;
    }
  }
}

void SimClient::AskAgainAboutAll() {
  for (const Gtrid& gtrid : history_) AskAgain(gtrid);
}

}  // namespace assent::simulation
