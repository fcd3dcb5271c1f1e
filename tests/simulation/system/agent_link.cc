#include "tests/simulation/system/agent_link.h"

#include "tests/simulation/system/sim_agent.h"

namespace assent::simulation {

AgentLink::AgentLink(World& world, coordinator::LinkId id, SimAgent& agent, SimNode& node)
    : world_(world),
      id_(id),
      agent_(agent),
      node_(node),
      agent_place_(agent.place()),
      agent_life_(agent.life()),
      node_life_(node.life()) {}

bool AgentLink::AgentLives() const { return agent_.Lives(agent_life_); }

void AgentLink::Carry(bool to_node, std::function<void()> arrive) {
  Micros& last = to_node ? last_to_node_ : last_to_agent_;
  const Place from = to_node ? agent_place_ : node_.id();
  const Place to = to_node ? node_.id() : agent_place_;
  last = std::max(last + 1, world_.timeline.now() + world_.network.Delay(from, to));
  world_.timeline.After(last - world_.timeline.now(), [self = shared_from_this(), to_node, from, to,
                                                       arrive = std::move(arrive)] {
    if (self->broken_) return;
    if (self->world_.network.Cut(from, to) || !self->AgentLives() || !self->NodeLives()) {
      return self->Break();
    }
    if (!to_node) return self->agent_.WhenAwake(arrive);
    self->last_heard_ = self->node_.clock().Now();
    arrive();
  });
}

void AgentLink::Open(coordinator::AgentHello hello) {
  Carry(true, [self = shared_from_this(), hello = std::move(hello)] {
    self->opened_ = true;
    self->node_.ToDriver([self, hello](coordinator::Driver& driver) {
      coordinator::LinkOpened opened{.link = self->id_, .hello = hello, .outbox = self};
      opened.reply = [self](coordinator::Answer<coordinator::AgentWelcome> answer) {
        self->node_.Effect([self, answer = std::move(answer)] {
          const auto* welcome = std::get_if<coordinator::AgentWelcome>(&answer);
          if (welcome == nullptr) return self->Break();
          self->Carry(false, [self, welcome = *welcome] { self->agent_.OnWelcome(self, welcome); });
        });
      };
      driver.Post(std::move(opened));
    });
  });
  HeartBeat();
}

// Both ways, so that whoever is cut off learns of it.
void AgentLink::HeartBeat() {
  if (broken_) return;
  if (!agent_.frozen()) Carry(true, [] {});
  Carry(false, [] {});
  world_.timeline.After(400 * kMilli, [self = shared_from_this()] { self->HeartBeat(); });
}

void AgentLink::Say(coordinator::AgentInput input) {
  Carry(true, [self = shared_from_this(), input = std::move(input)] {
    self->node_.ToDriver([self, input](coordinator::Driver& driver) {
      driver.Post(coordinator::LinkInput{self->id_, input});
    });
  });
}

void AgentLink::Send(coordinator::AgentOutput batch) {
  node_.Effect([self = shared_from_this(), batch = std::move(batch)] {
    if (self->broken_) return;
    self->Judge(batch);
    self->Carry(false, [self, batch] { self->agent_.OnSaid(self, batch); });
  });
}

void AgentLink::Judge(const coordinator::AgentOutput& batch) {
  using coordinator::AgentAnswer;
  SystemChecker& checker = world_.checker;
  for (const coordinator::RegisterAnswer& answer : batch.registered) {
    if (!answer.gid) continue;
    checker.OnRegistered(*answer.gid, {agent_place_, agent_life_, answer.request});
  }
  for (const coordinator::FinishOrder& order : batch.finishes) {
    checker.OnEndSaid(node_.id(), node_.views(), order.gid.gtrid);
    const auto decided = node_.DecidedAt(order.gid.gtrid);
    const bool apps = order.app_held && order.app_held->finisher == coordinator::Finisher::kApp;
    if (order.commit && apps && decided &&
        node_.clock().Now() - *decided < world_.limits.finish_grace) {
      checker.Wrong("5: its application has no time to commit " + Short(order.gid));
    }
  }
  for (const coordinator::InquiryReply& reply : batch.answers) {
    switch (reply.answer) {
      case AgentAnswer::kCommit:
      case AgentAnswer::kAbort:
      case AgentAnswer::kHazard:
      case AgentAnswer::kLeftToApp:
        checker.OnEndSaid(node_.id(), node_.views(), reply.gid.gtrid);
        break;
      case AgentAnswer::kPending:
        checker.OnPendingSaid(node_.id(), node_.views(), reply.gid.gtrid);
        break;
      case AgentAnswer::kRetry:
      case AgentAnswer::kForeign:
        break;
    }
  }
}

void AgentLink::Close(Status) {
  node_.Effect([self = shared_from_this()] { self->Break(); });
}

void AgentLink::Break() {
  if (std::exchange(broken_, true)) return;
  Timeline& timeline = world_.timeline;
  const bool soon = timeline.Chance(500);
  timeline.After(timeline.Between(kMilli, soon ? 10 * kMilli : 1500 * kMilli),
                 [self = shared_from_this()] {
                   if (self->AgentLives()) self->agent_.OnLinkDown(self);
                 });
  timeline.After(timeline.Between(kMilli, soon ? 10 * kMilli : 1500 * kMilli),
                 [self = shared_from_this()] {
                   if (!self->NodeLives() || !self->opened_) return;
                   self->node_.ToDriver([self](coordinator::Driver& driver) {
                     driver.Post(coordinator::LinkClosed{self->id_});
                   });
                 });
}

}  // namespace assent::simulation
