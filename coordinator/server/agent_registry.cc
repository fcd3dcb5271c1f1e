#include "coordinator/server/agent_registry.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <utility>

#include "base/failpoint.h"
#include "base/log.h"

namespace assent::coordinator {
namespace {

constexpr size_t kAgentIdBytesMax = 64;

bool IsAgentId(const std::string& text) {
  return !text.empty() && text.size() <= kAgentIdBytesMax &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
         });
}

Refusal Refuse(Status status, uint32_t retry_delay_ms = 0, Reason reason = Reason::kNone) {
  return {std::move(status), reason, retry_delay_ms, {}};
}

bool HoldsCommit(const AgentOutput& out) {
  return std::any_of(out.finishes.begin(), out.finishes.end(),
                     [](const FinishOrder& order) { return order.commit; });
}

}  // namespace

bool AgentRegistry::Link::Serves(const std::string& resource) const {
  return std::any_of(hello.resources.begin(), hello.resources.end(),
                     [&](const ServedResource& served) { return served.name == resource; });
}

std::optional<Refusal> AgentRegistry::CheckHello(const AgentHello& hello,
                                                 const GroupStart& group) const {
  if (!IsAgentId(hello.agent_id)) {
    return Refuse(InvalidArgument("agent id '" + hello.agent_id +
                                  "': must be 1 to 64 of letters, digits, '_', '-', '.'; mend "
                                  "agent_id in the agent's configuration"));
  }
  if (hello.incarnation == 0) {
    return Refuse(InvalidArgument("agent " + hello.agent_id + " gave agent_incarnation 0"));
  }
  if (hello.resources.size() > limits_.resources_per_agent_max) {
    return Refuse(ResourceExhausted("agent " + hello.agent_id + " serves " +
                                    std::to_string(hello.resources.size()) +
                                    " resources, more than resources_per_agent_max (" +
                                    std::to_string(limits_.resources_per_agent_max) +
                                    "); use several agents"),
                  60'000, Reason::kLimit);
  }
  std::set<std::string> names;
  for (const ServedResource& served : hello.resources) {
    if (!IsResourceName(served.name)) {
      return Refuse(InvalidArgument("resource name '" + served.name + "' of agent " +
                                    hello.agent_id + ": must match [a-z][a-z0-9_]{0,31}"));
    }
    if (!names.insert(served.name).second) {
      return Refuse(InvalidArgument("agent " + hello.agent_id + " lists resource '" + served.name +
                                    "' twice"));
    }
  }
  if (!hello.cluster_uuid.empty() && hello.cluster_uuid != group.cluster_uuid) {
    return Refuse(FailedPrecondition(
        "agent " + hello.agent_id + " is pinned to cluster " + hello.cluster_uuid +
        ", this coordinator belongs to cluster " + group.cluster + " (" + group.cluster_uuid +
        "): point the agent at its own coordinators, or re-pin it by hand"));
  }
  if (hello.group_incarnation != 0 && hello.group_incarnation != group.incarnation) {
    return Refuse(FailedPrecondition(
        "agent " + hello.agent_id + " is pinned to group incarnation " +
        std::to_string(hello.group_incarnation) + ", this group has " +
        std::to_string(group.incarnation) +
        ": the group was set up anew or restored; if that is meant, start the agent once with "
        "--repin"));
  }
  return std::nullopt;
}

std::optional<Refusal> AgentRegistry::CheckIdentities(const AgentHello& hello) const {
  for (const ServedResource& served : hello.resources) {
    for (const auto& [id, link] : links_) {
      if (link.hello.agent_id == hello.agent_id) continue;
      for (const ServedResource& other : link.hello.resources) {
        if (other.name != served.name || other.identity == served.identity) continue;
        return Refuse(FailedPrecondition(
            "resource " + served.name + ": agent " + hello.agent_id + " serves identity '" +
            served.identity + "', agent " + link.hello.agent_id + " serves identity '" +
            other.identity + "'; two databases can't share a name: rename one of them"));
      }
    }
  }
  return std::nullopt;
}

std::optional<Refusal> AgentRegistry::Open(const LinkOpened& opened, const GroupStart& group,
                                           MonotonicTime now) {
  const AgentHello& hello = opened.hello;
  if (auto refusal = CheckHello(hello, group)) return refusal;
  if (auto refusal = CheckIdentities(hello)) return refusal;
  Link* older = FindAgent(hello.agent_id);
  if (older != nullptr) {
    // The same process dialling again is welcome at once. Another one must prove by the silence of
    // the first that this is a restart, not a second agent with the same configuration.
    if (older->hello.incarnation != hello.incarnation &&
        now - older->outbox->LastHeard() < limits_.link_takeover) {
      return Refuse(AlreadyExists("agent id " + hello.agent_id + " is in use by a live agent at " +
                                  older->hello.peer + ": give each agent an id of its own"),
                    static_cast<uint32_t>(limits_.link_takeover.count()));
    }
    LogWarning("agent_link_replaced",
               {{"agent", hello.agent_id},
                {"old_peer", older->hello.peer},
                {"restarted", older->hello.incarnation != hello.incarnation}});
    LinkId id = older->id;
    older->outbox->Close(Unavailable("a newer link of this agent took over"));
    Close(id);
  } else if (links_.size() >= limits_.agents_max) {
    return Refuse(ResourceExhausted("agents_max (" + std::to_string(limits_.agents_max) +
                                    ") agents are connected"),
                  10'000, Reason::kLimit);
  }
  Link link;
  link.id = opened.link;
  link.hello = hello;
  link.outbox = opened.outbox;
  link.since = now;
  by_agent_[hello.agent_id] = link.id;
  links_.emplace(link.id, std::move(link));
  for (const ServedResource& served : hello.resources) {
    known_[served.name] = served;
    by_resource_[served.name].push_back(opened.link);
  }
  return std::nullopt;
}

std::optional<AgentHello> AgentRegistry::Close(LinkId link) {
  auto it = links_.find(link);
  if (it == links_.end()) return std::nullopt;
  AgentHello hello = std::move(it->second.hello);
  by_agent_.erase(hello.agent_id);
  for (const ServedResource& served : hello.resources) {
    auto serving = by_resource_.find(served.name);
    std::erase(serving->second, link);
    if (serving->second.empty()) by_resource_.erase(serving);
  }
  links_.erase(it);
  return hello;
}

void AgentRegistry::CloseAll(const Status& why) {
  for (auto& [id, link] : links_) link.outbox->Close(why);
  links_.clear();
  by_agent_.clear();
  by_resource_.clear();
}

AgentRegistry::Link* AgentRegistry::Find(LinkId link) {
  auto it = links_.find(link);
  return it == links_.end() ? nullptr : &it->second;
}

AgentRegistry::Link* AgentRegistry::FindAgent(const std::string& agent_id) {
  auto it = by_agent_.find(agent_id);
  return it == by_agent_.end() ? nullptr : Find(it->second);
}

AgentRegistry::Link* AgentRegistry::Serving(const std::string& resource,
                                            const std::string& preferred) {
  if (Link* link = FindAgent(preferred); link != nullptr && link->Serves(resource)) return link;
  const std::vector<LinkId>& serving = ServingLinks(resource);
  return serving.empty() ? nullptr : Find(serving.front());
}

AgentRegistry::Link* AgentRegistry::OnlyOneServing(const std::string& resource) {
  const std::vector<LinkId>& serving = ServingLinks(resource);
  return serving.size() == 1 ? Find(serving.front()) : nullptr;
}

AgentRegistry::Link* AgentRegistry::FindIncarnation(const std::string& resource,
                                                    uint64_t incarnation) {
  for (LinkId id : ServingLinks(resource)) {
    Link* link = Find(id);
    if (link->hello.incarnation == incarnation) return link;
  }
  return nullptr;
}

const std::vector<LinkId>& AgentRegistry::ServingLinks(const std::string& resource) const {
  static const std::vector<LinkId> kNone;
  auto it = by_resource_.find(resource);
  return it == by_resource_.end() ? kNone : it->second;
}

const ServedResource* AgentRegistry::Known(const std::string& resource) const {
  auto it = known_.find(resource);
  return it == known_.end() ? nullptr : &it->second;
}

uint32_t AgentRegistry::AgentsOf(const std::string& resource) const {
  return static_cast<uint32_t>(ServingLinks(resource).size());
}

void AgentRegistry::Flush() {
  for (auto& [id, link] : links_) {
    if (link.gathered.empty()) continue;
    const bool prepares = !link.gathered.prepares.empty();
    const bool commits = HoldsCommit(link.gathered);
    if (prepares) ASSENT_FAILPOINT("coord.prepare.before_send");
    if (commits) ASSENT_FAILPOINT("coord.commit.before_send");
    link.outbox->Send(std::exchange(link.gathered, {}));
    if (prepares) ASSENT_FAILPOINT("coord.prepare.after_send");
    if (commits) ASSENT_FAILPOINT("coord.commit.after_send");
  }
}

}  // namespace assent::coordinator
