// Steps on several sessions at the same time, and what drivers throw.
#include "client/internal/sessions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <barrier>

#include "tests/client/fake_session.h"

namespace assent::client::internal {
namespace {

using testing::ElementsAre;

TEST(AppSessionTest, WhatADriverThrowsIsAStatus) {
  EXPECT_TRUE(AppSession(1, [](const std::string&) {}).Execute("x").ok());
  AppSession throws(1, [](const std::string&) { throw std::runtime_error("deadlock"); });
  EXPECT_EQ(throws.Execute("x").message(), "deadlock");
  AppSession odd(1, [](const std::string&) { throw 7; });
  EXPECT_FALSE(odd.Execute("x").ok());
  AppSession answers(1, [](const std::string&) { return Aborted("no"); });
  EXPECT_EQ(answers.Execute("x").code(), Code::kAborted);
}

TEST(RunAtOnceTest, StartedSessionsWorkWhileTheBlockingOneDoes) {
  FakeSession log;
  AppSession starting = log.Starting();
  AppSession blocking = log.Blocking();
  auto ends = RunAtOnce({{starting, {"a", "b"}}, {blocking, {"c", "d"}}, {starting, {}}});
  EXPECT_THAT(log.ran(), ElementsAre("start a", "wait", "start b", "c", "d", "wait"));
  ASSERT_EQ(ends.size(), 3u);
  for (const SessionEnd& end : ends) EXPECT_TRUE(end.status.ok());
}

// Each waits until all have come: one after the other, they would wait for ever.
TEST(RunAtOnceTest, BlockingSessionsRunAtTheSameTime) {
  std::barrier<> all(3);
  AppSession session(1, [&](const std::string&) { all.arrive_and_wait(); });
  auto ends = RunAtOnce({{session, {"x"}}, {session, {"x"}}, {session, {"x"}}});
  for (const SessionEnd& end : ends) EXPECT_TRUE(end.status.ok());
}

TEST(RunAtOnceTest, FailureStopsItsOwnSessionAndNoOther) {
  for (bool starting : {false, true}) {
    for (size_t bad : {0u, 1u}) {
      FakeSession failing, other;
      failing.Fail(bad == 0 ? "first" : "second");
      auto ends =
          RunAtOnce({{starting ? failing.Starting() : failing.Blocking(), {"first", "second"}},
                     {other.Blocking(), {"first", "second"}}});
      EXPECT_FALSE(ends[0].status.ok());
      EXPECT_EQ(ends[0].failed, bad);
      EXPECT_TRUE(ends[1].status.ok());
      EXPECT_EQ(failing.ran().size(), (bad + 1) * (starting ? 2 : 1));
      EXPECT_EQ(other.ran().size(), 2u);
    }
  }
}

TEST(RunRegardlessTest, RunsAll) {
  FakeSession session;
  session.Fail("a");
  RunRegardless({session.Blocking(), {"a", "b"}});
  EXPECT_THAT(session.ran(), ElementsAre("a", "b"));
}

}  // namespace
}  // namespace assent::client::internal
