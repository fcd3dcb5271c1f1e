#include "tests/bench/log_driver.h"

#include <utility>

namespace assent::bench {
namespace {

using std::chrono::steady_clock;

// The first byte of a record says whose it is.
constexpr char kStamped = 'S';
constexpr char kPut = 'P';

std::string Stamp(Window::Time now) {
  std::string record(kEntryBytes, kStamped);
  const auto count = now.time_since_epoch().count();
  record.replace(1, sizeof count, reinterpret_cast<const char*>(&count), sizeof count);
  return record;
}

Window::Time StampOf(const std::string& record) {
  steady_clock::rep count = 0;
  record.copy(reinterpret_cast<char*>(&count), sizeof count, 1);
  return Window::Time(Window::Time::duration(count));
}

}  // namespace

LogDriver::~LogDriver() { Stop(); }

void LogDriver::Start(txlog::DecisionLog& log) {
  log_ = &log;
  thread_ = std::thread([this] {
    inbox_.Run(
        [this](std::vector<Input> inputs) {
          for (Input& input : inputs) {
            std::visit([this](auto& one) { On(one); }, input);
          }
          return MonotonicTime::max();
        },
        [this] { Fail(Aborted("the node stops")); });
  });
}

void LogDriver::Stop() {
  inbox_.Close();
  if (thread_.joinable()) thread_.join();
}

void LogDriver::Put(std::string record, std::function<void(Status)> done) {
  inbox_.Post(PutAsked{std::move(record), std::move(done)});
}

void LogDriver::Run(const Load& load, std::function<void(Result<Rates>)> done) {
  inbox_.Post(RunAsked{load, std::move(done)});
}

// ---- The log thread -----------------------------------------------------------------------------

void LogDriver::OnApplied(std::vector<txlog::Applied> entries) {
  applied_ = entries.back().index;
  {
    MutexLock lock(mutex_);
    if (running_ && running_->asked.load.proposer == Proposer::kLog) return GoOn(entries);
  }
  inbox_.Post(AppliedCame{std::move(entries)});
}

// ---- The driver thread --------------------------------------------------------------------------

void LogDriver::On(PutAsked& input) {
  if (term_ == 0) return input.done(FailedPrecondition("this node does not lead"));
  puts_.push_back(std::move(input.done));
  input.record[0] = kPut;
  Propose(std::move(input.record), term_);
}

void LogDriver::On(RunAsked& input) {
  MutexLock lock(mutex_);
  if (term_ == 0 || running_) {
    return input.done(FailedPrecondition("this node does not lead, or is loaded already"));
  }
  const auto now = steady_clock::now();
  const Load load = input.load;
  running_ = {std::move(input), Window(load, now), term_, load.in_flight};
  for (size_t i = 0; i < load.in_flight; ++i) Propose(Stamp(now), term_);
}

void LogDriver::On(AppliedCame& input) {
  if (term_ == 0) return;
  for (const txlog::Applied& entry : input.entries) {
    if (entry.record.empty() || entry.record[0] != kPut || puts_.empty()) continue;
    puts_.front()(Ok());
    puts_.pop_front();
  }
  MutexLock lock(mutex_);
  if (running_) GoOn(input.entries);
}

void LogDriver::On(LeadershipCame& input) {
  term_ = input.leader ? input.term : 0;
  if (!input.leader) Fail(Aborted("this node lost the lead"));
}

void LogDriver::On(SnapshotWanted&) {
  log_->SaveSnapshot(applied_, std::string(snapshot_bytes_, 's'));
}

void LogDriver::On(NotDurable&) { Fail(Aborted("an entry was refused, or is in doubt")); }

void LogDriver::Fail(const Status& status) {
  for (const auto& done : std::exchange(puts_, {})) done(status);
  MutexLock lock(mutex_);
  if (!running_) return;
  const Running ended = *std::exchange(running_, std::nullopt);
  ended.asked.done(status);
}

// ---- Either -------------------------------------------------------------------------------------

void LogDriver::Propose(std::string record, txlog::Term term) {
  log_->Propose(std::move(record), term, [this](txlog::Fate fate) {
    if (fate != txlog::Fate::kDurable) inbox_.Post(NotDurable{});
  });
}

// Each entry that is applied makes room for the next, until the time is over.
void LogDriver::GoOn(const std::vector<txlog::Applied>& entries) {
  const auto now = steady_clock::now();
  for (const txlog::Applied& entry : entries) {
    if (entry.record.empty() || entry.record[0] != kStamped) continue;
    running_->window.Add(StampOf(entry.record), now);
    if (!running_->window.Over(now)) {
      Propose(Stamp(now), running_->term);
    } else if (--running_->under_way == 0) {
      const Running ended = *std::exchange(running_, std::nullopt);
      return ended.asked.done(ended.window.Take());
    }
  }
}

}  // namespace assent::bench
