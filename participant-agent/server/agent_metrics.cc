#include "participant-agent/server/agent_metrics.h"

#include "base/options.h"

namespace assent::agent {
namespace {

const char* NameOf(Verb verb) {
  switch (verb) {
    case Verb::kConnect:
      return "connect";
    case Verb::kStart:
      return "start";
    case Verb::kExecute:
      return "execute";
    case Verb::kPrepare:
      return "prepare";
    case Verb::kCommit:
      return "commit";
    case Verb::kRollback:
      return "rollback";
    case Verb::kRecover:
      return "recover";
    case Verb::kLookUp:
      return "look_up";
    case Verb::kProbe:
      return "probe";
  }
  return "";
}

const char* NameOf(AnswerClass answer) {
  switch (answer) {
    case AnswerClass::kDone:
      return "done";
    case AnswerClass::kReadOnly:
      return "read_only";
    case AnswerClass::kFailed:
      return "failed";
    case AnswerClass::kConflict:
      return "conflict";
    case AnswerClass::kTransient:
      return "transient";
    case AnswerClass::kRefused:
      return "refused";
    case AnswerClass::kHeuristic:
      return "heuristic";
    case AnswerClass::kHazard:
      return "hazard";
  }
  return "";
}

}  // namespace

void ResourceMetrics::Count(Verb verb, AnswerClass answer, std::chrono::nanoseconds took) {
  OfVerb& counts = verbs_[static_cast<size_t>(verb)];
  counts.answers[static_cast<size_t>(answer)].Add();
  counts.seconds.Observe(took);
}

void ResourceMetrics::SetWhyNot(const std::string& why) {
  served_.Set(why.empty() ? 1 : 0);
  if (why == told_) return;
  told_ = why;
  MutexLock lock(mutex_);
  why_not_ = why;
}

std::string ResourceMetrics::WhyNot() const {
  MutexLock lock(mutex_);
  return why_not_;
}

AgentMetrics::AgentMetrics(const std::vector<std::string>& resources, size_t sessions_max)
    : sessions_max_(sessions_max) {
  for (const std::string& name : resources) {
    auto metrics = std::make_unique<ResourceMetrics>();
    metrics->SetWhyNot("resource " + name + " has not been looked at yet");
    resources_.emplace(name, std::move(metrics));
  }
}

void AgentMetrics::SetLinkUp(const std::string& coordinator, bool up) {
  MutexLock lock(mutex_);
  links_[coordinator] = up;
}

void AgentMetrics::DropLink(const std::string& coordinator) {
  MutexLock lock(mutex_);
  links_.erase(coordinator);
}

void AgentMetrics::SetJournal(const Journal::Counts& counts) {
  journal_forced_.SetTotal(counts.forced_writes);
  journal_wills_.SetTotal(counts.wills);
  journal_dones_.SetTotal(counts.dones);
  journal_forgets_.SetTotal(counts.forgets);
}

void AgentMetrics::Expose(metrics::Page& page) const {
  page.Gauges("assent_build_info", "1; the label tells the version that runs.")
      .Series({{"version", std::string(Version())}}, 1);
  page.Gauges("assent_agent_linked_to_leader",
              "1: a coordinator that leads is linked; without one no branch can be opened or end.")
      .Series({}, linked_to_leader);
  {
    auto links = page.Gauges("assent_agent_link_up", "1: this coordinator has welcomed the agent.");
    MutexLock lock(mutex_);
    for (const auto& [target, up] : links_) links.Series({{"coordinator", target}}, up ? 1 : 0);
  }
  auto served = page.Gauges("assent_agent_resource_served", "1: new branches can be opened.");
  auto branches = page.Gauges("assent_agent_branches",
                              "Branches in the agent's hands; prepared: until they are finished.");
  auto listed = page.Gauges("assent_agent_listed_branches",
                            "Prepared branches of this cluster that the database showed last.");
  auto in_use = page.Gauges("assent_agent_sessions_in_use", "Sessions that branches hold.");
  auto most = page.Gauges("assent_agent_sessions_max", "The most that branches may hold.");
  auto queues = page.Gauges("assent_queue_depth", "What waits in a queue of this process.");
  int64_t finishes = 0;
  for (const auto& [name, resource] : resources_) {
    served.Series({{"resource", name}}, resource->served_);
    branches.Series({{"resource", name}, {"state", "open"}}, resource->open)
        .Series({{"resource", name}, {"state", "prepared"}}, resource->prepared);
    listed.Series({{"resource", name}}, resource->listed);
    in_use.Series({{"resource", name}}, resource->sessions_in_use);
    most.Series({{"resource", name}}, static_cast<double>(sessions_max_));
    finishes += resource->finishes_waiting.value();
  }
  queues.Series({{"queue", "finish"}}, static_cast<double>(finishes));
  ExposeVerbs(page);
  page.Counters(
          "assent_agent_journal_forced_writes_total",
          "Times that the journal was forced to disk: at start, at a pin, when it is compacted.")
      .Series({}, journal_forced_);
  page.Counters("assent_agent_journal_words_total", "Words appended to the journal, unforced.")
      .Series({{"kind", "will"}}, journal_wills_)
      .Series({{"kind", "done"}}, journal_dones_)
      .Series({{"kind", "forget"}}, journal_forgets_);
}

// A verb has few of the answers, so those that never came are left out; `done` always stands.
void AgentMetrics::ExposeVerbs(metrics::Page& page) const {
  auto verbs = page.Counters("assent_agent_verbs_total",
                             "What the database was asked to do, and the class of its answer.");
  auto seconds = page.Histograms("assent_agent_verb_seconds", "How long the database took.");
  for (const auto& [name, resource] : resources_) {
    for (size_t v = 0; v < kVerbs; ++v) {
      const ResourceMetrics::OfVerb& counts = resource->verbs_[v];
      const std::string verb = NameOf(static_cast<Verb>(v));
      for (size_t a = 0; a < kAnswerClasses; ++a) {
        const auto answer = static_cast<AnswerClass>(a);
        if (counts.answers[a].value() == 0 && answer != AnswerClass::kDone) continue;
        verbs.Series({{"resource", name}, {"verb", verb}, {"answer", NameOf(answer)}},
                     counts.answers[a]);
      }
      seconds.Series({{"resource", name}, {"verb", verb}}, counts.seconds);
    }
  }
}

std::vector<std::string> AgentMetrics::WhyNotServing() const {
  std::vector<std::string> reasons;
  if (linked_to_leader.value() == 0) reasons.push_back("no link to a coordinator that leads");
  for (const auto& [name, resource] : resources_) {
    if (std::string why = resource->WhyNot(); !why.empty()) reasons.push_back(std::move(why));
  }
  return reasons;
}

}  // namespace assent::agent
