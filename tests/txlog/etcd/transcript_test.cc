// Runs tests/testdata/etcd/*.txt: real cores around a model of etcd; every request, answer and
// piece of news is in the hand of the transcript.
//
//   etcd [bytes=n] [flight=n]   a new group and nothing else; of a batch, batches in flight
//   start 1 [of=UUID]           a process, which was told that the group is UUID's
//   stop 1, broken 1            it goes; its watch breaks
//   time 100                    milliseconds; leases end, and each process is given a tick
//   lead 1, follow 1            1 starts and gets so far by itself; prints nothing
//   do 1 7, lose 1 7            request 7 of process 1 is done and answered; or the answer is lost
//   drop 1 7                    it is lost
//   late 1 7                    it is taken for lost, and done only when `do` says so
//   hold 1 7, answer 1 7        it is done, and answered later
//   news 1                      what its watch has for it
//   propose 1 a b, read 1 9, resign 1 9, snapshot 1 INDEX STATE
//   full [n], space             etcd's quota; n requests are done all the same, and answered as
//   full end 1                       the lease of process 1 keys                        what etcd
//   holds remove log/SLOT             somebody deletes a key of the group replace UUID somebody
//   bootstraps another group in its place anew UUID                   the same in an etcd that is
//   empty, and counts from the start
#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "tests/simulation/etcd_model.h"
#include "tests/simulation/etcd_text.h"
#include "tests/support/transcript.h"
#include "txlog/etcd/core/batch.h"
#include "txlog/etcd/core/member.h"

namespace assent::simulation {
namespace {

using namespace txlog::etcd;  // NOLINT
using std::chrono::milliseconds;
using tests::Command;

class Player {
 public:
  std::vector<std::string> Perform(const Command& c) {
    lines_.clear();
    if (c.verb == "etcd") {
      Etcd(c);
    } else if (c.verb == "time") {
      Pass(milliseconds(Number(c.Word(0))));
    } else if (c.verb == "full" || c.verb == "space") {
      const int crossing = c.words.empty() ? 0 : static_cast<int>(Number(c.Word(0)));
      etcd_.SetSpace(c.verb == "space", crossing);
    } else if (c.verb == "remove") {
      (void)etcd_.Execute({.then = {Delete{options_.prefix + "/group/" + c.Word(0)}}});
    } else if (c.verb == "replace") {
      (void)etcd_.Execute(
          {.then = {Delete{options_.prefix + "/group/", options_.prefix + "/group0"}}});
      Bootstrap(c.Word(0));
    } else if (c.verb == "anew") {
      etcd_ = {};
      Bootstrap(c.Word(0));
    } else if (c.verb == "keys") {
      for (const KeyValue& one : etcd_.Read({.key = "a", .end = "b"})) {
        lines_.push_back(Text(Txn{.then = {Put{one.key, one.value}}}));
      }
    } else {
      const std::string name = c.Word(0);
      if (c.verb == "start") {
        Start(name, c.Option("of", uuid_));
      } else if (c.verb == "stop") {
        processes_.erase(name);
      } else if (c.verb == "lead" || c.verb == "follow") {
        Settle(name, c.verb == "lead");
      } else {
        At(c, name, processes_.at(name));
      }
    }
    return lines_;
  }

 private:
  struct Process {
    std::unique_ptr<Member> member;
    std::map<uint64_t, Action> requests;
    std::map<uint64_t, Outcome> held;
    StartWatch watch;
    bool leads = false;
    LeaseId lease = 0;
  };

  static uint64_t Number(const std::string& word) { return std::stoull("0" + word); }

  void Etcd(const Command& c) {
    etcd_ = {};
    processes_.clear();
    options_ = {};
    options_.prefix = "assent/shop";
    options_.address = "host:1";
    options_.snapshot_after_batches = 3;
    options_.chunk_bytes = 5;
    options_.batches_in_flight_max = Number(c.Option("flight", "2"));
    options_.further_batch_bytes = Number(c.Option("further", "0"));
    options_.batch_bytes_max = Number(c.Option("bytes", "1000"));
    now_ = MonotonicTime(std::chrono::hours(1));
    Bootstrap("uuid");
  }

  void Bootstrap(const std::string& uuid) {
    uuid_ = uuid;
    const Layout layout(options_.prefix);
    const Batch first{.term = 1, .first_index = 1, .records = {"first"}};
    (void)etcd_.Execute({.then = {Put{layout.identity(), Text(Identity{uuid, "shop"})},
                                  Put{layout.term(), "1"}, Put{layout.Log(1), Encode(first)}}});
  }

  void Start(const std::string& name, const std::string& uuid) {
    Options options = options_;
    options.identity = Identity{uuid, "shop"};
    options.owner = Number(name);
    processes_[name] = Process{.member = std::make_unique<Member>(options)};
    Step(name, Tick{});
  }

  void Step(const std::string& name, Event event) {
    Take(name, std::move(event));
    Take(name, Flush{});
  }
  void Take(const std::string& name, Event event) {
    Process& process = processes_.at(name);
    for (Action& action : process.member->Step(now_, std::move(event))) {
      lines_.push_back(name + ": " + Text(action));
      if (const auto* sent = std::get_if<SendTxn>(&action)) {
        process.requests.emplace(sent->request, action);
      } else if (const auto* grant = std::get_if<GrantLease>(&action)) {
        process.requests.emplace(grant->request, action);
      } else if (const auto* keep = std::get_if<KeepLease>(&action)) {
        process.requests.emplace(keep->request, action);
      } else if (auto* watch = std::get_if<StartWatch>(&action)) {
        process.watch = *watch;
      } else if (const auto* changed = std::get_if<LeadershipChanged>(&action)) {
        process.leads = changed->leads;
      } else if (std::holds_alternative<StopWatch>(action)) {
        process.watch = {};
      }
    }
  }

  void Pass(milliseconds time) {
    now_ += time;
    etcd_.Advance(now_);
    for (auto& [name, process] : processes_) Step(name, Tick{});
  }

  // `lead`: until it leads and has nothing to do; otherwise until it only listens.
  void Settle(const std::string& name, bool lead) {
    Start(name, uuid_);
    for (int i = 0; i < 100; ++i) {
      Process& process = processes_.at(name);
      if (process.requests.empty() && (process.leads || !lead)) break;
      if (process.requests.empty()) Pass(milliseconds(20));
      if (!process.requests.empty()) Do(name, process, process.requests.begin()->first, true, true);
    }
    EXPECT_EQ(processes_.at(name).leads, lead);
    lines_.clear();
  }

  void Do(const std::string& name, Process& process, uint64_t request, bool done, bool answered,
          bool keep = false) {
    auto found = process.requests.find(request);
    if (found == process.requests.end()) return lines_.push_back("no such request");
    const Action action = found->second;
    if (!keep) process.requests.erase(found);
    if (const auto* sent = std::get_if<SendTxn>(&action)) {
      Outcome outcome = NoAnswer{"lost"};
      if (done) outcome = etcd_.Execute(sent->txn);
      if (!answered) outcome = NoAnswer{"lost"};
      return Step(name, TxnAnswered{request, std::move(outcome)});
    }
    LeaseAnswered answer{.request = request, .ttl = options_.lease, .message = "lost"};
    if (done && std::holds_alternative<GrantLease>(action)) {
      process.lease = answer.lease = etcd_.Grant(options_.lease, now_);
      answer.what = LeaseAnswered::What::kHeld;
    } else if (done) {
      answer.lease = process.lease;
      answer.what =
          etcd_.Keep(process.lease, now_) ? LeaseAnswered::What::kHeld : LeaseAnswered::What::kGone;
    }
    if (!answered) answer.what = LeaseAnswered::What::kNotGiven;
    Step(name, std::move(answer));
  }

  void At(const Command& c, const std::string& name, Process& process) {
    const uint64_t word = c.words.size() > 1 && isdigit(c.words[1][0]) ? Number(c.words[1]) : 0;
    if (c.verb == "hold") {
      process.held[word] = etcd_.Execute(std::get<SendTxn>(process.requests.at(word)).txn);
    } else if (c.verb == "answer") {
      process.requests.erase(word);
      Step(name, TxnAnswered{word, process.held.at(word)});
    } else if (c.verb == "do") {
      Do(name, process, word, true, true);
    } else if (c.verb == "lose") {
      Do(name, process, word, true, false);
    } else if (c.verb == "drop" || c.verb == "late") {
      Do(name, process, word, false, false, c.verb == "late");
    } else if (c.verb == "news") {
      Watched news{.watch = process.watch.watch};
      while (process.watch.watch != 0 && process.watch.from <= etcd_.revision()) {
        const auto changes =
            etcd_.ChangesAt(process.watch.from++, process.watch.key, process.watch.end);
        news.changes.insert(news.changes.end(), changes.begin(), changes.end());
      }
      Step(name, std::move(news));
    } else if (c.verb == "broken") {
      Step(name, WatchEnded{process.watch.watch, "broken"});
    } else if (c.verb == "propose") {
      txlog::etcd::Propose event{.term = process.member->term()};
      for (size_t i = 1; i < c.words.size(); ++i) event.proposals.push_back({next_++, c.words[i]});
      Step(name, std::move(event));
    } else if (c.verb == "read") {
      Step(name, ReadBarrier{word});
    } else if (c.verb == "resign") {
      Step(name, Resign{word});
    } else if (c.verb == "snapshot") {
      Step(name, SaveSnapshot{word, c.Word(2)});
    } else if (c.verb == "end") {
      etcd_.EndLease(process.lease);
    } else {
      ADD_FAILURE() << "unknown verb: " << c.line;
    }
  }

  EtcdModel etcd_;
  std::string uuid_;
  Options options_;
  MonotonicTime now_{};
  std::map<std::string, Process> processes_;
  std::vector<std::string> lines_;
  uint64_t next_ = 1;
};

TEST(Etcd, Transcripts) {
  for (const auto& file : tests::Transcripts("etcd")) {
    SCOPED_TRACE(file.filename().string());
    Player player;
    tests::RunTranscript(file, [&](const Command& c) { return player.Perform(c); });
  }
}

}  // namespace
}  // namespace assent::simulation
