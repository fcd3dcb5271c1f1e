#include "txlog/local_log.h"

#include <thread>
#include <utility>
#include <variant>

#include "base/inbox.h"
#include "base/mutex.h"
#include "txlog/local_engine.h"
#include "txlog/storage/executor.h"

namespace assent::txlog {
namespace {

struct BarrierAsked {
  std::function<void(Status)> done;
};
struct SnapshotGiven {
  Index index = 0;
  std::string state;
};
struct SnapshotWritten {
  Index index = 0;
  Term term = 0;
  Status status;
};
using Item = std::variant<Proposal, BarrierAsked, SnapshotGiven, SnapshotWritten>;

// The driver bounds what is under way; Post ignores this.
constexpr size_t kInboxBound = 1 << 16;

}  // namespace

class LocalLog::Impl {
 public:
  static Result<std::unique_ptr<Impl>> Open(LocalLogOptions options, Listener& listener) {
    auto impl = std::make_unique<Impl>();
    Result<std::unique_ptr<LocalEngine>> engine =
        LocalEngine::Open(options, listener, *impl->spares_, *impl->snapshots_,
                          [inbox = &impl->inbox_](Index index, Term term, Status status) {
                            inbox->Post(SnapshotWritten{index, term, std::move(status)});
                          });
    if (!engine.ok()) {
      // Their tasks use the store that just failed to open.
      return engine.status();
    }
    impl->engine_ = std::move(*engine);
    impl->thread_ = std::thread([raw = impl.get()] { raw->Run(); });
    return impl;
  }

  ~Impl() {
    inbox_.Close();
    if (thread_.joinable()) thread_.join();
    // Their tasks use the engine.
    spares_.reset();
    snapshots_.reset();
    if (engine_ != nullptr) engine_->Close();
  }

  void Post(Item item) { inbox_.Post(std::move(item)); }
  void PutBehindNext(Proposal proposal) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    behind_next_.push_back(std::move(proposal));
  }
  const LocalEngine& engine() const { return *engine_; }

 private:
  void Run() {
    engine_->Announce();
    for (;;) {
      std::vector<Item> items = inbox_.Drain();
      if (!items.empty()) {
        Handle(std::move(items));
        continue;
      }
      // Nothing came that they could have gone with.
      if (std::vector<Proposal> rest = TakeBehindNext(); !rest.empty()) {
        engine_->Commit(std::move(rest));
      }
      return;
    }
  }

  std::vector<Proposal> TakeBehindNext() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return std::exchange(behind_next_, {});
  }

  // What needs no disk goes first: it does not depend on proposals that are still under way.
  void Handle(std::vector<Item> items) {
    std::vector<Proposal> proposals;
    for (Item& item : items) {
      if (auto* proposal = std::get_if<Proposal>(&item)) {
        proposals.push_back(std::move(*proposal));
      } else if (auto* barrier = std::get_if<BarrierAsked>(&item)) {
        engine_->Barrier(barrier->done);
      } else if (auto* given = std::get_if<SnapshotGiven>(&item)) {
        engine_->SaveSnapshot(given->index, std::move(given->state));
      } else if (auto* written = std::get_if<SnapshotWritten>(&item)) {
        engine_->SnapshotWritten(written->index, written->term, written->status);
      }
    }
    if (proposals.empty()) return;
    for (Proposal& proposal : TakeBehindNext()) proposals.push_back(std::move(proposal));
    engine_->Commit(std::move(proposals));
  }

  Inbox<Item> inbox_{kInboxBound};
  Mutex mutex_;
  std::vector<Proposal> behind_next_ GUARDED_BY(mutex_);
  std::unique_ptr<BackgroundThread> spares_ = std::make_unique<BackgroundThread>();
  // Apart from the spares: a large snapshot must not delay the next segment.
  std::unique_ptr<BackgroundThread> snapshots_ = std::make_unique<BackgroundThread>();
  std::unique_ptr<LocalEngine> engine_;
  std::thread thread_;
};

LocalLog::LocalLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LocalLog::~LocalLog() = default;

Result<std::unique_ptr<LocalLog>> LocalLog::Open(LocalLogOptions options, Listener& listener) {
  Result<std::unique_ptr<Impl>> impl = Impl::Open(std::move(options), listener);
  if (!impl.ok()) return impl.status();
  return std::unique_ptr<LocalLog>(new LocalLog(std::move(*impl)));
}

Term LocalLog::term() const { return impl_->engine().term(); }
const NodeIdentity& LocalLog::identity() const { return impl_->engine().identity(); }

void LocalLog::Propose(std::string record, Term term, std::function<void(Fate)> done) {
  impl_->Post(Proposal{std::move(record), term, std::move(done)});
}

void LocalLog::ProposeWithNext(std::string record, Term term, std::function<void(Fate)> done) {
  impl_->PutBehindNext(Proposal{std::move(record), term, std::move(done)});
}

void LocalLog::ReadBarrier(std::function<void(Status)> done) {
  impl_->Post(BarrierAsked{std::move(done)});
}

void LocalLog::SaveSnapshot(Index index, std::string state) {
  impl_->Post(SnapshotGiven{index, std::move(state)});
}

void LocalLog::ChangeMembership(MembershipChange, std::function<void(Status)> done) {
  done(FailedPrecondition("this log has one member for good"));
}

void LocalLog::TransferLeadership(uint64_t, std::function<void(Status)> done) {
  done(FailedPrecondition("this log has one member, there is nobody to hand the lead to"));
}

void LocalLog::ListMembers(std::function<void(GroupProgress)> done) {
  GroupProgress progress;
  progress.group = {
      .term = term(), .leader = identity().node_id, .members = {{identity().node_id}}};
  progress.members = {{.member = progress.group.members[0]}};
  done(std::move(progress));
}

Status Bootstrap(Disk& disk, const std::string& directory, const NodeIdentity& identity,
                 std::string first_record) {
  std::vector<Entry> first(1);
  first[0] = {.index = 1, .term = 1, .payload = std::move(first_record)};
  return LogStore::Create(disk, directory, identity, first);
}

Result<NodeIdentity> ReadNodeIdentity(Disk& disk, const std::string& directory) {
  return LogStore::ReadIdentity(disk, directory);
}

}  // namespace assent::txlog
