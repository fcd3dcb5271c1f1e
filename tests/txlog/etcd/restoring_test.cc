// A group that begins with a state in etcd: at every moment there is either none, or a whole one.
#include "txlog/etcd/core/restoring.h"

#include <gtest/gtest.h>

#include <iterator>
#include <list>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/mutant.h"
#include "tests/simulation/etcd_model.h"
#include "txlog/etcd/core/member.h"

namespace assent::txlog::etcd {
namespace {

using simulation::EtcdModel;
using std::chrono::milliseconds;

constexpr char kPrefix[] = "assent/shop";
constexpr uint64_t kChunkBytes = 5;
const Identity kIdentity{"3f0c2f4e-7a51-4d0b-9d7e-1c2b3a495867", "shop"};
const std::string kState = "a state of three pieces";
const Layout kLayout(kPrefix);

Restoring Attempt(uint64_t draw, const std::string& state = kState) {
  return {kPrefix, kIdentity, state, draw, kChunkBytes};
}

Done Do(EtcdModel& etcd, const Txn& txn) { return std::get<Done>(etcd.Execute(txn)); }

void RemoveEverything(EtcdModel& etcd) {
  Do(etcd, {.then = {Delete{"assent/shop/", "assent/shop0"}}});
}

// The first `count` steps. Whether all of them held.
bool DoSteps(EtcdModel& etcd, const Restoring& attempt, size_t count) {
  bool held = true;
  for (size_t i = 0; i < count; ++i) held = Do(etcd, attempt.Step(i)).succeeded && held;
  return held;
}

std::vector<std::string> KeysBelow(const EtcdModel& etcd, const std::string& begin,
                                   const std::string& end) {
  std::vector<std::string> keys;
  for (const KeyValue& one : etcd.Read({.key = begin, .end = end})) keys.push_back(one.key);
  return keys;
}
size_t Chunks(const EtcdModel& etcd) {
  return KeysBelow(etcd, kLayout.snapshots_begin(), "assent/shop/snapshots0").size();
}
bool IsGroup(const EtcdModel& etcd) {
  return !KeysBelow(etcd, kLayout.group_begin(), kLayout.group_end()).empty();
}

// What a process is given that starts now and takes the lead; "halted: " and why, if it can't.
std::string FoundBy(EtcdModel& etcd) {
  Options options;
  options.prefix = kPrefix;
  options.owner = 1;
  options.address = "host:1";
  Member member(options);
  MonotonicTime now(std::chrono::hours(1));
  std::string state = "nothing";
  LeaseId lease = 0;
  std::vector<Event> events = {Tick{}};
  for (int i = 0; i < 1000; ++i) {
    if (events.empty()) {
      now += milliseconds(20);
      events.emplace_back(Tick{});
    }
    std::vector<Event> next;
    for (Event& event : events) {
      for (Action& action : member.Step(now, std::move(event))) {
        if (const auto* sent = std::get_if<SendTxn>(&action)) {
          next.emplace_back(TxnAnswered{sent->request, etcd.Execute(sent->txn)});
        } else if (const auto* grant = std::get_if<GrantLease>(&action)) {
          lease = etcd.Grant(options.lease, now);
          next.emplace_back(LeaseAnswered{.request = grant->request,
                                          .what = LeaseAnswered::What::kHeld,
                                          .lease = lease,
                                          .ttl = options.lease});
        } else if (const auto* restore = std::get_if<Restore>(&action)) {
          state = restore->state;
        } else if (const auto* halt = std::get_if<Halt>(&action)) {
          return "halted: " + halt->why;
        } else if (std::holds_alternative<LeadershipChanged>(action) &&
                   member.phase() == Member::Phase::kLeading) {
          etcd.EndLease(lease);
          return state;
        }
      }
    }
    events = std::move(next);
  }
  return "it never leads";
}

// The group that an attempt leaves which ends behind each of its steps: the first words that are
// none of a state, if there are any.
std::optional<std::string> WrongGroupOfAnAttemptCutShort() {
  for (size_t cut = 0; cut < Attempt(7).steps(); ++cut) {
    EtcdModel etcd;
    DoSteps(etcd, Attempt(7), cut);
    if (!IsGroup(etcd)) continue;
    if (std::string found = FoundBy(etcd); found != kState) return found;
  }
  return std::nullopt;
}

TEST(Restoring, AGroupBeginsWithItsState) {
  EtcdModel etcd;
  ASSERT_EQ(Attempt(7).steps(), 6u);
  EXPECT_TRUE(DoSteps(etcd, Attempt(7), 6));
  EXPECT_EQ(FoundBy(etcd), kState);
}

TEST(Restoring, AnAttemptCutShortIsNoGroupAndTheNextOneIsWhole) {
  for (size_t cut = 0; cut < Attempt(7).steps(); ++cut) {
    EtcdModel etcd;
    EXPECT_TRUE(DoSteps(etcd, Attempt(7), cut));
    EXPECT_FALSE(IsGroup(etcd)) << cut;
    EXPECT_EQ(Chunks(etcd), cut);
    const Restoring next = Attempt(8, "another state");
    EXPECT_TRUE(DoSteps(etcd, next, next.steps() - 1)) << cut;
    const Done named = Do(etcd, next.Step(next.steps() - 1));
    EXPECT_TRUE(named.succeeded) << cut;
    EXPECT_EQ(FoundBy(etcd), "another state") << cut;
    Do(etcd, next.Sweep(named));
    EXPECT_EQ(Chunks(etcd), next.steps() - 1) << cut;
    EXPECT_EQ(FoundBy(etcd), "another state") << cut;
  }
  EXPECT_EQ(WrongGroupOfAnAttemptCutShort(), std::nullopt);
}

TEST(Restoring, StepsMayBeDoneTwiceAndLate) {
  EtcdModel etcd;
  const Restoring attempt = Attempt(7);
  for (size_t i = 0; i + 1 < attempt.steps(); ++i) {
    EXPECT_TRUE(Do(etcd, attempt.Step(i)).succeeded);
    EXPECT_TRUE(Do(etcd, attempt.Step(i)).succeeded);
  }
  const size_t last = attempt.steps() - 1;
  EXPECT_TRUE(Do(etcd, attempt.Step(last)).succeeded);
  const Done again = Do(etcd, attempt.Step(last));
  EXPECT_FALSE(again.succeeded);
  EXPECT_TRUE(attempt.IsOurs(again));
  EXPECT_FALSE(Attempt(8).IsOurs(again));
  EXPECT_FALSE(Do(etcd, attempt.Step(0)).succeeded);
  EXPECT_EQ(FoundBy(etcd), kState);
}

TEST(Restoring, OfTwoAtOnceOneMakesTheGroup) {
  EtcdModel etcd;
  const Restoring first = Attempt(7, "the state of the first");
  const Restoring second = Attempt(8, "the state of the second");
  EXPECT_TRUE(DoSteps(etcd, first, first.steps() - 1));
  EXPECT_TRUE(DoSteps(etcd, second, second.steps()));
  const Done refused = Do(etcd, first.Step(first.steps() - 1));
  EXPECT_FALSE(refused.succeeded);
  EXPECT_FALSE(first.IsOurs(refused));
  EXPECT_EQ(FoundBy(etcd), "the state of the second");
}

TEST(Restoring, AGroupThatIsThereIsLeftAlone) {
  const Batch first{.term = 1, .first_index = 1, .records = {"first"}};
  const std::vector<Put> parts = {{kLayout.identity(), Text(kIdentity)},
                                  {kLayout.term(), "1"},
                                  {kLayout.Log(1), Encode(first)},
                                  {kLayout.snapshot(), "2-10 16 2 9 3 20 4"}};
  // Whole, and what may be left of one.
  for (const Put& part : parts) {
    EtcdModel etcd;
    Do(etcd, {.then = {part}});
    for (size_t i = 0; i < Attempt(7).steps(); ++i) {
      EXPECT_FALSE(Do(etcd, Attempt(7).Step(i)).succeeded) << part.key;
    }
    EXPECT_EQ(KeysBelow(etcd, "a", "b"), std::vector<std::string>{part.key});
  }
}

TEST(Restoring, WhatALeaderHasWrittenSinceIsNotSwept) {
  EtcdModel etcd;
  const Restoring attempt = Attempt(7);
  DoSteps(etcd, attempt, attempt.steps() - 1);
  const Done named = Do(etcd, attempt.Step(attempt.steps() - 1));
  const std::string of_leader = kLayout.Chunk(SnapshotName(2, 90), 0);
  Do(etcd, {.then = {Put{of_leader, "x"}}});
  EXPECT_TRUE(Do(etcd, attempt.Sweep(named)).succeeded);
  EXPECT_EQ(Chunks(etcd), attempt.steps());
}

TEST(Restoring, ALateSweepLeavesALaterAttemptAlone) {
  EtcdModel etcd;
  const Restoring earlier = Attempt(8);
  DoSteps(etcd, earlier, earlier.steps() - 1);
  const Done named = Do(etcd, earlier.Step(earlier.steps() - 1));
  // Also where its answer was lost, and another one told that it had been done.
  const Done again = Do(etcd, earlier.Step(earlier.steps() - 1));
  ASSERT_TRUE(earlier.IsOurs(again));
  for (const Done& known : {named, again}) {
    for (const uint64_t draw : {7, 9}) {
      RemoveEverything(etcd);
      const Restoring later = Attempt(draw, "a later state");
      ASSERT_TRUE(DoSteps(etcd, later, later.steps() - 1));
      EXPECT_FALSE(Do(etcd, earlier.Sweep(known)).succeeded);
      EXPECT_TRUE(Do(etcd, later.Step(later.steps() - 1)).succeeded);
      EXPECT_FALSE(Do(etcd, earlier.Sweep(known)).succeeded);
      EXPECT_EQ(FoundBy(etcd), "a later state");
    }
  }
}

TEST(Restoring, PiecesThatAreGoneAreNotNamed) {
  const Restoring attempt = Attempt(7);
  for (size_t at = 1; at < attempt.steps(); ++at) {
    EtcdModel etcd;
    ASSERT_TRUE(DoSteps(etcd, attempt, at));
    RemoveEverything(etcd);
    for (size_t i = at; i < attempt.steps(); ++i) {
      const Done refused = Do(etcd, attempt.Step(i));
      EXPECT_FALSE(refused.succeeded) << at << " " << i;
      EXPECT_FALSE(attempt.IsOurs(refused));
    }
    EXPECT_FALSE(IsGroup(etcd));
    EXPECT_EQ(Chunks(etcd), 0u);
  }
}

// ---- Whatever comes late ------------------------------------------------------------------------

// Attempts beside and behind each other, each as RestoreGroup makes it; somebody who removes all of
// it now and then; requests that were given up, or asked again, and are done at any time.
class Lives {
 public:
  explicit Lives(uint64_t seed) : random_(seed) {}

  // Empty, or what is wrong with the group that is there.
  std::string Run() {
    for (int i = 0; i < 300; ++i) {
      Happen();
      const auto snapshot = etcd_.Read({.key = kLayout.snapshot()});
      if (snapshot.empty()) continue;
      const auto value = ParseSnapshot(snapshot[0].value);
      if (!value) return "no snapshot but " + snapshot[0].value;
      for (uint64_t chunk = 0; chunk < value->chunks; ++chunk) {
        const std::string key = kLayout.Chunk(value->name, chunk);
        if (etcd_.Read({.key = key}).empty()) return key + " is gone";
      }
    }
    return {};
  }

  size_t groups = 0;
  size_t swept = 0;

 private:
  struct Person {
    Restoring attempt;
    size_t next = 0;
    Done named = {};
  };

  bool Chance(unsigned percent) { return random_() % 100 < percent; }

  void Happen() {
    if (Chance(8)) return RemoveEverything(etcd_);
    if (Chance(20) && !late_.empty()) {
      const size_t i = random_() % late_.size();
      (void)etcd_.Execute(late_[i]);
      late_.erase(late_.begin() + static_cast<std::ptrdiff_t>(i));
      return;
    }
    if (people_.size() < 3 && Chance(30)) {
      // Who finds a group begins nothing.
      if (!IsGroup(etcd_)) people_.push_back({Attempt(random_())});
      return;
    }
    if (people_.empty()) return;
    const auto one =
        std::next(people_.begin(), static_cast<std::ptrdiff_t>(random_() % people_.size()));
    if (!GoesOn(*one)) people_.erase(one);
  }

  // False: it is over.
  bool GoesOn(Person& person) {
    const size_t steps = person.attempt.steps();
    const Txn txn =
        person.next < steps ? person.attempt.Step(person.next) : person.attempt.Sweep(person.named);
    if (Chance(15)) late_.push_back(txn);  // On its way still, and asked again.
    if (Chance(5)) {
      late_.push_back(txn);
      return false;
    }
    const Done done = Do(etcd_, txn);
    if (Chance(10)) return true;  // The answer is lost.
    if (person.next == steps) {
      swept += done.succeeded;
      return false;
    }
    if (!done.succeeded && !person.attempt.IsOurs(done)) return false;
    if (++person.next == steps) ++groups;
    person.named = done;
    return true;
  }

  std::mt19937_64 random_;
  EtcdModel etcd_;
  std::list<Person> people_;
  std::vector<Txn> late_;
};

// The first of so many seeds that goes wrong, and how.
std::string FirstWrongLife(uint64_t seeds) {
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    if (std::string wrong = Lives(seed).Run(); !wrong.empty()) {
      return "seed " + std::to_string(seed) + ": " + wrong;
    }
  }
  return {};
}

TEST(Restoring, AGroupIsWholeWhateverComesLate) {
  EXPECT_EQ(FirstWrongLife(1000), "");
  Lives one(1);
  (void)one.Run();
  EXPECT_GT(one.groups, 2u);
  EXPECT_GT(one.swept, 1u);
}

#if defined(ASSENT_FAILPOINTS)

TEST(RestoringSeededBugs, AnIdentityBeforeTheStateIsCaught) {
  ScopedMutant mutant(Mutant::kRestoreNamedEarly);
  EtcdModel whole;
  DoSteps(whole, Attempt(7), Attempt(7).steps());
  EXPECT_EQ(FoundBy(whole), kState) << "it harms only who is cut short";
  EXPECT_NE(WrongGroupOfAnAttemptCutShort(), std::nullopt);
}

TEST(RestoringSeededBugs, WhatComesLateIsCaught) {
  for (const Mutant bug : {Mutant::kRestoreNamedBlindly, Mutant::kRestoreSweepsLate}) {
    ScopedMutant mutant(bug);
    EXPECT_NE(FirstWrongLife(1000), "") << static_cast<int>(bug);
  }
}

#endif

}  // namespace
}  // namespace assent::txlog::etcd
