// Writes in their order, and what waits for them.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mutant.h"
#include "txlog/replicated/engine.h"
#include "txlog/storage/files.h"

namespace assent::txlog {
namespace {

// A batch beyond this takes long enough to write that the first of it should not wait for the rest.
constexpr uint64_t kBatchBytesMax = 1 << 20;

Entry ToStored(raft::Entry& entry) {
  return {.index = entry.index,
          .term = entry.term,
          .type = static_cast<EntryType>(entry.type),
          .payload = std::string(entry.view())};
}

}  // namespace

// Each round may make the next: what is forced is committed, what is committed is applied, what is
// applied makes room.
void ReplicatedEngine::Flush() {
  while (!dead_.load()) {
    if (!writes_.empty()) {
      FlushWrites();
    } else if (!after_writes_.empty()) {
      for (AfterWrites& one : std::exchange(after_writes_, {})) {
        std::visit([this](const auto& action) { After(action); }, one);
      }
    } else if (applied_) {
      Step(raft::Applied{*std::exchange(applied_, std::nullopt)});
    } else {
      return;
    }
  }
}

void ReplicatedEngine::FlushWrites() {
  const bool early = MutantOn(Mutant::kReplyBeforeFsync) &&
                     std::holds_alternative<raft::WriteEntries>(writes_.front());
  if (early) WritesForced(std::get<raft::WriteEntries>(writes_.front()).write);
  uint64_t forced = 0, failed = 0;
  Status s = DoWrites(&forced, &failed);
  if (forced != 0) WritesForced(forced);
  if (s.ok()) {
    if (refused_for_room_ > 0) {
      LogInfo("log_disk_has_room", {{"refused_meanwhile", refused_for_room_}});
      refused_for_room_ = 0;
    }
    return;
  }
  if (s.code() == Code::kResourceExhausted && !early) {
    OutOfRoom(failed, s.message());
  } else {
    Die(s);
  }
}

// Takes writes off the front as far as one batch goes. On an error, `*failed` is the number of the
// write that was not done; those up to `*forced` are.
Status ReplicatedEngine::DoWrites(uint64_t* forced, uint64_t* failed) {
  if (auto* hard_state = std::get_if<raft::SaveHardState>(&writes_.front())) {
    // Of several in a row only the last counts.
    raft::SaveHardState last = *hard_state;
    *failed = last.write;
    while (writes_.size() > 1) {
      auto* next = std::get_if<raft::SaveHardState>(&writes_[1]);
      if (next == nullptr) break;
      last = *next;
      writes_.pop_front();
    }
    writes_.pop_front();
    Status s = DoHardState(last.state);
    if (s.ok()) *forced = last.write;
    return s;
  }
  if (auto* install = std::get_if<raft::InstallFromStaged>(&writes_.front())) {
    const raft::InstallFromStaged one = *install;
    writes_.pop_front();
    Status s = DoInstall(one);
    if (s.ok()) *forced = one.write;
    return s;
  }
  // Entries of one write after another, as long as they follow each other, are one batch.
  auto& first = std::get<raft::WriteEntries>(writes_.front());
  *failed = first.write;
  uint64_t last = first.write;
  std::vector<Entry> entries;
  uint64_t bytes = 0;
  do {
    auto* more = std::get_if<raft::WriteEntries>(&writes_.front());
    if (more == nullptr || (!entries.empty() && more->truncate)) break;
    last = more->write;
    for (raft::Entry& entry : more->entries) {
      bytes += RecordBytes(entry.bytes());
      entries.push_back(ToStored(entry));
    }
    writes_.pop_front();
  } while (!writes_.empty() && bytes < kBatchBytesMax);
  Status s = DoEntries(std::move(entries));
  if (s.ok()) *forced = last;
  return s;
}

Status ReplicatedEngine::DoHardState(const raft::HardState& state) {
  // All that is in the log is forced here, which is worth noting: a later loss of its end cannot
  // pass for a torn write.
  return store_->SaveHardState(
      {.term = state.term, .vote = state.vote, .log_floor = store_->last_index()});
}

// Cut where a segment ends, and where one write would take too long.
Status ReplicatedEngine::DoEntries(std::vector<Entry> entries) {
  const Index before = entries.front().index - 1;
  // Also what an earlier write, refused for want of room, has left.
  if (store_->last_index() > before) {
    if (Status s = store_->TruncateAfter(before); !s.ok()) return s;
  }
  std::vector<Entry> batch;
  uint64_t bytes = 0;
  Status s;
  for (Entry& entry : entries) {
    const uint64_t more = RecordBytes(entry.payload.size());
    if (!batch.empty() &&
        (bytes + more > kBatchBytesMax || bytes + more > store_->RoomInSegment())) {
      s = WriteAndForce(std::exchange(batch, {}));
      if (!s.ok()) break;
      bytes = 0;
    }
    bytes += more;
    batch.push_back(std::move(entry));
  }
  if (s.ok()) s = WriteAndForce(batch);
  if (s.code() != Code::kResourceExhausted || store_->last_index() == before) return s;
  // A later start must not find the first part of what its owner is told was not written.
  if (Status back = store_->TruncateAfter(before); !back.ok()) {
    return DataLoss(s.message() +
                    "; then what had been written could not be taken back: " + back.message());
  }
  return s;
}

Status ReplicatedEngine::WriteAndForce(const std::vector<Entry>& entries) {
  // Steps of transactions, not of an election.
  const bool records = std::any_of(entries.begin(), entries.end(), [](const Entry& entry) {
    return entry.type == EntryType::kRecord;
  });
  if (records) ASSENT_FAILPOINT("coord.append.before");
  if (Status s = store_->Write(entries); !s.ok()) return s;
  if (records) ASSENT_FAILPOINT("coord.append.after");
  if (records) ASSENT_FAILPOINT("coord.fsync.before");
  if (Status s = store_->Force(); !s.ok()) return s;
  if (records) ASSENT_FAILPOINT("coord.fsync.after");
  return Ok();
}

Status ReplicatedEngine::DoInstall(const raft::InstallFromStaged& install) {
  // The store judges by what is on the disk, which may hold more than the core knows of: what was
  // to be cut when the disk was full. It is cut when something is written in its place.
  Status s = store_->InstallIncoming(install.meta.index, install.meta.term);
  if (!s.ok()) {
    return DataLoss("a snapshot could not be installed, the next start goes on with it: " +
                    s.message());
  }
  LogInfo("log_snapshot_installed", {{"index", install.meta.index}, {"term", install.meta.term}});
  return Ok();
}

void ReplicatedEngine::WritesForced(uint64_t write) {
  while (!held_.empty() && held_.front().after_write <= write) {
    raft::Send send = std::move(held_.front());
    held_.pop_front();
    SendNow(send.message);
  }
  Step(raft::Forced{write});
}

// One line when the disk fills up and one when there is room again, however many are refused.
void ReplicatedEngine::OutOfRoom(uint64_t write, const std::string& reason) {
  if (refused_for_room_++ == 0) {
    LogWarning("log_disk_full", {{"directory", options_.directory}, {"reason", reason}});
  }
  full_since_ = ticks_;
  // Not a snapshot that is to be installed: the owner has its state already.
  std::erase_if(writes_, [](const Write& one) {
    return !std::holds_alternative<raft::InstallFromStaged>(one);
  });
  std::erase_if(held_, [write](const raft::Send& send) { return send.after_write >= write; });
  Step(raft::DiskFull{write});
}

void ReplicatedEngine::After(const raft::ReadEntries& action) {
  raft::EntriesRead answer{.peer = action.peer, .from = action.from};
  Result<std::vector<Entry>> read = store_->ReadWithin(action.from, action.to, action.bytes_max);
  if (read.status().code() == Code::kNotFound) {
    answer.gone = true;
  } else if (!read.ok()) {
    return Die(read.status());
  } else {
    for (Entry& entry : *read) {
      answer.entries.push_back(
          {.index = entry.index,
           .term = entry.term,
           .type = static_cast<raft::EntryType>(entry.type),
           .payload = entry.payload.empty()
                          ? nullptr
                          : std::make_shared<const std::string>(std::move(entry.payload))});
    }
  }
  Step(std::move(answer));
}

void ReplicatedEngine::After(const raft::Compact& action) {
  // A newer one may have been installed since.
  if (action.index < store_->snapshot_index()) return;
  std::vector<std::string> covered = store_->DropCovered(action.index, action.term);
  LogInfo("log_compacted", {{"index", action.index}, {"segments_removed", covered.size()}});
  if (covered.empty()) return;
  RunSlowly([this, covered = std::move(covered)]() -> std::function<void()> {
    for (const std::string& path : covered) {
      // The next start removes what is left.
      if (Status s = RemoveInSteps(disk_, path); s.code() == Code::kDataLoss) {
        Die(s);
      } else if (!s.ok()) {
        LogWarning("log_segment_not_removed", {{"reason", s.message()}});
      }
    }
    return nullptr;
  });
}

// `work` runs on `slow`; what it answers, if anything, then runs here.
void ReplicatedEngine::RunSlowly(std::function<std::function<void()>()> work) {
  slow_.Run([this, work = std::move(work)] {
    if (std::function<void()> then = work()) post_(SlowWorkDone{std::move(then)});
  });
}

}  // namespace assent::txlog
