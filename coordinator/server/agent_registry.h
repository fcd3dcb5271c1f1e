// The agents that are connected now: who serves which resource, and what has gathered to be said to
// each. Belongs to the driver; knows nothing of transactions.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "coordinator/server/limits.h"
#include "coordinator/server/messages.h"

namespace assent::coordinator {

// Not thread-safe: the driver thread only.
class AgentRegistry {
 public:
  struct Link {
    LinkId id = 0;
    AgentHello hello;
    std::shared_ptr<AgentOutbox> outbox;  // See LinkOpened.
    MonotonicTime since{};
    AgentOutput gathered;

    bool Serves(const std::string& resource) const;
  };

  explicit AgentRegistry(const Limits& limits) : limits_(limits) {}

  // Takes the agent in, replacing an older link of it; or says why not:
  //   INVALID_ARGUMENT     the hello makes no sense; the message names the field.
  //   FAILED_PRECONDITION  pinned to another cluster, or a resource has another identity elsewhere.
  //   ALREADY_EXISTS       another live agent has this id.
  //   RESOURCE_EXHAUSTED   agents_max, resources_per_agent_max.
  std::optional<Refusal> Open(const LinkOpened& opened, const GroupStart& group, MonotonicTime now);
  // The link's hello, if it was open.
  std::optional<AgentHello> Close(LinkId link);
  void CloseAll(const Status& why);

  Link* Find(LinkId link);
  Link* FindAgent(const std::string& agent_id);
  // A link to an agent that serves `resource`: `preferred` if it is among them.
  Link* Serving(const std::string& resource, const std::string& preferred);
  // The one agent that serves `resource`; null if there are none or several.
  Link* OnlyOneServing(const std::string& resource);
  // The agent of this incarnation, if it serves `resource`.
  Link* FindIncarnation(const std::string& resource, uint64_t incarnation);
  std::map<LinkId, Link>& links() { return links_; }
  const std::map<LinkId, Link>& links() const { return links_; }

  // What any agent has said of the resource since the start; null if none did.
  const ServedResource* Known(const std::string& resource) const;
  const std::map<std::string, ServedResource>& known() const { return known_; }
  uint32_t AgentsOf(const std::string& resource) const;

  // Sends what has gathered.
  void Flush();

 private:
  std::optional<Refusal> CheckHello(const AgentHello& hello, const GroupStart& group) const;
  std::optional<Refusal> CheckIdentities(const AgentHello& hello) const;

  // Links that serve the resource, oldest first.
  const std::vector<LinkId>& ServingLinks(const std::string& resource) const;

  const Limits& limits_;
  std::map<LinkId, Link> links_;
  std::unordered_map<std::string, LinkId> by_agent_;
  std::unordered_map<std::string, std::vector<LinkId>> by_resource_;
  std::map<std::string, ServedResource> known_;
};

}  // namespace assent::coordinator
