// How an application works in its branches, until it knows that their work stands.
#include <utility>

#include "tests/simulation/system/sim_client.h"

namespace assent::simulation {

void SimClient::Work(size_t i) {
  if (i == now_.branches.size()) return EndIt();
  Open(i);
}

void SimClient::Open(size_t i) {
  Branch& branch = now_.branches[i];
  ++branch.attempts;
  LeaveSession(branch);
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
    Branch& same = now_.branches[i];
    if (reply == nullptr || !reply->gid) {
      // Its work has failed, and it commits the rest of it.
      if (!same.held && !calm_ && world_.timeline.Chance(world_.habits.ignores_failures)) {
        same.gid.reset();
        return Work(i + 1);
      }
      if (!same.held || calm_ || same.attempts > 3 || world_.timeline.Chance(500)) {
        return Rollback();
      }
      return Later(world_.timeline.Between(20 * kMilli, 600 * kMilli), [this, i] { Open(i); });
    }
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

Micros SimClient::Think() { return world_.timeline.Between(100, world_.habits.think_max); }

// On a session of its own: the work, and PREPARE.
void SimClient::Held(size_t i) {
  Later(Think(), [this, i] {
    SimDatabase& database = now_.branches[i].agent->database();
    const auto session = database.Begin(true, /*apps=*/true);
    if (!session) return Rollback();
    Later(Think(), [this, i, &database, session = *session] {
      Timeline& timeline = world_.timeline;
      Branch& branch = now_.branches[i];
      if (!branch.finishes && timeline.Chance(world_.habits.careless)) {
        branch.unseen = true;
        if (timeline.Chance(500)) PrepareLater(i, session, 300 * kMilli);
        return Work(i + 1);
      }
      if (timeline.Chance(world_.habits.late_prepares)) {
        PrepareLater(i, session, timeline.Chance(500) ? 300 * kMilli : 3 * kSecond);
        return AskVote(i);
      }
      branch.session = session;
      const auto answer = database.Prepare(session, *now_.branches[i].gid);
      const bool unclear = answer.session_lost || world_.timeline.Chance(world_.answers_lost);
      if (unclear || world_.timeline.Chance(400)) return AskVote(i);
      if (answer.vote != agent::Vote::kYes) return Rollback();
      Later(world_.timeline.Between(50, 2 * kMilli), [this, i] { Work(i + 1); });
    });
  });
}

// The statement is on its way, and nobody awaits its answer any more.
void SimClient::PrepareLater(size_t i, SimDatabase::Session session, Micros at_most) {
  const Branch& branch = now_.branches[i];
  SimDatabase& database = branch.agent->database();
  world_.timeline.After(world_.timeline.Between(kMilli, at_most),
                        [this, &database, session, gid = *branch.gid] {
                          database.Prepare(session, gid);
                          CloseSoon(database, session);
                        });
}

void SimClient::LeaveSession(Branch& branch) {
  if (!branch.session) return;
  CloseSoon(branch.agent->database(), *std::exchange(branch.session, std::nullopt));
}

// Its connection goes back to a pool that closes it.
void SimClient::CloseSoon(SimDatabase& database, SimDatabase::Session session) {
  world_.timeline.After(world_.timeline.Between(0, 2 * kSecond),
                        [&database, session] { database.Close(session); });
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

}  // namespace assent::simulation
