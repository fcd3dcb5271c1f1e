// What a node that is alone in its group has promised, through all its lives: which entries were
// ever applied, what was answered about each proposal, and what is therefore not allowed any more.
#pragma once

#include <deque>
#include <set>
#include <string>
#include <vector>

#include "tests/txlog/replicated/applied_state.h"

namespace assent::txlog {

// What the seeds went through: a random test that stopped meeting a case would pass for nothing.
struct Met {
  int durable = 0;
  int refused_for_room = 0;
  int in_doubt_survived = 0;
  int in_doubt_gone = 0;
  int started_from_snapshot = 0;
  int failed_starts = 0;
  int led_again = 0;  // After the disk was full.
  int reads = 0;
};

class Ledger {
 public:
  // `first`: what bootstrap has written.
  explicit Ledger(std::vector<Seen> first) : promised_(std::move(first)) {}

  void LifeBegins() {
    ++life_;
    led_in_life_ = 0;
  }
  // Given to an engine that may take it, in this order; names are never used twice.
  void Proposed(const std::string& name, Term term);
  void Answered(const std::string& name, Fate fate);
  // A read was answered: whatever was acknowledged before is known to the owner.
  void ReadAnswered(const AppliedState& owner);
  // Holds all that the owner was told against the promises. To be called after each step of the
  // engine: what it applies and what it answers go together.
  void Look(const AppliedState& owner);

  // The first broken promise; empty if there is none.
  const std::string& wrong() const { return wrong_; }
  void Wrong(const std::string& what) {
    if (wrong_.empty()) wrong_ = what;
  }

  Met met;

 private:
  struct Open {
    std::string name;
    Term term = 0;
    int life = 0;
  };

  void New(const Seen& seen);
  void GoneForEver(std::deque<Open>::iterator from, std::deque<Open>::iterator to);

  std::vector<Seen> promised_;  // Applied once: must be told at every later start.
  std::deque<Open> open_;       // Neither refused nor applied nor gone.
  std::set<std::string> never_;
  std::set<std::string> answered_;
  // Of which an answer, or the owner, says that they are durable, and not both yet.
  std::set<std::string> acknowledged_, applied_;
  Term led_ = 0;  // The last one that was.
  Term led_in_life_ = 0;
  int life_ = 0;
  std::string wrong_;
};

}  // namespace assent::txlog
