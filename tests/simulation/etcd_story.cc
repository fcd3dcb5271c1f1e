#include "tests/simulation/etcd_story.h"

#include <algorithm>
#include <cstdio>
#include <sstream>

#include "tests/simulation/etcd_text.h"

namespace assent::simulation {

using namespace txlog::etcd;  // NOLINT
using txlog::Fate;
using txlog::Index;
using txlog::Term;

namespace {

using std::chrono::milliseconds;
constexpr uint64_t kFaultKinds = 9;
constexpr char kPrefix[] = "assent/shop";
const Identity kIdentity{"uuid", "shop"};

// The step that ends a reign and reads what of it is there.
bool Settles(const Txn& txn) {
  return txn.then.size() == 2 && std::holds_alternative<Delete>(txn.then[0]) &&
         std::holds_alternative<Range>(txn.then[1]);
}

}  // namespace

EtcdStory::Met& EtcdStory::Met::operator+=(const Met& other) {
  decided += other.decided;
  durable += other.durable;
  refused += other.refused;
  in_doubt += other.in_doubt;
  reads += other.reads;
  terms += other.terms;
  crashes += other.crashes;
  late += other.late;
  restored += other.restored;
  snapshots += other.snapshots;
  no_space += other.no_space;
  settled += other.settled;
  resigned += other.resigned;
  return *this;
}

EtcdStory::Met EtcdStory::met() const {
  Met met = met_;
  met.decided = checker_.decided();
  met.durable = checker_.durable();
  met.refused = checker_.refused();
  met.in_doubt = checker_.in_doubt();
  met.reads = checker_.reads_ready();
  met.terms = leaders_.size();
  return met;
}

// Limits so small that all of them are met.
EtcdStory::EtcdStory(uint64_t seed, Focus focus, bool trace)
    : focus_(focus), trace_(trace), random_(seed ^ 0x5DEECE66Dull) {
  auto draw = [&](uint64_t from, uint64_t to) { return from + Draw(to - from + 1); };
  options_.prefix = kPrefix;
  options_.lineage = "1 2 3";
  options_.identity = kIdentity;
  options_.address = "host:1";
  options_.lease = milliseconds(draw(1000, 3000));
  options_.lease_margin = milliseconds(draw(0, 300));
  options_.retry_min = milliseconds(20);
  options_.retry_max = milliseconds(200);
  options_.batch_bytes_max = draw(40, 300);
  options_.batches_in_flight_max = draw(1, 5);
  options_.further_batch_bytes = draw(0, 30);
  options_.pending_bytes_max = draw(50, 2000);
  options_.snapshot_after_bytes = draw(200, 5000);
  options_.snapshot_after_batches = draw(3, 60);
  options_.chunk_bytes = draw(10, 60);
  options_.trim_batches = draw(1, 10);
  options_.trim_pause = milliseconds(5 * options_.trim_batches);
  options_.page_bytes = draw(50, 1000);
  loss_percent_ = Chance(70) ? static_cast<unsigned>(draw(1, 20)) : 0;
  disorder_percent_ = Chance(60) ? static_cast<unsigned>(draw(5, 60)) : 0;
  fault_percent_ = Chance(90) ? static_cast<unsigned>(draw(2, 40)) : 0;
  faults_ = random_();
  if (focus_ == Focus::kLeaders) {
    faults_ = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 5;
    fault_percent_ = static_cast<unsigned>(draw(20, 60));
    loss_percent_ = static_cast<unsigned>(draw(5, 20));
  } else if (focus_ == Focus::kSnapshots) {
    options_.snapshot_after_batches = draw(2, 6);
    options_.trim_batches = draw(1, 3);
    faults_ = 1 << 1 | 1 << 2 | 1 << 5;
    fault_percent_ = static_cast<unsigned>(draw(1, 20));
    loss_percent_ = static_cast<unsigned>(draw(10, 40));
  }
  Bootstrap();
  for (uint64_t i = draw(1, 4); i > 0; --i) {
    processes_.push_back(std::make_unique<Process>());
    Start(*processes_.back());
  }
}

EtcdStory::~EtcdStory() = default;

void EtcdStory::Trace(const Process& process, const std::string& line) const {
  if (trace_) {
    std::fprintf(stderr, "%lld %llu: %s\n",
                 static_cast<long long>(std::chrono::duration_cast<milliseconds>(time_).count()),
                 static_cast<unsigned long long>(process.id), line.c_str());
  }
}

void EtcdStory::Bootstrap() {
  const Layout layout(kPrefix);
  checker_.OnProposed(next_id_);
  const Batch first{.term = 1, .first_index = 1, .records = {RecordOf(next_id_++, 0)}};
  (void)etcd_.Execute({.then = {Put{layout.identity(), Text(kIdentity)}, Put{layout.term(), "1"},
                                Put{layout.Log(1), Encode(first)}}});
}

void EtcdStory::Start(Process& process) {
  process = Process{.id = next_owner_++};
  Options options = options_;
  options.owner = process.id;
  process.member = std::make_unique<Member>(options);
  Step(process, Tick{});
}

// What it has sent may still be done.
void EtcdStory::Kill(Process& process) {
  ++met_.crashes;
  Trace(process, "killed");
  for (Request& request : process.requests) {
    auto* sent = std::get_if<SendTxn>(&request.what);
    if (sent != nullptr && Chance(70)) late_.push_back(std::move(sent->txn));
  }
  Start(process);
}

EtcdStory::Process* EtcdStory::Leader() {
  Process* leader = nullptr;
  for (auto& one : processes_) {
    if (!one->leads) continue;
    if (leader == nullptr || one->member->term() > leader->member->term()) leader = one.get();
  }
  return leader;
}

// ---- A process ----------------------------------------------------------------------------------

// Mostly what has gathered goes at once.
void EtcdStory::Step(Process& process, Event event) {
  Take(process, std::move(event));
  if (Fine() && !Chance(12)) Take(process, Flush{});
}

void EtcdStory::Take(Process& process, Event event) {
  for (Action& action : process.member->Step(Now(), std::move(event))) {
    if (!Fine()) return;
    if (trace_) Trace(process, Text(action));
    Perform(process, action);
  }
}

void EtcdStory::Perform(Process& process, Action& action) {
  if (std::holds_alternative<SendTxn>(action) || std::holds_alternative<GrantLease>(action) ||
      std::holds_alternative<KeepLease>(action)) {
    process.requests.push_back({std::move(action)});
  } else if (auto* watch = std::get_if<StartWatch>(&action)) {
    process.watch =
        std::make_unique<Watch>(Watch{watch->watch, watch->key, watch->end, watch->from});
  } else if (std::holds_alternative<StopWatch>(action)) {
    process.watch.reset();
  } else if (auto* apply = std::get_if<Apply>(&action)) {
    for (const txlog::Applied& entry : apply->entries) Applied(process, entry);
  } else if (auto* restore = std::get_if<Restore>(&action)) {
    Restored(process, *restore);
  } else if (auto* fates = std::get_if<ProposalFates>(&action)) {
    for (uint64_t id : fates->ids) checker_.OnFate(id, fates->fate);
  } else if (auto* changed = std::get_if<LeadershipChanged>(&action)) {
    process.leads = changed->leads;
    if (!changed->leads) return;
    auto [it, first] = leaders_.emplace(changed->term, process.id);
    if (!first && it->second != process.id) {
      checker_.Wrong("two leaders of term " + std::to_string(changed->term));
    }
  } else if (auto* ready = std::get_if<ReadReady>(&action)) {
    for (uint64_t id : ready->ids) checker_.OnReadReady(id, process.index);
  } else if (auto* reads = std::get_if<ReadsRefused>(&action)) {
    for (uint64_t id : reads->ids) checker_.OnReadRefused(id);
  } else if (std::holds_alternative<SnapshotWanted>(action)) {
    process.snapshot_wanted = true;
  } else if (std::holds_alternative<SnapshotTaken>(action)) {
    ++met_.snapshots;
  } else if (auto* resigned = std::get_if<Resigned>(&action)) {
    if (resigned->moved) ++met_.resigned;
  } else if (auto* trouble = std::get_if<Trouble>(&action)) {
    // In these stories nobody else writes into the group.
    if (trouble->what.find("is damaged") != std::string::npos) {
      checker_.Wrong("process " + std::to_string(process.id) + ": " + trouble->what);
    }
  } else if (auto* halt = std::get_if<Halt>(&action)) {
    checker_.Wrong("process " + std::to_string(process.id) + " halts: " + halt->why);
  }
}

void EtcdStory::Applied(Process& process, const txlog::Applied& entry) {
  if (entry.index != process.index + 1) {
    return checker_.Wrong("process " + std::to_string(process.id) + " was told entry " +
                          std::to_string(entry.index) + " behind " + std::to_string(process.index));
  }
  if (entry.term < process.term) {
    return checker_.Wrong("process " + std::to_string(process.id) + ": entry " +
                          std::to_string(entry.index) + " is of an older term than the one before");
  }
  txlog::raft::Entry same{
      entry.index, entry.term,
      entry.record.empty() ? txlog::raft::EntryType::kNoop : txlog::raft::EntryType::kRecord,
      std::make_shared<const std::string>(entry.record)};
  process.index = entry.index;
  process.term = entry.term;
  process.chain = checker_.OnApplied(process.id, same, process.chain);
}

std::string EtcdStory::State(const Process& process) {
  return std::to_string(process.chain) + " " + std::string(Draw(150), '.');
}

void EtcdStory::Restored(Process& process, const Restore& restore) {
  ++met_.restored;
  if (restore.index <= process.index) {
    return checker_.Wrong("process " + std::to_string(process.id) + " was set back to " +
                          std::to_string(restore.index));
  }
  process.index = restore.index;
  process.term = restore.term;
  process.chain = std::stoull("0" + restore.state.substr(0, restore.state.find(' ')));
  checker_.OnRestored(process.id, {restore.index, restore.term, {}}, process.chain);
}

// ---- Faults and work ----------------------------------------------------------------------------

std::string EtcdStory::Run() {
  for (int round = 0; round < 400 && Fine(); ++round) Round();
  if (Fine()) Heal();
  if (Fine()) CheckProgress();
  if (Fine()) checker_.CheckFates();
  return checker_.wrong();
}

void EtcdStory::Pass(Duration time) {
  time_ += time;
  etcd_.Advance(Now());
}

void EtcdStory::Round() {
  Pass(milliseconds(1 + Draw(40)));
  for (auto& one : processes_) {
    if (!one->paused && Chance(80)) Step(*one, Tick{});
  }
  for (uint64_t steps = Draw(30); steps > 0 && Fine(); --steps) Happen(AnyProcess());
  if (!late_.empty() && Chance(20)) {
    const size_t i = Draw(late_.size());
    (void)etcd_.Execute(late_[i]);
    ++met_.late;
    late_.erase(late_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  if (Chance(fault_percent_)) Fault();
  for (auto& one : processes_) {
    if (Fine() && !one->paused) Work(*one);
  }
}

void EtcdStory::Work(Process& process) {
  if (process.snapshot_wanted && Chance(60)) {
    process.snapshot_wanted = false;
    Step(process, SaveSnapshot{process.index, State(process)});
  }
  if (!process.leads && !Chance(3)) return;
  if (Chance(60)) {
    Propose event{.term = process.member->term()};
    if (Chance(5)) event.term -= 1;
    for (uint64_t i = 1 + Draw(4); i > 0; --i) {
      checker_.OnProposed(next_id_);
      event.proposals.push_back({next_id_, RecordOf(next_id_, Draw(60))});
      ++next_id_;
    }
    Step(process, std::move(event));
  }
  if (Chance(30)) {
    checker_.OnBarrier(next_id_);
    Step(process, ReadBarrier{next_id_++});
  }
}

// Each story has its own selection of faults.
void EtcdStory::Fault() {
  Process& process = AnyProcess();
  if (Chance(30)) {
    for (auto& one : processes_) {
      if (Chance(70)) one->paused = one->cut_off = false;
    }
    if (Chance(60)) etcd_.SetSpace(true);
    return;
  }
  const uint64_t kind = Draw(kFaultKinds);
  if ((faults_ >> kind & 1) == 0) return;
  switch (kind) {
    case 0:
      process.paused = true;
      break;
    case 1:
      Kill(process);
      break;
    case 2:
      Pass(milliseconds(Draw(4000)));
      break;
    case 3:
      process.cut_off = true;
      break;
    case 4:
      if (etcd_.space()) ++met_.no_space;
      etcd_.SetSpace(false, static_cast<int>(Draw(4)));
      break;
    case 5:
      // As if its clock ran too fast: leases end early.
      etcd_.EndLease(static_cast<LeaseId>(1 + Draw(20)));
      etcd_.EndLease(static_cast<LeaseId>(next_owner_ - 1 - Draw(3)));
      break;
    case 6:
      etcd_.Compact();
      break;
    case 7:
      Step(process, Resign{next_id_++});
      break;
    default:
      if (process.watch == nullptr) break;
      process.answers.push_back(WatchEnded{process.watch->number, "broken"});
      process.watch.reset();
  }
}

// One thing that is under way gets on.
void EtcdStory::Happen(Process& process) {
  switch (Draw(5)) {
    case 0:
    case 1:
      if (!process.requests.empty()) DoRequest(process);
      return;
    case 2:
    case 3:
      if (!process.paused && !process.answers.empty()) DeliverAnswer(process);
      return;
    default:
      if (!process.paused && process.watch != nullptr) DeliverWatch(process);
  }
}

void EtcdStory::DoRequest(Process& process) {
  const size_t i = Chance(disorder_percent_) ? Draw(process.requests.size()) : 0;
  Request request = std::move(process.requests[i]);
  process.requests.erase(process.requests.begin() + static_cast<std::ptrdiff_t>(i));
  const bool lost = process.cut_off || Chance(loss_percent_);
  if (lost && Chance(60)) {
    // Never done, or much later.
    auto* sent = std::get_if<SendTxn>(&request.what);
    if (sent != nullptr && !healed_ && Chance(50)) late_.push_back(sent->txn);
    request.given_up = true;
  }
  Answer(process, request, lost);
}

void EtcdStory::Answer(Process& process, const Request& request, bool lost) {
  if (const auto* sent = std::get_if<SendTxn>(&request.what)) {
    TxnAnswered answer{sent->request, NoAnswer{"lost"}};
    if (!request.given_up) {
      Outcome outcome = etcd_.Execute(sent->txn);
      if (Settles(sent->txn) && !lost && std::get<Done>(outcome).succeeded) ++met_.settled;
      if (!lost) answer.outcome = std::move(outcome);
    }
    process.answers.push_back(std::move(answer));
    return;
  }
  LeaseAnswered answer{.ttl = options_.lease, .message = "lost"};
  if (const auto* grant = std::get_if<GrantLease>(&request.what)) {
    answer.request = grant->request;
    if (!request.given_up) {
      answer.lease = etcd_.Grant(grant->ttl, Now());
      answer.what = LeaseAnswered::What::kHeld;
    }
  } else {
    const auto& keep = std::get<KeepLease>(request.what);
    answer.request = keep.request;
    answer.lease = keep.lease;
    if (!request.given_up) {
      answer.what =
          etcd_.Keep(keep.lease, Now()) ? LeaseAnswered::What::kHeld : LeaseAnswered::What::kGone;
    }
  }
  if (lost) answer.what = LeaseAnswered::What::kNotGiven;
  process.answers.push_back(std::move(answer));
}

void EtcdStory::DeliverAnswer(Process& process) {
  const size_t i = Chance(disorder_percent_) ? Draw(process.answers.size()) : 0;
  Event answer = std::move(process.answers[i]);
  process.answers.erase(process.answers.begin() + static_cast<std::ptrdiff_t>(i));
  Step(process, std::move(answer));
}

void EtcdStory::DeliverWatch(Process& process) {
  if (process.cut_off) return;
  Watch& watch = *process.watch;
  if (watch.next <= etcd_.compacted() && Chance(50)) {
    const uint64_t number = watch.number;
    process.watch.reset();
    return Step(process, WatchEnded{number, "compacted"});
  }
  Watched news{.watch = watch.number};
  for (uint64_t count = 1 + Draw(5); count > 0 && watch.next <= etcd_.revision(); --count) {
    std::vector<Change> changes = etcd_.ChangesAt(watch.next++, watch.key, watch.end);
    // As a client that loses one, which is a mistake but for a watch that breaks then.
    news.changes.insert(news.changes.end(), changes.begin(), changes.end());
  }
  if (!healed_ && !news.changes.empty() && Chance(loss_percent_ / 4)) return;
  if (!news.changes.empty()) Step(process, std::move(news));
}

// ---- The end ------------------------------------------------------------------------------------

void EtcdStory::Heal() {
  healed_ = true;
  for (const Txn& txn : late_) (void)etcd_.Execute(txn);
  late_.clear();
  etcd_.SetSpace(true);
  loss_percent_ = 0;
  disorder_percent_ = 0;
  for (auto& one : processes_) {
    one->paused = one->cut_off = false;
    // What the story has kept from a watch, a real one would not.
    if (one->watch == nullptr) continue;
    const uint64_t number = one->watch->number;
    one->watch.reset();
    Step(*one, WatchEnded{number, "healed"});
  }
}

bool EtcdStory::CaughtUp() {
  Process* leader = Leader();
  if (leader == nullptr) return false;
  return std::all_of(processes_.begin(), processes_.end(), [&](const auto& one) {
    return one->index == leader->index && one->member->term() == leader->member->term() &&
           one->member->open_proposals() == 0 && (one->leads ? one.get() == leader : true);
  });
}

bool EtcdStory::Calm(int rounds) {
  for (int i = 0; i < rounds && Fine(); ++i) {
    Pass(milliseconds(20));
    for (auto& one : processes_) {
      Step(*one, Tick{});
      for (bool busy = true; busy && Fine();) {
        busy = !one->requests.empty() || !one->answers.empty();
        if (!one->requests.empty()) DoRequest(*one);
        if (!one->answers.empty()) DeliverAnswer(*one);
      }
      if (one->watch != nullptr && Fine()) DeliverWatch(*one);
    }
    if (CaughtUp()) return true;
  }
  return false;
}

void EtcdStory::CheckProgress() {
  constexpr int kHealingRounds = 1000;
  if (!Calm(kHealingRounds)) {
    std::string state;
    for (auto& one : processes_) {
      state += "\n  process " + std::to_string(one->id) + " phase " +
               std::to_string(static_cast<int>(one->member->phase())) + " term " +
               std::to_string(one->member->term()) + " index " + std::to_string(one->index);
    }
    return checker_.Wrong("progress: not caught up after healing" + state);
  }
  // More than once: the lease of one that leads now may be about to end, for what was lost before.
  const size_t durable = checker_.durable();
  const size_t reads = checker_.reads_ready();
  for (int tries = 0; tries < 3 && Fine(); ++tries) {
    Process* leader = Leader();
    if (leader == nullptr) break;
    checker_.OnProposed(next_id_);
    Step(*leader, Propose{leader->member->term(), {{next_id_, RecordOf(next_id_, 5)}}});
    ++next_id_;
    checker_.OnBarrier(next_id_);
    Step(*leader, ReadBarrier{next_id_++});
    for (int i = 0; i < 10 && Fine(); ++i) {
      if (Calm(50) && checker_.durable() > durable && checker_.reads_ready() > reads) return;
    }
  }
  checker_.Wrong("progress: a healthy leader does not commit or answer a read");
}

}  // namespace assent::simulation
