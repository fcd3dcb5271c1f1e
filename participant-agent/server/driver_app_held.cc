// The driver's half that faces applications which hold their branches themselves
// (docs/protocols.md 5).
#include <utility>

#include "adapters/common/statements.h"
#include "base/log.h"
#include "participant-agent/server/convert.h"
#include "participant-agent/server/driver.h"
#include "participant-agent/server/refusals.h"

namespace assent::agent {
namespace {

// Roles are few; more than this and they are asked about anew.
constexpr size_t kRolesMax = 1'000;

std::string EnlistKey(const v1::EnlistRequest& request) {
  return request.gtrid() + '/' + request.open_id();
}

void ToProto(adapters::BranchStatements statements, v1::BranchStatements* out) {
  for (std::string& sql : statements.begin) out->add_begin(std::move(sql));
  for (std::string& sql : statements.prepare) out->add_prepare(std::move(sql));
  for (std::string& sql : statements.abandon) out->add_abandon(std::move(sql));
  out->set_commit(std::move(statements.commit));
  out->set_rollback(std::move(statements.rollback));
}

}  // namespace

void Driver::On(EnlistAsked& event) {
  const v1::EnlistRequest& request = *event.call.request;
  auto refuse = [&](const CallError& error) { event.call.done(&error); };
  const std::string key = EnlistKey(request);
  if (auto it = openings_.find(key); it != openings_.end()) {
    Opening& known = it->second;
    if (!known.enlist.has_value()) return refuse(KeyIsTaken("an Open"));
    if (!known.enlisted.has_value()) {
      known.enlisting.push_back(std::move(event.call));
    } else {
      *event.call.reply = *known.enlisted;
      event.call.done(nullptr);
    }
    return;
  }
  if (auto error = WhyNotServed(request.resource())) return refuse(*error);
  Resource& resource = resources_.at(request.resource());
  if (Leader() == nullptr) return refuse(NoLeader());
  if (auto error = WhyNotBegun(event.gtrid)) return refuse(*error);
  if (request.app_held().connection_id().empty() && TiesPrepared(resource)) {
    return refuse({.code = Code::kInvalidArgument,
                   .reason = v1::REASON_UNSPECIFIED,
                   .message = "app_held.connection_id is empty, and the database of resource " +
                              request.resource() +
                              " ties a prepared branch to its session: give CONNECTION_ID()"});
  }
  if (auto error = WhyNoRoom(request.resource(), resource)) return refuse(*error);
  ++resource.open;
  Opening& opening = openings_[key];
  opening.gtrid = event.gtrid;
  opening.key = key;
  opening.resource = &resource;
  opening.enlist = request;
  opening.role_unchecked = !request.role().empty() && !resource.roles.contains(request.role());
  opening.enlisting.push_back(std::move(event.call));
  if (opening.role_unchecked) resource.looker->CheckRole(request.role());
  Register(opening);
}

void Driver::On(RoleChecked& event) {
  Resource& resource = resources_.at(event.resource);
  if (event.status.ok()) {
    if (resource.roles.size() >= kRolesMax) resource.roles.clear();
    resource.roles.insert(event.role);
  }
  std::vector<std::string> refused;
  for (auto& [key, opening] : openings_) {
    if (!opening.role_unchecked || opening.resource != &resource ||
        opening.enlist->role() != event.role) {
      continue;
    }
    if (event.status.ok()) {
      opening.role_unchecked = false;
      SendRegister(opening);
    } else {
      refused.push_back(key);
    }
  }
  const bool away = event.status.code() == Code::kUnavailable;
  for (const std::string& key : refused) {
    RefuseOpening(key, {.code = event.status.code(),
                        .reason = away ? v1::REASON_DATABASE : v1::REASON_UNSPECIFIED,
                        .message = "role: " + event.status.message(),
                        .retry_delay_ms = away ? kRetryLaterMs : 0});
  }
}

void Driver::Enlisted(const Gid& gid, Opening& opening, uint32_t remaining_ms) {
  Live& live = Track(gid, opening, remaining_ms);
  live.app = SessionOf(opening.enlist->app_held());
  live.core = Branch::AppHeld({.finishes = live.app->finishes});
  v1::EnlistReply& reply = opening.enlisted.emplace();
  reply.set_gid(ToString(gid));
  reply.set_remaining_ms(remaining_ms);
  reply.set_kind(std::string(KindOf(*opening.resource)));
  ToProto(*adapters::StatementsOf(reply.kind(), gid), reply.mutable_statements());
  for (EnlistCall& call : std::exchange(opening.enlisting, {})) {
    *call.reply = reply;
    call.done(nullptr);
  }
}

Driver::AppSession Driver::SessionOf(const v1::AppHeld& app_held) {
  return {.connection_id = app_held.connection_id(),
          .finishes = app_held.finisher() == v1::FINISHER_APP,
          .named = std::chrono::steady_clock::now() - std::chrono::milliseconds(app_held.age_ms())};
}

adapters::AppHeldBranch Driver::AppHeldOf(const Gid& gid, const AppSession& app) {
  return {.gid = gid,
          .connection_id = app.connection_id,
          .finished_by_app = app.finishes,
          .age = std::chrono::duration_cast<std::chrono::milliseconds>(
              std::chrono::steady_clock::now() - app.named)};
}

Driver::Live& Driver::AdoptAppHeld(const Gid& gid, Resource& resource, const AppSession& app) {
  Live& live = live_[gid];
  live.resource = &resource;
  live.app = app;
  live.core = Branch::AppHeld({.finishes = app.finishes}, FromJournal(journal_.WordOn(gid)));
  live.since = std::chrono::steady_clock::now();
  ++resource.open;
  return live;
}

void Driver::NoteAppHeld(Live& live, const v1::AppHeld& app_held) {
  const AppSession app = SessionOf(app_held);
  live.core.Hold({.finishes = app.finishes});
  if (!live.core.app_held()) return;
  if (!live.app.has_value() || live.app->connection_id.empty()) live.app = app;
}

void Driver::On(VoteCalled& event) {
  VoteCall& call = event.call;
  const v1::VoteRequest& request = *call.request;
  Live* live = Find(event.gid);
  if (live != nullptr && !live->core.app_held()) {
    const CallError error{.code = Code::kInvalidArgument,
                          .reason = v1::REASON_UNSPECIFIED,
                          .message =
                              "the branch is not app-held: it is prepared by Commit, or by "
                              "`prepare` of Open and Execute"};
    return call.done(&error);
  }
  if (live == nullptr) {
    const std::string& name = event.gid.bqual.resource;
    if (auto error = WhyNotServed(name)) return call.done(&*error);
    Resource& resource = resources_.at(name);
    if (event.gid.gtrid.cluster != journal_.pin()->cluster) {
      const CallError error{.code = Code::kFailedPrecondition,
                            .reason = v1::REASON_FOREIGN_GTRID,
                            .message = "gid is of cluster " + event.gid.gtrid.cluster +
                                       "; this agent belongs to " + journal_.pin()->cluster};
      return call.done(&error);
    }
    // Only PostgreSQL knows of itself what became of a branch that its application has ended.
    if (!request.has_app_held() && (TiesPrepared(resource) || KindOf(resource) != "postgresql")) {
      v1::BranchRefusal* refusal = call.reply->mutable_verdict()->mutable_refusal();
      refusal->set_cause(v1::BRANCH_CAUSE_UNKNOWN_BRANCH);
      refusal->set_message("agent " + options_.agent_id +
                           " does not know which session holds the branch: say app_held in Vote, "
                           "as it was registered, or Enlist again");
      return call.done(nullptr);
    }
    if (auto error = WhyTooBusy(name, resource)) return call.done(&*error);
    live = &AdoptAppHeld(event.gid, resource, SessionOf(request.app_held()));
  } else if (request.has_app_held()) {
    NoteAppHeld(*live, request.app_held());
  }
  live->votes.push_back(std::move(call));
  Deliver(event.gid, *live, VoteAsked{});
}

void Driver::AnswerVotes(Live& live, const CallError& error) {
  for (VoteCall& call : std::exchange(live.votes, {})) call.done(&error);
}

void Driver::Perform(const Gid& gid, Live& live, const AnswerVote& action) {
  v1::BranchVerdict verdict;
  if (action.vote == Vote::kNo) {
    v1::BranchRefusal* refusal = verdict.mutable_refusal();
    refusal->set_cause(ToProto(action.refusal.cause));
    refusal->set_database_code(action.refusal.code);
    refusal->set_message(Words(action.refusal.message));
  } else {
    v1::Ticket* ticket = verdict.mutable_ticket();
    ticket->set_gid(ToString(gid));
    ticket->set_agent_incarnation(journal_.agent_incarnation());
    ticket->set_evidence(action.evidence);
    ticket->set_read_only(action.vote == Vote::kReadOnly);
  }
  for (VoteCall& call : std::exchange(live.votes, {})) {
    *call.reply->mutable_verdict() = verdict;
    call.done(nullptr);
  }
  if (!live.core.app_held()) live.verdict = std::move(verdict);  // Goes with the work's answer.
}

void Driver::Perform(const Gid& gid, Live& live, const LookUp& action) {
  live.resource->looks.push_back({.branch = AppHeldOf(gid, *live.app), .attempt = action.attempt});
}

void Driver::Perform(const Gid& gid, Live&, const AwaitApplication&) {
  timers_.insert({.at = std::chrono::steady_clock::now() + options_.finish_grace,
                  .kind = TimerKind::kGrace,
                  .gid = gid});
}

void Driver::On(LooksDone& event) {
  if (!event.answers.ok()) {
    const Status& status = event.answers.status();
    const bool away = status.code() == Code::kUnavailable;
    Log(away ? LogLevel::kDebug : LogLevel::kError, "look_failed",
        {{"resource", event.resource}, {"error", status.message()}});
    LookFailed failed;
    if (!away) {
      failed.refusal = {.cause = status.code() == Code::kPermissionDenied ? Cause::kPermission
                                                                          : Cause::kConfiguration,
                        .code = "",
                        .message = status.message()};
    }
    for (const Look& look : event.looks) {
      const Gid& gid = look.branch.gid;
      Live* live = Find(gid);
      if (live == nullptr) continue;
      if (away) {
        AnswerVotes(*live, {.code = Code::kUnavailable,
                            .reason = v1::REASON_DATABASE,
                            .message = "the database of resource " + event.resource +
                                       " can't be asked: " + status.message(),
                            .retry_delay_ms = kRetryLaterMs});
      }
      Deliver(gid, *live, failed);
    }
    return;
  }
  for (size_t i = 0; i < event.looks.size(); ++i) {
    const Gid& gid = event.looks[i].branch.gid;
    Live* live = Find(gid);
    if (live == nullptr) continue;
    adapters::PrepareAnswer& answer = (*event.answers)[i];
    Deliver(gid, *live,
            LookedUp{.prepared = answer.vote == adapters::Vote::kYes,
                     .evidence = std::move(answer.evidence),
                     .refusal = FromAdapter(answer.error)});
  }
}

}  // namespace assent::agent
