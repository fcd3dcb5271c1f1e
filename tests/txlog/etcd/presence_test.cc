// Who is there, as etcd tells: keys that end with their owners' leases.
#include "txlog/etcd/core/presence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "tests/simulation/etcd_model.h"

namespace assent::txlog::etcd {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class PresenceTest : public testing::Test {
 protected:
  struct Process {
    Process(uint64_t id, std::deque<SendTxn>& sent)
        : presence("assent/shop", {id, "host" + std::to_string(id) + ":1"},
                   [&sent](const SendTxn& one) { sent.push_back(one); }) {}
    Presence presence;
  };

  // Answers all that was sent; `lost`: by nothing.
  void AnswerAll(Process& process, bool lost = false) {
    while (!sent_.empty()) {
      TxnAnswered answer{sent_.front().request, NoAnswer{"lost"}};
      if (!lost) answer.outcome = etcd_.Execute(sent_.front().txn);
      sent_.pop_front();
      EXPECT_TRUE(process.presence.TakeAnswer(answer));
      EXPECT_FALSE(process.presence.TakeAnswer(answer)) << "twice";
    }
  }
  LeaseId Grant() { return etcd_.Grant(std::chrono::seconds(5), now_); }
  std::vector<std::string> Listed(Process& process) {
    std::vector<std::string> addresses;
    process.presence.List([&](auto processes) {
      for (const PresenceValue& one : processes.value()) addresses.push_back(one.address);
    });
    AnswerAll(process);
    return addresses;
  }

  MonotonicTime now_{std::chrono::hours(1)};
  simulation::EtcdModel etcd_;
  std::deque<SendTxn> sent_;
  Process one_{1, sent_};
  Process two_{2, sent_};
};

TEST_F(PresenceTest, AProcessIsListedAsLongAsItsLease) {
  const LeaseId lease = Grant();
  one_.presence.Tick(now_, lease);
  AnswerAll(one_);
  two_.presence.Tick(now_, Grant());
  AnswerAll(two_);
  EXPECT_THAT(Listed(one_), ElementsAre("host1:1", "host2:1"));
  one_.presence.Tick(now_ + std::chrono::hours(1), lease);
  EXPECT_THAT(sent_, IsEmpty()) << "it is there";
  etcd_.EndLease(lease);
  EXPECT_THAT(Listed(two_), ElementsAre("host2:1"));
  one_.presence.Tick(now_ + std::chrono::hours(1), Grant());
  AnswerAll(one_);
  EXPECT_THAT(Listed(two_), ElementsAre("host1:1", "host2:1"));
}

TEST_F(PresenceTest, WithoutALeaseThereIsNothingToSay) {
  one_.presence.Tick(now_, 0);
  EXPECT_THAT(sent_, IsEmpty());
}

TEST_F(PresenceTest, WhatWasNotPutIsPutAgainButNotAllTheTime) {
  const LeaseId lease = Grant();
  one_.presence.Tick(now_, lease);
  one_.presence.Tick(now_ + Presence::kRetry, lease);
  EXPECT_EQ(sent_.size(), 1u) << "one at a time";
  AnswerAll(one_, /*lost=*/true);
  one_.presence.Tick(now_ + Presence::kRetry / 2, lease);
  EXPECT_THAT(sent_, IsEmpty());
  one_.presence.Tick(now_ + Presence::kRetry, lease);
  AnswerAll(one_);
  EXPECT_THAT(Listed(one_), ElementsAre("host1:1"));
}

TEST_F(PresenceTest, WhoeverAsksIsAnswered) {
  int unanswered = 0;
  const auto count = [&](const auto& processes) { unanswered += processes ? 0 : 1; };
  one_.presence.List(count);
  AnswerAll(one_, /*lost=*/true);
  EXPECT_EQ(unanswered, 1);
  one_.presence.List(count);
  one_.presence.Stop();
  EXPECT_EQ(unanswered, 2);
}

TEST_F(PresenceTest, OtherAnswersAndWordsAreNotTaken) {
  TxnAnswered of_the_log{1, Done{}};
  EXPECT_FALSE(one_.presence.TakeAnswer(of_the_log));
  (void)etcd_.Execute({.then = {Put{"assent/shop/processes/x", "rubbish"},
                                Put{"assent/shop/processes/y", "7 host7:1"}}});
  EXPECT_THAT(Listed(one_), ElementsAre("host7:1"));
}

}  // namespace
}  // namespace assent::txlog::etcd
