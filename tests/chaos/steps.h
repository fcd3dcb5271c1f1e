// The one table of named steps that drives the walk: where a process can be stopped
// (base/failpoint.h) on the way of one transfer from Begin to END, and what must come of it.
#pragma once

#include <vector>

namespace assent::chaos {

enum class Place { kCoordinator, kAgent };

// What the transfer must end with.
enum class Ends {
  kEither,     // Both outcomes are right: it depends on what reached the disk or the wire.
  kAborted,    // If the stopped process itself is killed. Otherwise either.
  kCommitted,  // Whoever is killed: the decision was durable before.
};

struct Step {
  const char* name;
  Place place;
  Ends ends;
};

inline const std::vector<Step>& Steps() {
  static const std::vector<Step> steps = {
      // Work.
      {"coord.begin.before_reply", Place::kCoordinator, Ends::kEither},
      // The client repeats its Open at the agent that is back: nothing was registered before.
      {"agent.register.before_send", Place::kAgent, Ends::kEither},
      {"coord.register.before_reply", Place::kCoordinator, Ends::kAborted},
      {"agent.execute.after", Place::kAgent, Ends::kAborted},
      // Voting.
      {"coord.prepare.before_send", Place::kCoordinator, Ends::kAborted},
      {"coord.prepare.after_send", Place::kCoordinator, Ends::kAborted},
      {"agent.prepare.before", Place::kAgent, Ends::kAborted},
      {"agent.prepare.after", Place::kAgent, Ends::kAborted},
      {"agent.vote.before_send", Place::kAgent, Ends::kAborted},
      {"agent.vote.after_send", Place::kAgent, Ends::kEither},
      {"coord.vote.received", Place::kCoordinator, Ends::kAborted},
      // The decision.
      {"coord.propose.before", Place::kCoordinator, Ends::kAborted},
      {"coord.append.before", Place::kCoordinator, Ends::kAborted},
      {"coord.append.after", Place::kCoordinator, Ends::kEither},
      {"coord.fsync.before", Place::kCoordinator, Ends::kEither},
      {"coord.fsync.after", Place::kCoordinator, Ends::kCommitted},
      {"coord.apply.before", Place::kCoordinator, Ends::kCommitted},
      {"coord.apply.after", Place::kCoordinator, Ends::kCommitted},
      {"coord.reply.before", Place::kCoordinator, Ends::kCommitted},
      {"coord.reply.after", Place::kCoordinator, Ends::kCommitted},
      // Phase two.
      {"coord.commit.before_send", Place::kCoordinator, Ends::kCommitted},
      {"coord.commit.after_send", Place::kCoordinator, Ends::kCommitted},
      {"agent.will.before", Place::kAgent, Ends::kCommitted},
      {"agent.will.after", Place::kAgent, Ends::kCommitted},
      {"agent.commit.before", Place::kAgent, Ends::kCommitted},
      {"agent.commit.after", Place::kAgent, Ends::kCommitted},
      {"agent.done.before_send", Place::kAgent, Ends::kCommitted},
      {"agent.done.after_send", Place::kAgent, Ends::kCommitted},
      {"coord.done.before", Place::kCoordinator, Ends::kCommitted},
      {"coord.done.after", Place::kCoordinator, Ends::kCommitted},
      {"coord.end.before", Place::kCoordinator, Ends::kCommitted},
      {"coord.end.after", Place::kCoordinator, Ends::kCommitted},
      {"agent.forget.before", Place::kAgent, Ends::kCommitted},
      {"agent.forget.after", Place::kAgent, Ends::kCommitted},
  };
  return steps;
}

}  // namespace assent::chaos
