#include "participant-agent/core/recovery_scan.h"

#include <algorithm>
#include <utility>

namespace assent::agent {
namespace {

// Foreign and hazardous branches are asked about again, but seldom: only an operator changes them.
constexpr Duration kLeaveAloneFor = std::chrono::minutes(1);

}  // namespace

void RecoveryScan::Answered(const Gid& gid, LastAnswer answer, MonotonicTime now) {
  for (std::map<Gid, Seen>* list : {&seen_, &missing_}) {
    auto it = list->find(gid);
    if (it == list->end()) continue;
    it->second.answer = answer;
    it->second.asked = now;
  }
}

bool RecoveryScan::ShallAsk(const Seen& seen, const Known& known, MonotonicTime now) const {
  const MonotonicTime waits_since =
      known.knowledge == Knowledge::kNothing ? seen.first : std::max(seen.first, known.since);
  if (now - waits_since < inquiry_age_) return false;
  if (seen.asked == MonotonicTime{}) return true;
  return now - seen.asked >=
         (seen.answer == LastAnswer::kLeaveAlone ? kLeaveAloneFor : inquiry_age_);
}

ScanVerdict RecoveryScan::Judge(const std::vector<ListedBranch>& listed,
                                const std::vector<ListedBranch>& waiting, MonotonicTime began,
                                bool ask_all, const std::map<Gid, Known>& known) {
  std::erase_if(ended_, [&](const auto& ended) { return ended.second < began; });
  ScanVerdict verdict;
  std::map<Gid, Seen> now_seen;
  for (const ListedBranch& branch : listed) {
    const Known& know = known.at(branch.gid);
    if (know.knowledge == Knowledge::kNothing && ended_.contains(branch.gid)) continue;
    auto before = seen_.find(branch.gid);
    Seen seen = before == seen_.end() ? Seen{.first = began} : before->second;
    seen.evidence = branch.evidence;
    bool ask = false;
    switch (know.knowledge) {
      case Knowledge::kAtWork:
      case Knowledge::kFinishing:
        break;
      case Knowledge::kOver:
        // A listing that began before the branch ended may still show it.
        if (know.since >= began) continue;
        verdict.relisted.push_back(branch.gid);
        ask = true;
        break;
      case Knowledge::kNothing:
      case Knowledge::kPrepared:
        ask = ask_all || ShallAsk(seen, know, began);
        break;
    }
    if (ask) {
      seen.asked = began;
      verdict.inquire.push_back(branch);
    }
    now_seen.emplace(branch.gid, seen);
  }
  for (const auto& [gid, seen] : seen_) {
    if (now_seen.contains(gid)) continue;
    const Known& know = known.at(gid);
    // Whoever is finishing it, or has finished it, is the reason that it is gone.
    if (know.knowledge == Knowledge::kNothing ||
        (know.knowledge == Knowledge::kPrepared && know.since < began)) {
      verdict.gone.push_back(gid);
    }
  }
  std::map<Gid, Seen> now_missing;
  for (const ListedBranch& branch : waiting) {
    const Known& know = known.at(branch.gid);
    if (know.since >= began || now_seen.contains(branch.gid)) continue;
    auto before = missing_.find(branch.gid);
    const bool news = before == missing_.end();
    Seen seen = news ? Seen{.first = began} : before->second;
    if (news && !seen_.contains(branch.gid)) verdict.gone.push_back(branch.gid);
    if (news || ask_all || ShallAsk(seen, know, began)) {
      seen.asked = began;
      verdict.inquire.push_back(branch);
    }
    now_missing.emplace(branch.gid, seen);
  }
  missing_ = std::move(now_missing);
  seen_ = std::move(now_seen);
  return verdict;
}

}  // namespace assent::agent
