// A group that begins with a state in etcd: at every moment there is either none, or a whole one.
#include "txlog/etcd/core/restoring.h"

#include <gtest/gtest.h>

#include <optional>

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
    EXPECT_TRUE(DoSteps(etcd, next, next.steps())) << cut;
    EXPECT_EQ(FoundBy(etcd), "another state") << cut;
    Do(etcd, next.Sweep());
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
  DoSteps(etcd, attempt, attempt.steps());
  const std::string of_leader = kLayout.Chunk(SnapshotName(2, 90), 0);
  Do(etcd, {.then = {Put{of_leader, "x"}}});
  Do(etcd, attempt.Sweep());
  EXPECT_EQ(Chunks(etcd), attempt.steps());
}

#if defined(ASSENT_FAILPOINTS)

TEST(RestoringSeededBugs, AnIdentityBeforeTheStateIsCaught) {
  ScopedMutant mutant(Mutant::kRestoreNamedEarly);
  EtcdModel whole;
  DoSteps(whole, Attempt(7), Attempt(7).steps());
  EXPECT_EQ(FoundBy(whole), kState) << "it harms only who is cut short";
  EXPECT_NE(WrongGroupOfAnAttemptCutShort(), std::nullopt);
}

#endif

}  // namespace
}  // namespace assent::txlog::etcd
