// The driver's half that faces coordinators and databases.
#include <algorithm>
#include <utility>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/mutant.h"
#include "base/options.h"
#include "participant-agent/server/convert.h"
#include "participant-agent/server/driver.h"
#include "participant-agent/server/measured_manager.h"

namespace assent::agent {
namespace {

// How long a hello waits for databases to be probed, so that most agents say all at once.
constexpr auto kProbePatience = std::chrono::seconds(2);

std::vector<CoordinatorList::Member> FromProto(const v1::GroupMembers& members) {
  std::vector<CoordinatorList::Member> all;
  for (const v1::GroupMember& member : members.members()) {
    all.push_back({.id = member.id(), .address = member.address()});
  }
  return all;
}

}  // namespace

Driver::Peer* Driver::PeerOf(const Link* link) {
  for (Peer& peer : peers_) {
    if (peer.link == link) return &peer;
  }
  return nullptr;
}

void Driver::Dial(const std::string& target) {
  peers_.push_back({.link = links_->Dial(target)});
  metrics_.SetLinkUp(target, false);
}

// A link that was left stays, silent, until the agent ends: its last events may still come.
void Driver::Redial(const CoordinatorList::Change& change) {
  for (const std::string& target : change.leave) {
    for (Peer& peer : peers_) {
      if (peer.left || peer.link->target() != target) continue;
      LogInfo("coordinator_left", {{"coordinator", target}});
      peer.left = true;
      peer.accepted = false;
      peer.leader = false;
      peer.out.Clear();
      peer.link->Stop();
    }
    metrics_.DropLink(target);
  }
  for (const std::string& target : change.dial) {
    LogInfo("coordinator_learned", {{"coordinator", target}});
    Dial(target);
    peers_.back().link->SetHello(hello_);
  }
}

Driver::Peer* Driver::Leader() {
  Peer* best = nullptr;
  for (Peer& peer : peers_) {
    if (peer.accepted && peer.leader && (best == nullptr || peer.term > best->term)) best = &peer;
  }
  return best;
}

void Driver::SayHello() {
  hello_due_.reset();
  v1::Hello& hello = hello_;
  hello.Clear();
  hello.set_agent_id(options_.agent_id);
  hello.set_agent_incarnation(journal_.agent_incarnation());
  hello.set_version(std::string(Version()));
  if (journal_.pin().has_value() && !repin_) {
    hello.set_cluster_uuid(journal_.pin()->uuid);
    hello.set_group_incarnation(journal_.pin()->group_incarnation);
  }
  for (const auto& [name, resource] : resources_) {
    if (!resource.report.has_value() || !resource.refusal.empty()) continue;
    v1::ServedResource* served = hello.add_resources();
    served->set_name(name);
    served->set_kind(std::string(KindOf(resource)));
    served->set_identity(resource.report->identity);
    served->set_server(resource.report->server);
  }
  for (Peer& peer : peers_) {
    peer.accepted = false;
    peer.leader = false;
    peer.out.Clear();
    peer.link->SetHello(hello);
  }
}

std::string_view Driver::KindOf(const Resource& resource) {
  if (resource.options.kind == "postgresql") return "postgresql";
  return resource.report->server.find("Maria") != std::string::npos ? "mariadb" : "mysql";
}

// One that was never reached may.
bool Driver::TiesPrepared(const Resource& resource) {
  return !resource.report.has_value() || resource.report->ties_prepared;
}

bool Driver::CheckPin(Peer& peer, const v1::Welcome& welcome) {
  const ClusterPin heard{.cluster = welcome.cluster(),
                         .uuid = welcome.cluster_uuid(),
                         .group_incarnation = welcome.group_incarnation()};
  if (!IsClusterName(heard.cluster) || heard.uuid.empty()) {
    LogError("link_refused",
             {{"coordinator", peer.link->target()}, {"error", "its welcome names no cluster"}});
    return false;
  }
  const std::optional<ClusterPin>& pin = journal_.pin();
  // That it meets who it knows uses up no permission: a node of the group before may answer first.
  if (pin == heard) return true;
  // What serves the databases already is made for the cluster's name.
  const bool may = repin_ && (resources_.empty() || pin->cluster == heard.cluster);
  if (pin.has_value() && !may && !MutantOn(Mutant::kRepinUnasked)) {
    LogError("link_refused",
             {{"coordinator", peer.link->target()},
              {"error", "it belongs to another cluster, or its group was restored or set up anew"},
              {"pinned_cluster", pin->cluster},
              {"pinned_uuid", pin->uuid},
              {"pinned_group_incarnation", pin->group_incarnation},
              {"cluster", heard.cluster},
              {"uuid", heard.uuid},
              {"group_incarnation", heard.group_incarnation},
              {"remedy", "if that is meant, start the agent once with --repin"}});
    return false;
  }
  if (Status status = journal_.Pin(heard); !status.ok()) {
    LogError("pin_failed", {{"error", status.message()}});
    return false;
  }
  repin_ = false;
  LogInfo("pinned", {{"cluster", heard.cluster},
                     {"uuid", heard.uuid},
                     {"group_incarnation", heard.group_incarnation}});
  LeaveOthers(peer);
  return true;
}

// The pin has changed: who was welcome before is of the group that is left, and so is its term.
void Driver::LeaveOthers(const Peer& welcome) {
  term_ = 0;
  // Of its gids none is opened any more, and those of the new group may have the same numbers.
  opened_ = OpenedGids(journal_.agent_incarnation());
  for (Peer& peer : peers_) {
    if (&peer == &welcome || !peer.accepted) continue;
    peer.accepted = false;
    peer.leader = false;
    peer.out.Clear();
    peer.link->Refuse();
  }
}

void Driver::On(LinkWelcomed& event) {
  Peer& peer = *PeerOf(event.link);
  if (peer.left) return;
  peer.out.Clear();
  peer.accepted = CheckPin(peer, event.welcome);
  if (!peer.accepted) {
    peer.link->Refuse();
    return;
  }
  LogInfo("link_up", {{"coordinator", peer.link->target()},
                      {"term", event.welcome.leadership().term()},
                      {"leader", event.welcome.leadership().leader()}});
  peer.leader = false;  // What it missed is said again, also to the same leader.
  SetLeadership(peer, event.welcome.leadership());
  if (resources_.empty()) StartResources();
  Redial(coordinators_.Welcomed(peer.link->target(), event.welcome.node_id(),
                                FromProto(event.welcome.members()),
                                std::chrono::steady_clock::now()));
}

void Driver::On(LinkDown& event) {
  Peer& peer = *PeerOf(event.link);
  if (peer.left) return;
  if (peer.accepted) LogInfo("link_down", {{"coordinator", peer.link->target()}});
  peer.accepted = false;
  peer.leader = false;
  peer.out.Clear();
  Redial(coordinators_.Down(peer.link->target(), std::chrono::steady_clock::now()));
}

void Driver::SetLeadership(Peer& peer, const v1::Leadership& leadership) {
  const bool came = leadership.leader() && (!peer.leader || peer.term != leadership.term());
  peer.leader = leadership.leader();
  peer.term = leadership.term();
  if (peer.leader) {
    term_ = std::max(term_, peer.term);
    opened_.EpochBegan(term_);
  }
  if (came && Leader() == &peer) LeaderCame(peer);
}

void Driver::LeaderCame(Peer& peer) {
  // Steps post, and may make room by erasing what was over before; nothing is added meanwhile.
  for (auto& [gid, live] : live_) {
    const bool left = gid.gtrid.incarnation != journal_.pin()->group_incarnation;
    if (left || gid.gtrid.epoch < peer.term) Deliver(gid, live, LaterEpochAnnounced{});
    Deliver(gid, live, agent::LeaderCame{});
    // The abort may have been lost with the link, and its locks would stay until the deadline.
    // (An app-held one holds none here, and is asked about when its database lists it.)
    if (live.core.phase() == Branch::Phase::kOpen && !live.core.app_held()) {
      peer.out.add_inquiries()->set_gid(ToString(gid));
    }
  }
  // The forget may have been lost too: whoever has logged END says it again.
  for (const Gid& gid : journal_.AllDone()) {
    const Live* live = Find(gid);
    if (live != nullptr && !live->core.over()) continue;  // Listed again: it must be done again.
    v1::BranchFinished* finished = peer.out.add_finished();
    finished->set_gid(ToString(gid));
    finished->set_state(v1::BRANCH_STATE_COMMITTED);
  }
  for (const auto& [request_id, key] : registering_) SendRegister(openings_.at(key));
  for (auto& [name, resource] : resources_) resource.watcher->AskAllNow();
}

void Driver::On(LinkSaid& event) {
  Peer& peer = *PeerOf(event.link);
  if (!peer.accepted) return;
  v1::CoordinatorMessage& said = event.message;
  if (said.has_leadership()) SetLeadership(peer, said.leadership());
  for (const v1::BranchRegistered& registered : said.registered()) Registered(registered);
  for (const v1::PrepareBranch& prepare : said.prepares()) Prepare(peer, prepare);
  for (const v1::FinishBranch& finish : said.finishes()) {
    Finish(finish.gid(), finish.commit(), finish.evidence(),
           finish.has_app_held() ? &finish.app_held() : nullptr);
  }
  for (const v1::InquiryAnswer& answer : said.answers()) Answered(answer);
  for (const std::string& gid : said.forget()) Forget(gid);
  if (said.has_members()) {
    Redial(coordinators_.Told(peer.link->target(), FromProto(said.members()),
                              std::chrono::steady_clock::now()));
  }
}

Driver::Resource* Driver::ResourceOf(const std::string& gid_text, Gid* gid) {
  auto parsed = ParseGid(gid_text);
  if (parsed.ok() && journal_.pin().has_value() &&
      parsed->gtrid.cluster == journal_.pin()->cluster) {
    auto it = resources_.find(parsed->bqual.resource);
    if (it != resources_.end()) {
      *gid = *std::move(parsed);
      return &it->second;
    }
  }
  LogWarning("foreign_gid", {{"gid", gid_text}});
  return nullptr;
}

void Driver::Prepare(Peer& peer, const v1::PrepareBranch& prepare) {
  auto gid = ParseGid(prepare.gid());
  Live* live = gid.ok() ? Find(*gid) : nullptr;
  if (prepare.has_app_held()) {
    Gid ours;
    Resource* resource = live == nullptr ? ResourceOf(prepare.gid(), &ours) : nullptr;
    if (resource != nullptr) {
      live = &AdoptAppHeld(ours, *resource, SessionOf(prepare.app_held()));
    } else if (live != nullptr) {
      NoteAppHeld(*live, prepare.app_held());
    }
  }
  if (live != nullptr) {
    const bool room = live->resource->prepared < PreparedLimit(*live->resource);
    Deliver(*gid, *live, PrepareAsked{.room = room});
    return;
  }
  // Never heard of, or lost with the agent's memory: it can't have been prepared by a vote of ours
  // that still counts.
  LogInfo("vote_no", {{"gid", prepare.gid()}, {"cause", CauseName(Cause::kUnknownBranch)}});
  v1::BranchVote* vote = peer.out.add_votes();
  vote->set_gid(prepare.gid());
  vote->set_vote(v1::BranchVote::NO);
  vote->set_cause(v1::BRANCH_CAUSE_UNKNOWN_BRANCH);
  vote->set_message("agent " + options_.agent_id +
                    " does not know the branch: it restarted since, or never opened it");
}

Driver::Live* Driver::Adopt(const Gid& gid, Resource& resource, const std::string& evidence) {
  if (!resource.finishers) return nullptr;
  Live& live = live_[gid];
  live.resource = &resource;
  live.core =
      Branch::Adopted(evidence, FromJournal(journal_.WordOn(gid)), resource.scan.EvidenceOf(gid));
  live.since = std::chrono::steady_clock::now();
  ++resource.prepared;
  return &live;
}

void Driver::Finish(const std::string& gid_text, bool commit, const std::string& evidence,
                    const v1::AppHeld* app_held) {
  Gid gid;
  Resource* resource = ResourceOf(gid_text, &gid);
  if (resource == nullptr) return;
  Live* live = Find(gid);
  if (live != nullptr) {
    if (app_held != nullptr) NoteAppHeld(*live, *app_held);
  } else {
    // Prepared by another agent, or before this one was started: the database knows.
    live = app_held != nullptr ? &AdoptAppHeld(gid, *resource, SessionOf(*app_held))
                               : Adopt(gid, *resource, evidence);
    LogInfo("recovery", {{"gtrid", ToString(gid.gtrid)},
                         {"resource", gid.bqual.resource},
                         {"decision", commit ? "commit" : "abort"}});
  }
  if (commit) {
    Deliver(gid, *live, CommitTold{.evidence = evidence, .listed = resource->scan.EvidenceOf(gid)});
  } else {
    Deliver(gid, *live,
            AbortTold{.evidence = evidence,
                      .listed = resource->scan.EvidenceOf(gid),
                      .grace = live->core.app_finishes() && TiesPrepared(*resource)});
  }
}

void Driver::Answered(const v1::InquiryAnswer& answer) {
  Gid gid;
  Resource* resource = ResourceOf(answer.gid(), &gid);
  if (resource == nullptr) return;
  const MonotonicTime now = std::chrono::steady_clock::now();
  if (answer.answer() == v1::InquiryAnswer::COMMIT || answer.answer() == v1::InquiryAnswer::ABORT) {
    // It was asked about, and has ended and been forgotten since. If it is listed all the same, the
    // next scan asks again.
    const Live* live = Find(gid);
    const bool claimed = live != nullptr && !live->core.unclaimed();
    if (!claimed && !resource->scan.Lists(gid)) return;
    // Told for a prepared branch; an open one hears of its end otherwise.
    Finish(answer.gid(), answer.answer() == v1::InquiryAnswer::COMMIT, answer.evidence(), nullptr);
  } else if (answer.answer() == v1::InquiryAnswer::HAZARD ||
             answer.answer() == v1::InquiryAnswer::FOREIGN) {
    resource->scan.Answered(gid, LastAnswer::kLeaveAlone, now);
    LogError("left_prepared",
             {{"gid", answer.gid()},
              {"answer", v1::InquiryAnswer::Answer_Name(answer.answer())},
              {"inspect", resource->manager->HandSql(gid).inspect},
              {"remedy",
               "nobody can tell what was decided: compare the databases, then finish it "
               "by hand"}});
  } else {
    // In both cases the decision will be told.
    const bool awaited = answer.answer() == v1::InquiryAnswer::PENDING ||
                         answer.answer() == v1::InquiryAnswer::LEFT_TO_APP;
    resource->scan.Answered(gid, awaited ? LastAnswer::kPending : LastAnswer::kRetry, now);
    Live* live = answer.answer() == v1::InquiryAnswer::PENDING ? Find(gid) : nullptr;
    if (live != nullptr) Deliver(gid, *live, StillUndecided{});
  }
}

void Driver::Forget(const std::string& gid_text) {
  auto gid = ParseGid(gid_text);
  if (!gid.ok()) return;
  Live* live = Find(*gid);
  if (live != nullptr && !live->core.may_forget()) return;
  ASSENT_FAILPOINT("agent.forget.before");
  journal_.Forget(*gid);
  ASSENT_FAILPOINT("agent.forget.after");
  Erase(*gid);
}

size_t Driver::PreparedLimit(const Resource& resource) const {
  const size_t most = resource.report.has_value() ? resource.report->prepared_max : 0;
  if (most == 0) return SIZE_MAX;  // None known.
  return most - std::min(most - 1, std::max<size_t>(1, most / 10));
}

void Driver::StartResources() {
  hello_due_ = std::chrono::steady_clock::now() + kProbePatience;
  for (const ResourceOptions& options : options_.resources) {
    auto [it, added] =
        resources_.try_emplace(options.name, options, Duration(options_.inquiry_age));
    Resource& resource = it->second;
    resource.manager =
        Measured(factory_(options, journal_.pin()->cluster), metrics_.Of(options.name));
    resource.sessions =
        std::make_unique<SessionPool>(*resource.manager, inbox_, options_.sessions_max);
    resource.finishers =
        std::make_unique<FinishPool>(*resource.manager, inbox_, options_.finish_sessions);
    resource.looker = std::make_unique<Looker>(options.name, *resource.manager, inbox_);
    resource.watcher = std::make_unique<ResourceWatcher>(options.name, *resource.manager, inbox_,
                                                         Duration(options_.recovery_scan_interval));
  }
}

void Driver::On(ResourceProbed& event) {
  Resource& resource = resources_.at(event.resource);
  std::string refusal;
  for (const adapters::Finding& finding : event.report.findings) {
    const std::string text = finding.name + " is " + finding.value + ": " + finding.remedy;
    Log(finding.fatal ? LogLevel::kError : LogLevel::kWarning,
        finding.fatal ? "resource_refused" : "resource_finding",
        {{"resource", event.resource},
         {"setting", finding.name},
         {"value", finding.value},
         {"remedy", finding.remedy}});
    if (finding.fatal) refusal += (refusal.empty() ? "" : "; ") + text;
  }
  if (resource.report.has_value() && resource.report->identity != event.report.identity) {
    refusal = "its database was " + resource.report->identity + " and is now " +
              event.report.identity +
              ": point the resource back, or restart the agent if that is "
              "meant";
    LogError("resource_refused", {{"resource", event.resource}, {"error", refusal}});
    event.report = *resource.report;
  }
  const bool news = !resource.report.has_value() || resource.refusal != refusal ||
                    resource.report->server != event.report.server;
  if (refusal.empty() && (news || !resource.unreachable.empty())) {
    LogInfo("resource_ready", {{"resource", event.resource},
                               {"server", event.report.server},
                               {"identity", event.report.identity},
                               {"prepared_max", event.report.prepared_max}});
  }
  resource.report = std::move(event.report);
  resource.refusal = std::move(refusal);
  resource.unreachable.clear();
  const bool all_known = std::all_of(resources_.begin(), resources_.end(),
                                     [](const auto& r) { return r.second.report.has_value(); });
  if (news && (all_known || !hello_due_.has_value())) SayHello();
}

void Driver::On(ResourceUnreachable& event) {
  Resource& resource = resources_.at(event.resource);
  if (resource.unreachable.empty()) {
    LogWarning("resource_unreachable", {{"resource", event.resource}, {"error", event.detail}});
  }
  resource.unreachable = event.detail.empty() ? "unknown" : event.detail;
}

void Driver::On(ResourceListed& event) {
  Resource& resource = resources_.at(event.resource);
  std::vector<ListedBranch> listed;
  listed.reserve(event.listed.size());
  for (adapters::PreparedBranch& branch : event.listed) {
    listed.push_back({.gid = std::move(branch.gid), .evidence = std::move(branch.evidence)});
  }
  auto know = [this](const Gid& gid) -> Known {
    const Live* live = Find(gid);
    if (live == nullptr || live->core.unclaimed()) return {};
    switch (live->core.phase()) {
      case Branch::Phase::kOpen:
      case Branch::Phase::kPreparing:
      case Branch::Phase::kRollingBack:
        return {.knowledge = Knowledge::kAtWork, .since = live->since};
      case Branch::Phase::kPrepared:
        return {.knowledge = Knowledge::kPrepared, .since = live->since};
      case Branch::Phase::kFinishing:
        return {.knowledge = Knowledge::kFinishing, .since = live->since};
      case Branch::Phase::kFinished:
      case Branch::Phase::kGone:
        break;
    }
    return {.knowledge = Knowledge::kOver, .since = live->since};
  };
  std::vector<ListedBranch> waiting;
  for (const auto& [gid, live] : live_) {
    if (live.resource == &resource && live.core.phase() == Branch::Phase::kPrepared) {
      waiting.push_back({.gid = gid, .evidence = live.core.evidence()});
    }
  }
  Peer* leader = Leader();
  ScanVerdict verdict = resource.scan.Listed(listed, event.began, event.ask_all, know, waiting);
  for (const Gid& gid : verdict.relisted) {
    LogWarning("listed_again", {{"gid", ToString(gid)}, {"resource", event.resource}});
    std::optional<AppSession> app;
    if (Live* live = Find(gid)) {
      openings_.erase(live->open_key);
      app = live->app;
    }
    live_.erase(gid);
    journal_.Forget(gid);  // What was done is undone.
    if (app.has_value() && !MutantOn(Mutant::kAbortForgetsSession)) {
      // Prepared after its abort, most likely. Who rolls it back must know the session that may
      // hold it; beyond that nothing is claimed of it.
      Deliver(gid, AdoptAppHeld(gid, resource, *app), DeadlinePassed{});
    }
  }
  for (const Gid& gid : verdict.gone) {
    Live* live = Find(gid);
    // Of a stranger it is no news to people: most likely another agent has finished its own; nor of
    // one that its application ends.
    const bool news = live != nullptr && !live->core.unclaimed() && !live->core.app_finishes();
    Log(news ? LogLevel::kWarning : LogLevel::kDebug, "prepared_branch_gone",
        {{"gid", ToString(gid)}, {"resource", event.resource}});
    if (live != nullptr) {
      Deliver(gid, *live, Vanished{});
      continue;
    }
    if (leader == nullptr) continue;
    v1::BranchLost* lost = leader->out.add_lost();
    lost->set_gid(ToString(gid));
    lost->set_cause(v1::BRANCH_CAUSE_CONNECTION_LOST);
    lost->set_message("the database listed this prepared branch and does no more");
  }
  if (leader == nullptr) return;  // The next one is told of all.
  for (const ListedBranch& branch : verdict.inquire) {
    v1::Inquiry* inquiry = leader->out.add_inquiries();
    inquiry->set_gid(ToString(branch.gid));
    inquiry->set_evidence(branch.evidence);
  }
}

}  // namespace assent::agent
