#include "tests/simulation/system/sim_database.h"

#include <utility>

namespace assent::simulation {

using agent::Decision;
using agent::FinishClass;
using agent::JournalWord;

void SimDatabase::Crash() {
  up_ = false;
  sessions_.clear();
}

std::optional<SimDatabase::Session> SimDatabase::Begin(bool writes, bool apps) {
  if (!up_) return std::nullopt;
  sessions_.emplace(next_, AtWork{writes, apps});
  return next_++;
}

agent::PrepareAnswered SimDatabase::Prepare(Session session, const Gid& gid) {
  agent::PrepareAnswered answer;
  auto it = sessions_.find(session);
  if (!up_ || it == sessions_.end()) {
    answer.refusal = {.cause = agent::Cause::kConnectionLost, .code = "", .message = "no session"};
    answer.session_lost = true;
    return answer;
  }
  const bool wrote = it->second.wrote;
  if (!wrote) {
    sessions_.erase(it);
    answer.vote = agent::Vote::kReadOnly;
    return answer;
  }
  if (prepared_.contains(gid)) {
    sessions_.erase(it);
    answer.refusal = {.cause = agent::Cause::kDuplicateGid, .code = "42710", .message = "in use"};
    return answer;
  }
  answer.vote = agent::Vote::kYes;
  answer.attached = ties_;
  if (ties_) {
    tied_[gid] = session;
  } else {
    sessions_.erase(it);
  }
  answer.evidence = "xid:" + std::to_string(next_++);
  prepared_.emplace(gid, answer.evidence);
  timeline_.Trace([&] { return name_ + ": prepared " + Short(gid); });
  checker_.OnPrepared(gid);
  return answer;
}

agent::FinishAnswered SimDatabase::Finish(const Gid& gid, Decision decision,
                                          const std::string& evidence, JournalWord word,
                                          const Via& via) {
  agent::FinishAnswered answer;
  answer.on_session = via.session.has_value();
  answer.session_lost = via.session && !Alive(*via.session);
  if (!up_ || answer.session_lost) {
    answer.no_effect = true;
    return answer;
  }
  if (auto tied = tied_.find(gid); tied != tied_.end() && via.session != tied->second) {
    auto owner = sessions_.find(tied->second);
    if (owner != sessions_.end() && !(owner->second.apps && via.kills_apps)) {
      answer.no_effect = true;
      answer.detail = "attached to another session";
      return answer;
    }
    Close(tied->second);
  }
  const bool commit = decision == Decision::kCommit;
  if (auto it = prepared_.find(gid); it != prepared_.end()) {
    xids_[it->second] = commit;
    prepared_.erase(it);
    tied_.erase(gid);
    timeline_.Trace([&] { return name_ + (commit ? ": commits " : ": rolls back ") + Short(gid); });
    checker_.OnEnded(gid, commit);
    answer.finish = FinishClass::kDone;
    return answer;
  }
  auto ended = xids_.find(evidence);
  if (ended != xids_.end()) {
    const bool as_decided = ended->second == commit;
    answer.finish = as_decided ? FinishClass::kDone
                    : commit   ? FinishClass::kHeuristicRollback
                               : FinishClass::kHeuristicCommit;
  } else {
    answer.finish =
        commit && word != JournalWord::kNothing ? FinishClass::kDone : FinishClass::kHazard;
  }
  answer.detail = "not listed";
  return answer;
}

std::optional<std::vector<agent::ListedBranch>> SimDatabase::List() const {
  if (!up_) return std::nullopt;
  std::vector<agent::ListedBranch> listed;
  for (const auto& [gid, evidence] : prepared_) listed.push_back({gid, evidence});
  return listed;
}

std::optional<std::string> SimDatabase::Find(const Gid& gid) const {
  auto it = prepared_.find(gid);
  if (it == prepared_.end()) return std::nullopt;
  return it->second;
}

}  // namespace assent::simulation
