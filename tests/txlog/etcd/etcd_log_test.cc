// The log on real etcd servers that fail, run full, or want to know who asks. What holds without
// faults is in tests/txlog/contract.
#include "txlog/etcd/etcd_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <future>
#include <thread>

#include "tests/support/etcd_servers.h"
#include "tests/support/temp_dir.h"
#include "tests/txlog/contract/contract_fixture.h"
#include "txlog/etcd/group.h"

namespace assent::txlog {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test_support::EtcdOptions;
using test_support::EtcdServers;
using test_support::WaitUntil;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kPrefix[] = "assent/bank";
constexpr seconds kPatience{20};
const etcd::Identity kIdentity{"3f0c2f4e-7a51-4d0b-9d7e-1c2b3a495867", "bank"};

class EtcdLogTest : public testing::Test {
 protected:
  struct Process {
    ContractListener listener;
    std::unique_ptr<EtcdLog> log;
    // Settles a term's proposals when a later one is applied.
    bool ready() { return listener.seen().ready; }
  };

  void Up(const EtcdOptions& options = {}) {
    auto made = EtcdServers::Create(options);
    if (made.status().code() == Code::kNotFound) GTEST_SKIP() << made.status().message();
    ASSERT_TRUE(made.ok()) << made.status().ToString();
    servers_ = std::move(*made);
    client_.endpoints = servers_->endpoints();
    if (!options.tls.ca_file.empty()) {
      const auto paths = test_support::PathsOf(test_support::TestCertificates(), "client");
      client_.tls = {paths.ca_file, paths.cert_file, paths.key_file};
    }
  }
  void Bootstrap() {
    const Status made = etcd::BootstrapGroup(client_, kPrefix, kIdentity, "first");
    ASSERT_TRUE(made.ok()) << made.ToString();
  }
  EtcdLogOptions Options() const {
    return {.client = client_,
            .prefix = kPrefix,
            .cluster = "bank",
            .address = "here:7400",
            .lease = seconds(2)};
  }
  std::unique_ptr<Process> Open() { return Open(Options()); }
  static std::unique_ptr<Process> Open(const EtcdLogOptions& options) {
    auto process = std::make_unique<Process>();
    auto log = EtcdLog::Open(options, process->listener);
    EXPECT_TRUE(log.ok()) << log.status().ToString();
    if (log.ok()) process->log = std::move(*log);
    return process;
  }
  static bool WaitReady(Process& process) {
    return process.listener.Wait([](const auto& seen) { return seen.ready; });
  }
  static Fate Propose(Process& process, std::string record) {
    std::promise<Fate> fate;
    process.log->Propose(std::move(record), process.listener.seen().term,
                         [&](Fate f) { fate.set_value(f); });
    return fate.get_future().get();
  }
  // Until one is durable.
  static bool ProposeUntilDurable(Process& process, const std::string& name) {
    int tries = 0;
    return WaitUntil(kPatience, [&] {
      return process.ready() && Propose(process, name + std::to_string(tries++)) == Fate::kDurable;
    });
  }

  std::unique_ptr<EtcdServers> servers_;
  etcd::ClientOptions client_;
};

TEST_F(EtcdLogTest, WantsAGroupThatIsItsOwn) {
  Up();
  if (servers_ == nullptr) return;
  ContractListener listener;
  Status s = EtcdLog::Open(Options(), listener).status();
  EXPECT_EQ(s.code(), Code::kFailedPrecondition);
  EXPECT_THAT(s.message(), HasSubstr("there is no group below assent/bank in etcd: bootstrap it"));
  Bootstrap();
  s = etcd::BootstrapGroup(client_, kPrefix, {"another-uuid", "bank"}, "first");
  EXPECT_EQ(s.code(), Code::kAlreadyExists);
  EXPECT_THAT(s.message(), HasSubstr(kIdentity.cluster_uuid));

  EtcdLogOptions options = Options();
  options.cluster = "shop";
  s = EtcdLog::Open(options, listener).status();
  EXPECT_EQ(s.code(), Code::kFailedPrecondition);
  EXPECT_THAT(s.message(), HasSubstr("is of cluster bank, not of shop: give the etcd_prefix"));
  options = Options();
  options.cluster_uuid = "another-uuid";
  s = EtcdLog::Open(options, listener).status();
  EXPECT_EQ(s.code(), Code::kFailedPrecondition);
  EXPECT_THAT(s.message(), HasSubstr("is of the cluster " + kIdentity.cluster_uuid +
                                     ", not of another-uuid: give that one's etcd_prefix"));
  for (const char* prefix : {"", "/a", "a/", "a b"}) {
    options = Options();
    options.prefix = prefix;
    EXPECT_EQ(EtcdLog::Open(options, listener).status().code(), Code::kInvalidArgument) << prefix;
  }
}

TEST_F(EtcdLogTest, AGroupBeginsWithARestoredState) {
  Up();
  if (servers_ == nullptr) return;
  // Of three pieces.
  const std::string state = std::string(2'500'000, 's') + "end";
  // What an attempt that was cut short has left.
  ASSERT_TRUE(servers_
                  ->Ctl({"put",
                         std::string(kPrefix) + "/snapshots/" + etcd::SnapshotName(0, 1) +
                             "/0000000000000000",
                         "x"})
                  .ok());
  Status made = etcd::RestoreGroup(client_, kPrefix, kIdentity, state);
  ASSERT_TRUE(made.ok()) << made.ToString();
  auto chunks =
      servers_->Ctl({"get", "--prefix", std::string(kPrefix) + "/snapshots/", "--keys-only"});
  ASSERT_TRUE(chunks.ok());
  EXPECT_EQ(std::count(chunks->begin(), chunks->end(), '/'), 3 * 4) << *chunks;
  for (int start = 0; start < 2; ++start) {
    auto process = Open();
    ASSERT_TRUE(WaitReady(*process));
    EXPECT_TRUE(process->listener.seen().snapshot == state) << start;
    EXPECT_EQ(Propose(*process, "r" + std::to_string(start)), Fate::kDurable);
  }
  made = etcd::RestoreGroup(client_, kPrefix, kIdentity, state);
  EXPECT_EQ(made.code(), Code::kAlreadyExists);
  EXPECT_THAT(made.message(), HasSubstr("there is a group below assent/bank in etcd already (" +
                                        kIdentity.cluster_uuid + " bank): start coordinators"));
  auto process = Open();
  ASSERT_TRUE(WaitReady(*process));
  EXPECT_THAT(process->listener.seen().Records(), ElementsAre("r0", "r1"));
}

TEST_F(EtcdLogTest, WhatIsLeftOfAGroupIsNotBuiltUpon) {
  Up();
  if (servers_ == nullptr) return;
  const std::string rest = std::string(kPrefix) + "/group/log/0000000000000009";
  ASSERT_TRUE(servers_->Ctl({"put", rest, "x"}).ok());
  for (const Status& made : {etcd::BootstrapGroup(client_, kPrefix, kIdentity, "first"),
                             etcd::RestoreGroup(client_, kPrefix, kIdentity, "state")}) {
    EXPECT_EQ(made.code(), Code::kFailedPrecondition);
    EXPECT_THAT(made.message(), HasSubstr(rest));
    EXPECT_THAT(made.message(), HasSubstr("etcdctl del --prefix assent/bank/"));
  }
  ASSERT_TRUE(servers_->Ctl({"del", "--prefix", std::string(kPrefix) + "/"}).ok());
  Bootstrap();
}

TEST_F(EtcdLogTest, WhatSomebodyElseWroteIsNoGroup) {
  Up();
  if (servers_ == nullptr) return;
  ASSERT_TRUE(servers_->Ctl({"put", std::string(kPrefix) + "/group/identity", "hello"}).ok());
  ContractListener listener;
  const Status s = EtcdLog::Open(Options(), listener).status();
  EXPECT_EQ(s.code(), Code::kDataLoss);
  EXPECT_THAT(s.message(),
              HasSubstr("assent/bank/group/identity in etcd is no identity but 'hello'"));
}

TEST_F(EtcdLogTest, NobodyAnswers) {
  client_.endpoints = {"127.0.0.1:" + std::to_string(test_support::PickFreePort())};
  ContractListener listener;
  const Status s = EtcdLog::Open(Options(), listener).status();
  EXPECT_EQ(s.code(), Code::kUnavailable);
  EXPECT_THAT(s.message(), HasSubstr(client_.endpoints[0]));
}

TEST_F(EtcdLogTest, OneGroupDoesNotTouchAnother) {
  Up();
  if (servers_ == nullptr) return;
  Bootstrap();
  ASSERT_TRUE(etcd::BootstrapGroup(client_, "assent/bank2", kIdentity, "other").ok());
  auto process = Open();
  ASSERT_TRUE(WaitReady(*process));
  ContractListener other;
  EtcdLogOptions options = Options();
  options.prefix = "assent/bank2";
  auto log = EtcdLog::Open(options, other);
  ASSERT_TRUE(log.ok());
  ASSERT_TRUE(other.Wait([](const auto& seen) { return seen.ready; }));
  EXPECT_EQ(Propose(*process, "a"), Fate::kDurable);
  EXPECT_THAT(other.seen().Records(), ElementsAre("other"));
}

TEST_F(EtcdLogTest, LeadsOnWhenServersOfEtcdDie) {
  Up({.servers = 3});
  if (servers_ == nullptr) return;
  Bootstrap();
  auto process = Open();
  ASSERT_TRUE(WaitReady(*process));
  std::vector<std::string> durable;
  for (int round = 0; round < 3; ++round) {
    // The leader first, then whoever leads then.
    auto leader = servers_->Leader();
    ASSERT_TRUE(leader.ok()) << leader.status().ToString();
    std::atomic<bool> stop = false;
    std::thread worker([&] {
      for (int i = 0; !stop; ++i) {
        const std::string record = "r" + std::to_string(round) + "." + std::to_string(i);
        if (process->ready() && Propose(*process, record) == Fate::kDurable) {
          durable.push_back(record);
        }
      }
    });
    servers_->Kill9(*leader);
    EXPECT_TRUE(ProposeUntilDurable(*process, "probe" + std::to_string(round) + "."));
    stop = true;
    worker.join();
    ASSERT_TRUE(servers_->Start(*leader).ok());
    ASSERT_TRUE(servers_->WaitHealthy().ok());
  }
  // Another process finds all of it.
  process.reset();
  auto next = Open();
  ASSERT_TRUE(WaitReady(*next));
  const std::vector<std::string> records = next->listener.seen().Records();
  for (const std::string& record : durable) {
    EXPECT_EQ(std::count(records.begin(), records.end(), record), 1) << record;
  }
}

TEST_F(EtcdLogTest, StepsDownWithoutEtcdAndLeadsAgainWithIt) {
  Up();
  if (servers_ == nullptr) return;
  Bootstrap();
  auto process = Open();
  ASSERT_TRUE(WaitReady(*process));
  const Term term = process->listener.seen().term;
  EXPECT_EQ(Propose(*process, "before"), Fate::kDurable);
  EXPECT_GT(process->log->health().lease_left, milliseconds(0));
  servers_->Signal(0, SIGSTOP);
  std::promise<Fate> fate;
  process->log->Propose("during", term, [&](Fate f) { fate.set_value(f); });
  ASSERT_TRUE(process->listener.Wait([](const auto& seen) { return !seen.leads; }));
  EXPECT_EQ(fate.get_future().get(), Fate::kInDoubt);
  EXPECT_NE(process->log->health().trouble, "");
  EXPECT_EQ(process->log->health().lease_left, milliseconds(0));
  std::promise<Status> read;
  process->log->ReadBarrier([&](Status s) { read.set_value(std::move(s)); });
  EXPECT_EQ(read.get_future().get().code(), Code::kUnavailable);
  servers_->Signal(0, SIGCONT);
  ASSERT_TRUE(WaitReady(*process));
  EXPECT_GT(process->listener.seen().term, term);
  EXPECT_EQ(Propose(*process, "after"), Fate::kDurable);
  // It may have been written: etcd got it before it stopped, or when it went on.
  const auto records = process->listener.seen().Records();
  EXPECT_LE(std::count(records.begin(), records.end(), "during"), 1);
  EXPECT_EQ(process->log->health().trouble, "");
}

TEST_F(EtcdLogTest, GoesOnWithARestartedEtcd) {
  Up();
  if (servers_ == nullptr) return;
  Bootstrap();
  auto process = Open();
  ASSERT_TRUE(WaitReady(*process));
  EXPECT_EQ(Propose(*process, "before"), Fate::kDurable);
  servers_->Kill9(0);
  ASSERT_TRUE(servers_->Start(0).ok());
  EXPECT_TRUE(ProposeUntilDurable(*process, "after"));
}

TEST_F(EtcdLogTest, AStandbyTakesOverWhenTheLeadersKeyGoes) {
  Up();
  if (servers_ == nullptr) return;
  Bootstrap();
  auto leader = Open();
  ASSERT_TRUE(WaitReady(*leader));
  auto standby = Open();
  ASSERT_EQ(Propose(*leader, "a"), Fate::kDurable);
  ASSERT_TRUE(standby->listener.Wait([](const auto& seen) { return seen.Records().size() == 2; }));
  EXPECT_FALSE(standby->ready());
  // As if its lease had ended, while it believes that it leads.
  ASSERT_TRUE(servers_->Ctl({"del", std::string(kPrefix) + "/group/leader"}).ok());
  ASSERT_TRUE(WaitReady(*standby));
  EXPECT_NE(Propose(*leader, "late"), Fate::kDurable);
  EXPECT_EQ(Propose(*standby, "b"), Fate::kDurable);
  ASSERT_TRUE(leader->listener.Wait([](const auto& seen) { return seen.Records().size() == 3; }));
  EXPECT_THAT(leader->listener.seen().Records(), ElementsAre("first", "a", "b"));
}

TEST_F(EtcdLogTest, WhoStandsByIsListed) {
  Up();
  if (servers_ == nullptr) return;
  Bootstrap();
  auto leader = Open();
  ASSERT_TRUE(WaitReady(*leader));
  auto standby = Open();
  const auto listed = [](Process& process) {
    std::promise<GroupProgress> members;
    process.log->ListMembers([&](GroupProgress p) { members.set_value(std::move(p)); });
    std::vector<uint64_t> ids;
    for (const MemberProgress& one : members.get_future().get().members) {
      ids.push_back(one.member.id);
    }
    return ids;
  };
  const auto both = testing::UnorderedElementsAre(leader->log->id(), standby->log->id());
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return listed(*leader).size() == 2; }));
  EXPECT_THAT(listed(*leader), both);
  EXPECT_THAT(listed(*standby), both);
  standby.reset();  // Gives its lease up.
  EXPECT_THAT(listed(*leader), ElementsAre(leader->log->id()));
  // Nobody to ask: it answers all the same.
  servers_->Kill9(0);
  EXPECT_THAT(listed(*leader), ElementsAre(leader->log->id()));
}

TEST_F(EtcdLogTest, LeadsAgainWhenItsLeaseWasRevoked) {
  Up();
  if (servers_ == nullptr) return;
  Bootstrap();
  auto process = Open();
  ASSERT_TRUE(WaitReady(*process));
  const Term term = process->listener.seen().term;
  // "found 1 leases" and one a line.
  auto leases = servers_->Ctl({"lease", "list"});
  ASSERT_TRUE(leases.ok()) << leases.status().ToString();
  const size_t line = leases->find('\n') + 1;
  auto revoked =
      servers_->Ctl({"lease", "revoke", leases->substr(line, leases->find('\n', line) - line)});
  ASSERT_TRUE(revoked.ok()) << revoked.status().ToString();
  ASSERT_TRUE(
      process->listener.Wait([&](const auto& seen) { return seen.ready && seen.term > term; }));
  EXPECT_EQ(Propose(*process, "a"), Fate::kDurable);
}

TEST_F(EtcdLogTest, RefusesWhenEtcdHasNoSpaceAndLosesNothing) {
  Up({.arguments = {"--quota-backend-bytes=4000000"}});
  if (servers_ == nullptr) return;
  Bootstrap();
  EtcdLogOptions options = Options();
  options.lease = seconds(10);        // Also a slow etcd answers in a quarter of it.
  options.batch_bytes_max = 150'000;  // So that several are on their way at that moment.
  auto process = Open(options);
  ASSERT_TRUE(WaitReady(*process));
  std::vector<std::string> durable = {"first"};
  const Term term = process->listener.seen().term;
  bool full = false;
  for (int round = 0; round < 20 && !full; ++round) {
    std::vector<std::pair<std::string, std::future<Fate>>> asked;
    for (int i = 0; i < 20; ++i) {
      auto fate = std::make_shared<std::promise<Fate>>();
      const std::string record = std::to_string(round) + "." + std::to_string(i);
      asked.emplace_back(record + std::string(100'000, 'x'), fate->get_future());
      process->log->Propose(asked.back().first, term, [fate](Fate f) { fate->set_value(f); });
    }
    for (auto& [record, answer] : asked) {
      const Fate fate = answer.get();
      // Also of those that use up the quota, which etcd writes and says that it has not.
      EXPECT_NE(fate, Fate::kInDoubt);
      full = full || fate != Fate::kDurable;
      if (fate == Fate::kDurable) durable.push_back(record);
    }
  }
  ASSERT_TRUE(full);
  EXPECT_TRUE(WaitUntil(kPatience, [&] {
    return process->log->health().trouble.find("NOSPACE") != std::string::npos;
  })) << process->log->health().trouble;
  EXPECT_FALSE(process->ready());
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return process->log->health().no_space(); }));
  // Another one can still read.
  auto standby = Open();
  ASSERT_TRUE(standby->listener.Wait(
      [&](const auto& seen) { return seen.Records().size() >= durable.size(); }));
  EXPECT_TRUE(standby->listener.seen().Records() == durable);
  standby.reset();
  // What an operator does.
  servers_->SetArguments({"--quota-backend-bytes=40000000"});
  servers_->Kill9(0);
  ASSERT_TRUE(servers_->Start(0).ok());
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return servers_->Ctl({"alarm", "disarm"}).ok(); }));
  EXPECT_TRUE(ProposeUntilDurable(*process, "after"));
  EXPECT_TRUE(WaitUntil(kPatience, [&] { return !process->log->health().no_space(); }));
  std::vector<std::string> records = process->listener.seen().Records();
  ASSERT_GT(records.size(), durable.size());
  EXPECT_EQ(records[durable.size()].substr(0, 5), "after");
  records.resize(durable.size());
  EXPECT_TRUE(records == durable);
}

TEST_F(EtcdLogTest, NoProcessStartsOnAnEtcdThatWasRestored) {
  Up();
  if (servers_ == nullptr) return;
  Bootstrap();
  const test_support::TempDir dir;
  const std::string file = dir.File("snapshot");
  for (const char* record : {"a", "b"}) {
    auto process = Open();
    ASSERT_TRUE(WaitReady(*process));
    EXPECT_EQ(Propose(*process, record), Fate::kDurable);
  }
  Status done = servers_->SaveSnapshot(file);
  ASSERT_TRUE(done.ok()) << done.ToString();
  {
    auto process = Open();
    ASSERT_TRUE(WaitReady(*process));
    EXPECT_EQ(Propose(*process, "forgotten"), Fate::kDurable);
  }
  const std::string key = std::string(kPrefix) + "/group/etcd";
  for (const char* token : {EtcdServers::kToken, "another"}) {
    done = servers_->RestoreSnapshot(file, token);
    ASSERT_TRUE(done.ok()) << done.ToString();
    ContractListener listener;
    const Status s = EtcdLog::Open(Options(), listener).status();
    EXPECT_EQ(s.code(), Code::kFailedPrecondition) << token;
    EXPECT_THAT(s.message(), HasSubstr("etcd was restored from a snapshot of its own"));
    EXPECT_THAT(s.message(), HasSubstr("etcdctl del " + key));
  }
  // Whoever knows that nothing was lost.
  ASSERT_TRUE(servers_->Ctl({"del", key}).ok());
  for (const char* record : {"c", "d"}) {
    auto process = Open();
    ASSERT_TRUE(WaitReady(*process));
    EXPECT_EQ(Propose(*process, record), Fate::kDurable);
  }
  EXPECT_THAT(Open()->listener.seen().Records(), testing::Not(testing::Contains("forgotten")));
}

TEST_F(EtcdLogTest, AProcessThatRunsSeesWhatARestoredEtcdHasForgotten) {
  Up();
  if (servers_ == nullptr) return;
  Bootstrap();
  const test_support::TempDir dir;
  const std::string file = dir.File("snapshot");
  Process leader, standby;
  std::promise<Status> leader_died, standby_died;
  const auto open = [&](Process& process, std::promise<Status>& died) {
    EtcdLogOptions options = Options();
    options.on_death = [&](const Status& why) { died.set_value(why); };
    auto log = EtcdLog::Open(std::move(options), process.listener);
    ASSERT_TRUE(log.ok()) << log.status().ToString();
    process.log = std::move(*log);
  };
  open(leader, leader_died);
  ASSERT_TRUE(WaitReady(leader));
  open(standby, standby_died);
  EXPECT_EQ(Propose(leader, "kept"), Fate::kDurable);
  Status done = servers_->SaveSnapshot(file);
  ASSERT_TRUE(done.ok()) << done.ToString();
  EXPECT_EQ(Propose(leader, "forgotten"), Fate::kDurable);
  ASSERT_TRUE(standby.listener.Wait([](const auto& seen) { return seen.Records().size() == 3; }));
  done = servers_->RestoreSnapshot(file);
  ASSERT_TRUE(done.ok()) << done.ToString();
  // Its reign is in that snapshot too, so that it may go on until it writes.
  EXPECT_NE(Propose(leader, "after"), Fate::kDurable);
  for (auto* died : {&leader_died, &standby_died}) {
    auto why = died->get_future();
    ASSERT_EQ(why.wait_for(kPatience), std::future_status::ready);
    const Status s = why.get();
    EXPECT_EQ(s.code(), Code::kDataLoss);
    EXPECT_THAT(s.message(), HasSubstr("etcd has gone back from revision"));
  }
}

TEST_F(EtcdLogTest, WithoutTlsNoProxyIsAskedForTheWay) {
  Up();
  if (servers_ == nullptr) return;
  ASSERT_EQ(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);  // Nobody is there.
  Bootstrap();
  auto process = Open();
  unsetenv("http_proxy");
  ASSERT_NE(process->log, nullptr);
  EXPECT_TRUE(ProposeUntilDurable(*process, "straight"));
}

TEST_F(EtcdLogTest, SpeaksTlsAsAUserOfEtcd) {
  const auto paths = test_support::PathsOf(test_support::TestCertificates(), "node");
  Up({.tls = paths});
  if (servers_ == nullptr) return;
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"user", "add", "root:secret"},
           {"user", "grant-role", "root", "root"},
           {"role", "add", "assent"},
           {"role", "grant-permission", "assent", "readwrite", "--prefix=true", "assent/bank/"},
           {"user", "add", "teller:pin"},
           {"user", "grant-role", "teller", "assent"},
           {"auth", "enable"}}) {
    auto done = servers_->Ctl(command);
    ASSERT_TRUE(done.ok()) << command[0] << " " << command[1] << ": " << done.status().ToString();
  }
  client_.user = "teller";
  client_.password = "wrong";
  Status s = etcd::BootstrapGroup(client_, kPrefix, kIdentity, "first");
  EXPECT_FALSE(s.ok());
  EXPECT_THAT(s.message(), HasSubstr("teller"));
  client_.password = "pin";
  s = etcd::BootstrapGroup(client_, "elsewhere", kIdentity, "first");
  EXPECT_EQ(s.code(), Code::kPermissionDenied) << s.ToString();
  Bootstrap();
  auto process = Open();
  ASSERT_TRUE(WaitReady(*process));
  EXPECT_EQ(Propose(*process, "a"), Fate::kDurable);
  // Tokens do not outlive the server.
  servers_->Kill9(0);
  ASSERT_TRUE(servers_->Start(0).ok());
  EXPECT_TRUE(ProposeUntilDurable(*process, "b"));
}

}  // namespace
}  // namespace assent::txlog
