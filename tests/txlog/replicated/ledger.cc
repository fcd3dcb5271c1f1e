#include "tests/txlog/replicated/ledger.h"

#include <algorithm>

namespace assent::txlog {

void Ledger::Proposed(const std::string& name, Term term) { open_.push_back({name, term, life_}); }

void Ledger::Answered(const std::string& name, Fate fate) {
  if (!answered_.insert(name).second) return Wrong("a second answer about " + name);
  auto open =
      std::find_if(open_.begin(), open_.end(), [&](const Open& o) { return o.name == name; });
  switch (fate) {
    case Fate::kDurable:
      ++met.durable;
      // The owner may have been told just before.
      if (applied_.erase(name) == 0) acknowledged_.insert(name);
      break;
    case Fate::kRefused:
      if (open == open_.end()) return Wrong("refused, but applied before: " + name);
      never_.insert(name);
      open_.erase(open);
      break;
    case Fate::kInDoubt:
      break;  // As if nothing were said.
  }
}

void Ledger::ReadAnswered(const AppliedState& owner) {
  ++met.reads;
  for (const std::string& name : acknowledged_) {
    const bool known = std::any_of(owner.seen.begin(), owner.seen.end(),
                                   [&](const Seen& seen) { return seen.name == name; });
    if (!known) Wrong("a read that does not know " + name);
  }
}

void Ledger::Look(const AppliedState& owner) {
  if (!owner.complaint.empty()) return Wrong(owner.complaint);
  if (owner.led != led_in_life_) {
    if (owner.led <= led_) return Wrong("term " + std::to_string(owner.led) + " is led twice");
    led_ = led_in_life_ = owner.led;
  }
  for (size_t i = 0; i < owner.seen.size(); ++i) {
    if (i >= promised_.size()) {
      New(owner.seen[i]);
    } else if (owner.seen[i] != promised_[i]) {
      Wrong("promised " + Show(promised_[i]) + " but told " + Show(owner.seen[i]));
    }
    if (!wrong_.empty()) return;
  }
  if (owner.Whole() && owner.seen.size() < promised_.size()) {
    return Wrong("lost: " + Show(promised_[owner.seen.size()]) + ", the log ends before it");
  }
  if (!acknowledged_.empty())
    return Wrong("acknowledged and not applied: " + *acknowledged_.begin());
  if (!applied_.empty()) return Wrong("applied and not acknowledged: " + *applied_.begin());
}

void Ledger::New(const Seen& seen) {
  promised_.push_back(seen);
  if (seen.name.empty()) {
    // The own entry of a term: what older terms left in doubt and is not there yet never will be.
    met.in_doubt_gone += static_cast<int>(std::erase_if(open_, [&](const Open& open) {
      if (open.term >= seen.term) return false;
      never_.insert(open.name);
      return true;
    }));
    return;
  }
  if (never_.contains(seen.name)) return Wrong("refused or gone, but told: " + Show(seen));
  auto open =
      std::find_if(open_.begin(), open_.end(), [&](const Open& o) { return o.name == seen.name; });
  if (open == open_.end()) return Wrong("from nowhere, or twice: " + Show(seen));
  if (open->life != life_) {
    ++met.in_doubt_survived;
  } else if (acknowledged_.erase(seen.name) == 0) {
    applied_.insert(seen.name);
  }
  // Entries stand in the order in which they were proposed.
  GoneForEver(open_.begin(), open);
  open_.pop_front();
}

void Ledger::GoneForEver(std::deque<Open>::iterator from, std::deque<Open>::iterator to) {
  for (auto it = from; it != to; ++it) never_.insert(it->name);
  open_.erase(from, to);
}

}  // namespace assent::txlog
