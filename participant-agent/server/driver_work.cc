// The driver's half that faces services and their sessions.
#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/mutant.h"
#include "participant-agent/server/convert.h"
#include "participant-agent/server/driver.h"
#include "participant-agent/server/refusals.h"

namespace assent::agent {
namespace {

// How long an Open waits for the coordinator to register its branch.
constexpr auto kRegisterPatience = std::chrono::seconds(5);

std::string OpenKey(const v1::OpenRequest& request) {
  return request.gtrid() + '/' + request.open_id();
}

}  // namespace

std::optional<CallError> Driver::WhyNotServed(const std::string& name) const {
  auto it = resources_.find(name);
  if (it == resources_.end()) {
    std::string known;
    for (const ResourceOptions& resource : options_.resources) {
      if (resource.name == name) {
        return CallError{.code = Code::kUnavailable,
                         .reason = v1::REASON_NOT_LEADER,
                         .message =
                             "no coordinator has been reached yet since the agent's first "
                             "start: is assentd running, and `coordinators` right?",
                         .retry_delay_ms = kRetryLaterMs};
      }
      known += (known.empty() ? "" : ", ") + resource.name;
    }
    return CallError{
        .code = Code::kNotFound,
        .reason = v1::REASON_UNKNOWN_RESOURCE,
        .message = "this agent serves no resource \"" + name + "\"; it serves: " + known};
  }
  const Resource& resource = it->second;
  if (!resource.refusal.empty()) {
    return CallError{.code = Code::kFailedPrecondition,
                     .reason = v1::REASON_DATABASE,
                     .message = "resource " + name + " is not served: " + resource.refusal};
  }
  if (!resource.report.has_value() || !resource.unreachable.empty()) {
    return CallError{
        .code = Code::kUnavailable,
        .reason = v1::REASON_DATABASE,
        .message = "the database of resource " + name + " can't be reached: " +
                   (resource.unreachable.empty() ? "not probed yet" : resource.unreachable),
        .retry_delay_ms = kRetryLaterMs};
  }
  return std::nullopt;
}

std::optional<CallError> Driver::WhyNotBegun(const Gtrid& gtrid) const {
  // Of a group incarnation that is over, however high its epoch, nobody will ever decide.
  const bool ours = !journal_.pin() || journal_.pin()->group_incarnation == gtrid.incarnation;
  if ((ours && gtrid.epoch >= term_) || MutantOn(Mutant::kOldEpochOpened)) return std::nullopt;
  return CallError{.code = Code::kFailedPrecondition,
                   .reason = v1::REASON_NOT_ACTIVE,
                   .message = "the coordinator that began " + ToString(gtrid) +
                              " has restarted or lost leadership since; begin anew"};
}

std::optional<CallError> Driver::WhyNoRoom(const std::string& name,
                                           const Resource& resource) const {
  const size_t limit = PreparedLimit(resource);
  if (resource.open + std::max(resource.prepared, resource.scan.listed_count()) >= limit) {
    return CallError{.code = Code::kResourceExhausted,
                     .reason = v1::REASON_LIMIT,
                     .message = "resource " + name + " has " + std::to_string(limit) +
                                " branches that are prepared or may be, the most its database can "
                                "keep less a reserve; retry, or raise max_prepared_transactions",
                     .retry_delay_ms = kRetrySoonMs};
  }
  return WhyTooBusy(name, resource);
}

std::optional<CallError> Driver::WhyTooBusy(const std::string& name,
                                            const Resource& resource) const {
  if (resource.open < kAtWorkMax) return std::nullopt;
  return CallError{.code = Code::kResourceExhausted,
                   .reason = v1::REASON_LIMIT,
                   .message = "resource " + name + " has " + std::to_string(kAtWorkMax) +
                              " branches at work, its maximum; retry",
                   .retry_delay_ms = kRetrySoonMs};
}

std::optional<CallError> Driver::WhyNotOpened(const Gid& gid, const Resource& resource) const {
  if (gid.gtrid.cluster != journal_.pin()->cluster) {
    return CallError{.code = Code::kFailedPrecondition,
                     .reason = v1::REASON_FOREIGN_GTRID,
                     .message = "gid is of cluster " + gid.gtrid.cluster +
                                "; this agent belongs to " + journal_.pin()->cluster};
  }
  auto known = live_.find(gid);
  if (known != live_.end() && !MutantOn(Mutant::kOpenedTwice)) {
    // Told that it is over before its Open came, or opened, and its answer is not kept any more.
    return WhyNoWork(known->second);
  }
  if (resource.scan.Lists(gid)) {
    return CallError{.code = Code::kFailedPrecondition,
                     .reason = v1::REASON_NOT_ACTIVE,
                     .message = "the database lists " + ToString(gid) +
                                " as prepared already: this is a repeat of an Open that this agent "
                                "does not remember; roll back and begin anew"};
  }
  return std::nullopt;
}

std::optional<CallError> Driver::WhyNotOnce(const Gid& gid, uint64_t holder) {
  std::string why;
  switch (opened_.Open(gid, holder)) {
    case OpenedGids::Verdict::kFresh:
      return std::nullopt;
    case OpenedGids::Verdict::kRepeated:
      why = " was opened before, and is over";
      break;
    case OpenedGids::Verdict::kOtherHolder:
      why = " is for the agent of incarnation " + std::to_string(holder) +
            ", which has been restarted since (this one is " +
            std::to_string(journal_.agent_incarnation()) + "), and may have been opened by it";
      break;
    case OpenedGids::Verdict::kTooOld:
      why = " is older than the last " + std::to_string(OpenedGids::kRemembered) +
            " branches that were opened here, and may have been among those before";
      break;
  }
  if (MutantOn(Mutant::kOpenedTwice)) return std::nullopt;
  return CallError{.code = Code::kFailedPrecondition,
                   .reason = v1::REASON_NOT_ACTIVE,
                   .message = ToString(gid) + why + "; roll back and begin anew"};
}

void Driver::On(OpenAsked& event) {
  const v1::OpenRequest& request = *event.call.request;
  auto refuse = [&](const CallError& error) { event.call.done(&error); };
  const std::string key = event.gid.has_value() ? request.gid() : OpenKey(request);
  const bool repeats_unseen = event.gid.has_value() && MutantOn(Mutant::kOpenedTwice);
  if (auto it = openings_.find(key); it != openings_.end() && !repeats_unseen) {
    Opening& known = it->second;
    if (known.enlist.has_value()) return refuse(KeyIsTaken("an Enlist"));
    if (!known.reply.has_value()) {
      known.waiting.push_back(std::move(event.call));
    } else {
      *event.call.reply = *known.reply;
      event.call.done(nullptr);
    }
    return;
  }
  const std::string& name = event.gid.has_value() ? event.gid->bqual.resource : request.resource();
  if (auto error = WhyNotServed(name)) return refuse(*error);
  Resource& resource = resources_.at(name);
  if (!event.gid.has_value() && Leader() == nullptr) return refuse(NoLeader());
  if (auto error = WhyNotBegun(event.gtrid)) return refuse(*error);
  if (event.gid.has_value()) {
    if (auto error = WhyNotOpened(*event.gid, resource)) return refuse(*error);
  }
  if (auto error = WhyNoRoom(name, resource)) return refuse(*error);
  SessionThread* session = resource.sessions->Acquire();
  if (session == nullptr) {
    return refuse({.code = Code::kResourceExhausted,
                   .reason = v1::REASON_LIMIT,
                   .message = "all " + std::to_string(options_.sessions_max) +
                              " sessions (sessions_max) of resource " + name + " are in use; retry",
                   .retry_delay_ms = kRetrySoonMs});
  }
  if (event.gid.has_value()) {
    if (auto error = WhyNotOnce(*event.gid, request.agent_incarnation())) {
      resource.sessions->Release(session);
      return refuse(*error);
    }
  }
  ++resource.open;
  Opening& opening = openings_[key];
  opening.gtrid = event.gtrid;
  opening.key = key;
  opening.resource = &resource;
  opening.session = session;
  opening.waiting.push_back(std::move(event.call));
  if (event.gid.has_value()) {
    // The coordinator has it already, from Begin.
    BeginWork(*event.gid, opening, request.remaining_ms());
  } else {
    Register(opening);
  }
}

void Driver::Register(Opening& opening) {
  opening.request_id = next_request_id_++;
  registering_[opening.request_id] = opening.key;
  opening.registers_until = std::chrono::steady_clock::now() + kRegisterPatience;
  timers_.insert({.at = opening.registers_until,
                  .kind = TimerKind::kRegister,
                  .gid = {},
                  .request_id = opening.request_id});
  SendRegister(opening);
}

void Driver::SendRegister(const Opening& opening) {
  Peer* leader = Leader();
  if (leader == nullptr) return;       // Said again to the next leader.
  if (opening.role_unchecked) return;  // Its answer is awaited first.
  v1::RegisterBranch* registers = leader->out.add_registers();
  registers->set_request_id(opening.request_id);
  registers->set_gtrid(ToString(opening.gtrid));
  registers->set_resource(opening.resource->options.name);
  if (opening.enlist.has_value()) {
    *registers->mutable_app_held() = opening.enlist->app_held();
    registers->set_again(opening.enlist->again());
  }
}

void Driver::StopRegistering(const Opening& opening) {
  registering_.erase(opening.request_id);
  timers_.erase({.at = opening.registers_until,
                 .kind = TimerKind::kRegister,
                 .gid = {},
                 .request_id = opening.request_id});
}

void Driver::RefuseOpening(const std::string& key, const CallError& error) {
  auto it = openings_.find(key);
  if (it == openings_.end()) return;
  Opening& opening = it->second;
  StopRegistering(opening);
  if (opening.session != nullptr || opening.enlist.has_value()) --opening.resource->open;
  if (opening.session != nullptr) opening.resource->sessions->Release(opening.session);
  for (OpenCall& call : opening.waiting) call.done(&error);
  for (EnlistCall& call : opening.enlisting) call.done(&error);
  openings_.erase(it);
}

void Driver::Registered(const v1::BranchRegistered& registered) {
  auto known = registering_.find(registered.request_id());
  if (known == registering_.end()) return;  // A repeat, or given up.
  const std::string key = known->second;
  Opening& opening = openings_.at(key);
  if (registered.code() != 0) {
    RefuseOpening(key, {.code = static_cast<Code>(registered.code()),
                        .reason = registered.reason(),
                        .message = registered.message(),
                        .retry_delay_ms = kRetrySoonMs});
    return;
  }
  auto gid = ParseGid(registered.gid());
  if (!gid.ok() || gid->gtrid != opening.gtrid ||
      gid->bqual.resource != opening.resource->options.name || live_.contains(*gid)) {
    LogError("bad_registration", {{"gtrid", ToString(opening.gtrid)}, {"gid", registered.gid()}});
    RefuseOpening(key,
                  {.code = Code::kInternal,
                   .reason = v1::REASON_UNSPECIFIED,
                   .message = "the coordinator registered \"" + registered.gid() +
                              "\", which is not a fresh branch of " + ToString(opening.gtrid)});
    return;
  }
  if (auto over = WhyNotBegun(gid->gtrid)) {
    // The last word of a leader that is none any more: nobody would ever end such a branch.
    RefuseOpening(key, *over);
    return;
  }
  StopRegistering(opening);
  if (opening.enlist.has_value()) {
    Enlisted(*gid, opening, registered.remaining_ms());
  } else {
    BeginWork(*gid, opening, registered.remaining_ms());
  }
}

Driver::Live& Driver::Track(const Gid& gid, Opening& opening, uint32_t remaining_ms) {
  Live& live = live_[gid];
  live.resource = opening.resource;
  live.session = std::exchange(opening.session, nullptr);
  live.open_key = opening.key;
  live.since = std::chrono::steady_clock::now();
  live.deadline = live.since + std::chrono::milliseconds(remaining_ms);
  timers_.insert({.at = live.deadline, .kind = TimerKind::kDeadline, .gid = gid});
  return live;
}

void Driver::BeginWork(const Gid& gid, Opening& opening, uint32_t remaining_ms) {
  const v1::OpenRequest& request = *opening.waiting.front().request;
  Live& live = Track(gid, opening, remaining_ms);
  live.started_with_work = request.statements_size() > 0;
  if (live.started_with_work) live.sequence.Began(1);
  live.core.Step(WorkBegan{.prepares = request.prepare()});
  adapters::StartOptions start{.isolation = FromProto(request.isolation()),
                               .read_only = request.read_only(),
                               .lock_timeout = options_.lock_timeout};
  if (request.lock_timeout_ms() > 0) {
    start.lock_timeout = std::chrono::milliseconds(request.lock_timeout_ms());
  }
  live.session->Post(SessionThread::StartTask{.gid = gid,
                                              .options = start,
                                              .statements = &request.statements(),
                                              .prepare = request.prepare()});
}

void Driver::AnswerOpening(Opening& opening, const Live& live) {
  opening.reply->set_remaining_ms(RemainingMs(live.deadline));
  for (OpenCall& call : opening.waiting) {
    *call.reply = *opening.reply;
    call.done(nullptr);
  }
  opening.waiting.clear();
}

void Driver::On(WorkDone& event) {
  Live* live = Find(event.gid);
  if (live == nullptr) return;
  live->sequence.Ended();
  live->verdict.reset();
  Deliver(event.gid, *live,
          WorkEnded{.failure = std::move(event.failure),
                    .session_lost = event.session_lost,
                    .prepared = std::move(event.prepared)});
  std::vector<ExecuteCall> waiting = std::exchange(live->waiting, {});
  if (event.starting && event.start_refusal.has_value()) {
    // The coordinator counts this branch already, so the transaction can't do without it.
    const CallError error{.code = Code::kAborted,
                          .reason = v1::REASON_DATABASE,
                          .message = "the database of resource " + live->resource->options.name +
                                     " did not begin a branch: " + event.start_refusal->message +
                                     "; roll back and begin anew"};
    RefuseOpening(live->open_key, error);
    for (ExecuteCall& call : waiting) call.done(&error);
    return;
  }
  live->streamed = live->stream != nullptr;
  if (auto stream = std::exchange(live->stream, nullptr)) {
    live->stored.Clear();
    return stream->End(event.results.front());
  }
  auto keep = [&](auto& reply) {
    reply.mutable_results()->Reserve(static_cast<int>(event.results.size()));
    for (v1::StatementResult& result : event.results) *reply.add_results() = std::move(result);
    if (live->verdict.has_value()) *reply.mutable_verdict() = *std::move(live->verdict);
  };
  live->stored.Clear();
  live->stored_dropped = false;
  if (event.starting) {
    Opening& opening = openings_.at(live->open_key);
    keep(opening.reply.emplace());
    opening.reply->set_gid(ToString(event.gid));
    AnswerOpening(opening, *live);
  } else {
    keep(live->stored);
  }
  for (ExecuteCall& call : waiting) {
    Replay(*live, call.reply);
    call.done(nullptr);
  }
  if (live->core.over()) DropLargeAnswers(*live);
}

// The answer of the last seq; false if it is not kept any more.
bool Driver::Replay(const Live& live, v1::ExecuteReply* reply) const {
  if (live.started_with_work && live.sequence.last() == 1) {
    auto opening = openings_.find(live.open_key);
    if (opening == openings_.end() || !opening->second.reply.has_value()) return false;
    *reply->mutable_results() = opening->second.reply->results();
    if (opening->second.reply->has_verdict()) {
      *reply->mutable_verdict() = opening->second.reply->verdict();
    }
    return true;
  }
  if (live.streamed || live.stored_dropped) return false;
  *reply = live.stored;
  return true;
}

CallError Driver::WhyNoWork(const Live& live) const {
  if (live.core.app_held()) {
    return {.code = Code::kInvalidArgument,
            .reason = v1::REASON_UNSPECIFIED,
            .message = "the branch is app-held: work on the session that was enlisted"};
  }
  switch (live.core.phase()) {
    case Branch::Phase::kOpen:
    case Branch::Phase::kPreparing:
    case Branch::Phase::kPrepared:
    case Branch::Phase::kFinishing:
    case Branch::Phase::kFinished:
      return {.code = Code::kFailedPrecondition,
              .reason = v1::REASON_NOT_ACTIVE,
              .message = "the transaction takes no more work: Commit or Rollback arrived"};
    case Branch::Phase::kRollingBack:
    case Branch::Phase::kGone:
      break;
  }
  return {.code = Code::kNotFound,
          .reason = v1::REASON_BRANCH_LOST,
          .message = "the branch is lost (" + std::string(CauseName(live.core.refusal().cause)) +
                     ": " + live.core.refusal().message + "); roll back and begin anew"};
}

CallError Driver::UnknownBranch(const std::string& gid) const {
  return {.code = Code::kNotFound,
          .reason = v1::REASON_BRANCH_LOST,
          .message = "this agent does not know the branch " + gid +
                     ": it restarted, or the transaction is over; roll back and begin anew"};
}

std::optional<CallError> Driver::WhyNotNext(const Live& live, uint64_t seq) const {
  const bool takes_work = (live.core.phase() == Branch::Phase::kOpen && !live.core.app_held()) ||
                          MutantOn(Mutant::kEarlyPreparedWorks);
  if (!takes_work) return WhyNoWork(live);
  auto refusal = [](std::string why) {
    return CallError{.code = Code::kFailedPrecondition,
                     .reason = v1::REASON_SEQUENCE_GAP,
                     .message = std::move(why)};
  };
  const std::string last = std::to_string(live.sequence.last());
  switch (live.sequence.Asked(seq)) {
    case WorkSequence::Verdict::kRun:
      // Whoever names a branch before its Open has answered has guessed.
      if (live.core.working()) {
        return refusal("the branch is still being opened: wait for the answer of Open");
      }
      return std::nullopt;
    case WorkSequence::Verdict::kReplay:
    case WorkSequence::Verdict::kJoin:
      return refusal("seq " + last +
                     " was used before, and what is streamed is not repeated; roll back and begin "
                     "anew");
    case WorkSequence::Verdict::kBusy:
      return refusal("seq " + std::to_string(seq) + " came while seq " + last +
                     " still runs: wait for its answer");
    case WorkSequence::Verdict::kGap:
      break;
  }
  return refusal("seq " + std::to_string(seq) + " is neither the last one, " + last +
                 ", nor the next");
}

void Driver::On(ExecuteAsked& event) {
  ExecuteCall& call = event.call;
  auto refuse = [&](const CallError& error) { call.done(&error); };
  Live* live = Find(event.gid);
  if (live == nullptr) return refuse(UnknownBranch(call.request->gid()));
  const uint64_t seq = call.request->seq();
  const WorkSequence::Verdict verdict = live->sequence.Asked(seq);
  if (verdict == WorkSequence::Verdict::kReplay && Replay(*live, call.reply)) {
    return call.done(nullptr);
  }
  if (verdict == WorkSequence::Verdict::kJoin && live->stream == nullptr) {
    live->waiting.push_back(std::move(call));
    return;
  }
  if (auto error = WhyNotNext(*live, seq)) return refuse(*error);
  live->sequence.Began(seq);
  live->core.Step(WorkBegan{.prepares = call.request->prepare()});
  live->session->Post(SessionThread::RunTask{.gid = event.gid,
                                             .statements = &call.request->statements(),
                                             .prepare = call.request->prepare()});
  live->waiting.push_back(std::move(call));
}

void Driver::On(StreamAsked& event) {
  const v1::ExecuteRequest& request = event.stream->request();
  Live* live = Find(event.gid);
  if (live == nullptr) return event.stream->Fail(UnknownBranch(request.gid()));
  if (auto error = WhyNotNext(*live, request.seq())) return event.stream->Fail(*error);
  live->sequence.Began(request.seq());
  live->core.Step(WorkBegan{});
  live->session->Post(SessionThread::StreamTask{.gid = event.gid, .stream = event.stream});
  live->stream = std::move(event.stream);
}

void Driver::On(PrepareDone& event) {
  Live* live = Find(event.gid);
  if (live == nullptr) return;
  Deliver(event.gid, *live, event.answer);
}

void Driver::On(RollbackDone& event) {
  if (Live* live = Find(event.gid)) {
    Deliver(event.gid, *live, SessionRolledBack{.session_lost = event.session_lost});
  }
}

void Driver::On(FinishDone& event) {
  Live* live = Find(event.gid);
  if (live == nullptr) return;
  if (event.answer.finish == FinishClass::kTransient ||
      event.answer.finish == FinishClass::kRefused) {
    Log(event.answer.finish == FinishClass::kRefused ? LogLevel::kError : LogLevel::kDebug,
        "finish_waits", {{"gid", ToString(event.gid)}, {"detail", event.answer.detail}});
  }
  Deliver(event.gid, *live, event.answer);
}

}  // namespace assent::agent
