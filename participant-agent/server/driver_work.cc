// The driver's half that faces services and their sessions.
#include <utility>

#include "base/log.h"
#include "participant-agent/server/convert.h"
#include "participant-agent/server/driver.h"

namespace assent::agent {
namespace {

// How long an Open waits for the coordinator to register its branch.
constexpr auto kRegisterPatience = std::chrono::seconds(5);
constexpr uint32_t kRetrySoonMs = 50;
constexpr uint32_t kRetryLaterMs = 500;

std::string OpenKey(const v1::OpenRequest& request) {
  return request.gtrid() + '/' + request.open_id();
}

uint32_t RemainingMs(MonotonicTime deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  return left.count() < 0 ? 0 : static_cast<uint32_t>(left.count());
}

CallError EpochIsOver(const Gtrid& gtrid) {
  return {.code = Code::kFailedPrecondition,
          .reason = v1::REASON_NOT_ACTIVE,
          .message = "the coordinator that began " + ToString(gtrid) +
                     " has restarted or lost leadership since; begin anew"};
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

void Driver::On(OpenAsked& event) {
  const v1::OpenRequest& request = *event.call.request;
  const std::string key = OpenKey(request);
  if (auto it = openings_.find(key); it != openings_.end()) {
    Opening& known = it->second;
    if (!known.reply.has_value()) {
      known.waiting.push_back(std::move(event.call));
    } else {
      *event.call.reply = *known.reply;
      event.call.done(nullptr);
    }
    return;
  }
  auto refuse = [&](const CallError& error) { event.call.done(&error); };
  if (auto error = WhyNotServed(request.resource())) return refuse(*error);
  Resource& resource = resources_.at(request.resource());
  Peer* leader = Leader();
  if (leader == nullptr) {
    return refuse({.code = Code::kUnavailable,
                   .reason = v1::REASON_NOT_LEADER,
                   .message = "no link to a coordinator that leads; retry",
                   .retry_delay_ms = 200});
  }
  if (event.gtrid.epoch < leader->term) {
    return refuse(EpochIsOver(event.gtrid));
  }
  const size_t limit = PreparedLimit(resource);
  if (resource.open + std::max(resource.prepared, resource.scan.listed_count()) >= limit) {
    return refuse({.code = Code::kResourceExhausted,
                   .reason = v1::REASON_LIMIT,
                   .message = "resource " + request.resource() + " has " + std::to_string(limit) +
                              " branches that are prepared or may be, the most its database can "
                              "keep less a reserve; retry, or raise max_prepared_transactions",
                   .retry_delay_ms = kRetrySoonMs});
  }
  SessionThread* session = resource.sessions->Acquire();
  if (session == nullptr) {
    return refuse({.code = Code::kResourceExhausted,
                   .reason = v1::REASON_LIMIT,
                   .message = "all " + std::to_string(options_.sessions_max) +
                              " sessions (sessions_max) of resource " + request.resource() +
                              " are in use; retry",
                   .retry_delay_ms = kRetrySoonMs});
  }
  ++resource.open;
  Opening& opening = openings_[key];
  opening.gtrid = event.gtrid;
  opening.key = key;
  opening.resource = &resource;
  opening.session = session;
  opening.request_id = next_request_id_++;
  opening.waiting.push_back(std::move(event.call));
  registering_[opening.request_id] = key;
  opening.registers_until = std::chrono::steady_clock::now() + kRegisterPatience;
  timers_.insert({.at = opening.registers_until,
                  .kind = TimerKind::kRegister,
                  .gid = {},
                  .request_id = opening.request_id});
  SendRegister(opening);
}

void Driver::SendRegister(const Opening& opening) {
  Peer* leader = Leader();
  if (leader == nullptr) return;  // Said again to the next leader.
  v1::RegisterBranch* registers = leader->out.add_registers();
  registers->set_request_id(opening.request_id);
  registers->set_gtrid(ToString(opening.gtrid));
  registers->set_resource(opening.resource->options.name);
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
  if (opening.session != nullptr) {  // Not yet a branch.
    opening.resource->sessions->Release(opening.session);
    --opening.resource->open;
  }
  for (OpenCall& call : opening.waiting) call.done(&error);
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
  if (const Peer* leader = Leader(); leader != nullptr && gid->gtrid.epoch < leader->term) {
    // The last word of a leader that is none any more: nobody would ever end such a branch.
    RefuseOpening(key, EpochIsOver(opening.gtrid));
    return;
  }
  StopRegistering(opening);
  const v1::OpenRequest& request = *opening.waiting.front().request;
  Live& live = live_[*gid];
  live.resource = opening.resource;
  live.session = std::exchange(opening.session, nullptr);
  live.open_key = key;
  live.since = std::chrono::steady_clock::now();
  live.deadline = live.since + std::chrono::milliseconds(registered.remaining_ms());
  timers_.insert({.at = live.deadline, .kind = TimerKind::kDeadline, .gid = *gid});
  if (request.statements_size() > 0) live.sequence.Began(1);
  live.core.Step(WorkBegan{});
  adapters::StartOptions start{.isolation = FromProto(request.isolation()),
                               .read_only = request.read_only(),
                               .lock_timeout = options_.lock_timeout};
  if (request.lock_timeout_ms() > 0) {
    start.lock_timeout = std::chrono::milliseconds(request.lock_timeout_ms());
  }
  live.session->Post(
      SessionThread::StartTask{.gid = *gid, .options = start, .statements = &request.statements()});
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
  if (event.starting && event.start_refusal.has_value()) {
    // The coordinator counts this branch already, so the transaction can't do without it.
    const CallError error{.code = Code::kAborted,
                          .reason = v1::REASON_DATABASE,
                          .message = "the database of resource " + live->resource->options.name +
                                     " did not begin a branch: " + event.start_refusal->message +
                                     "; roll back and begin anew"};
    RefuseOpening(live->open_key, error);
    for (ExecuteCall& call : std::exchange(live->waiting, {})) call.done(&error);
  } else {
    live->stored.Clear();
    for (v1::StatementResult& result : event.results) {
      *live->stored.add_results() = std::move(result);
    }
    if (event.starting) {
      Opening& opening = openings_.at(live->open_key);
      opening.reply.emplace();
      opening.reply->set_gid(ToString(event.gid));
      *opening.reply->mutable_results() = live->stored.results();
      AnswerOpening(opening, *live);
    }
    for (ExecuteCall& call : std::exchange(live->waiting, {})) {
      *call.reply = live->stored;
      call.done(nullptr);
    }
  }
  Deliver(event.gid, *live,
          WorkEnded{.failure = std::move(event.failure), .session_lost = event.session_lost});
}

CallError Driver::WhyNoWork(const Live& live) const {
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

void Driver::On(ExecuteAsked& event) {
  ExecuteCall& call = event.call;
  auto refuse = [&](const CallError& error) { call.done(&error); };
  Live* live = Find(event.gid);
  if (live == nullptr) {
    return refuse({.code = Code::kNotFound,
                   .reason = v1::REASON_BRANCH_LOST,
                   .message = "this agent does not know the branch " + call.request->gid() +
                              ": it restarted, or the transaction is over; roll back and begin "
                              "anew"});
  }
  const WorkSequence::Verdict verdict = live->sequence.Asked(call.request->seq());
  switch (verdict) {
    case WorkSequence::Verdict::kReplay:
      if (live->stored_dropped) return refuse(WhyNoWork(*live));
      *call.reply = live->stored;
      return call.done(nullptr);
    case WorkSequence::Verdict::kJoin:
      live->waiting.push_back(std::move(call));
      return;
    case WorkSequence::Verdict::kBusy:
    case WorkSequence::Verdict::kGap:
    case WorkSequence::Verdict::kRun:
      break;
  }
  if (live->core.phase() != Branch::Phase::kOpen) return refuse(WhyNoWork(*live));
  if (verdict == WorkSequence::Verdict::kRun && live->core.working()) {
    // Whoever names a branch before its Open has answered has guessed.
    return refuse({.code = Code::kFailedPrecondition,
                   .reason = v1::REASON_SEQUENCE_GAP,
                   .message = "the branch is still being opened: wait for the answer of Open"});
  }
  if (verdict != WorkSequence::Verdict::kRun) {
    const std::string last = std::to_string(live->sequence.last());
    return refuse({.code = Code::kFailedPrecondition,
                   .reason = v1::REASON_SEQUENCE_GAP,
                   .message = "seq " + std::to_string(call.request->seq()) +
                              (verdict == WorkSequence::Verdict::kBusy
                                   ? " came while seq " + last + " still runs: wait for its answer"
                                   : " is neither the last one, " + last + ", nor the next")});
  }
  live->sequence.Began(call.request->seq());
  live->core.Step(WorkBegan{});
  live->session->Post(
      SessionThread::RunTask{.gid = event.gid, .statements = &call.request->statements()});
  live->waiting.push_back(std::move(call));
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
