#include "tests/simulation/raft_node.h"

#include <algorithm>
#include <cstdlib>
#include <memory>

namespace assent::simulation {

using namespace txlog::raft;  // NOLINT: its actions and events are what this file is about.
using txlog::Index;

namespace {

// Long enough for several pieces.
std::string StateOf(uint64_t chain) {
  std::string state = std::to_string(chain);
  state.resize(100, ' ');
  return state;
}
uint64_t ChainOf(const std::string& state) { return std::strtoull(state.c_str(), nullptr, 10); }

}  // namespace

RaftNode::RaftNode(Options options, SnapshotMeta first, RaftChecker& checker, Hooks hooks)
    : options_(options), checker_(checker), hooks_(std::move(hooks)) {
  snapshot_ = {std::move(first), StateOf(0)};
}

void RaftNode::Start(uint64_t seed) {
  // A snapshot that was received and not installed is nothing, as on the real disk.
  staged_.reset();
  options_.seed = seed;
  raft_.emplace(options_);
  forced_write_ = 0;
  owner_index_ = snapshot_.meta.index;
  owner_term_ = snapshot_.meta.term;
  owner_chain_ = ChainOf(snapshot_.state);
  checker_.OnRestored(id(), snapshot_.meta, owner_chain_);
  Step(txlog::raft::Start{hard_state_, snapshot_.meta, disk_log_.entries});
  // What the core made of it.
  memory_ = {snapshot_.meta.index, snapshot_.meta.term, {}};
  for (const Entry& entry : disk_log_.entries) {
    if (entry.index > memory_.base_index && entry.index <= raft_->last_index()) {
      memory_.entries.push_back(entry);
    }
  }
}

void RaftNode::Crash(size_t writes_kept) {
  for (size_t i = 0; i < writes_kept && i < writes_.size(); ++i) {
    const auto* entries = std::get_if<WriteEntries>(&writes_[i].action);
    if (full_ && entries != nullptr) break;
    if (full_for_hard_state_ && std::holds_alternative<SaveHardState>(writes_[i].action)) break;
    Reach(writes_[i]);
  }
  raft_.reset();
  writes_.clear();
  held_.clear();
  answers_.clear();
  memory_ = {};
}

void RaftNode::Step(Event event) {
  if (!up()) return;
  std::vector<Action> actions = raft_->Step(std::move(event));
  for (const Action& action : actions) {
    if (hooks_.seen) hooks_.seen(action);
    Perform(action);
  }
  CheckConfig();
}

void RaftNode::CheckConfig() {
  if (!(told_ == raft_->config())) {
    checker_.Wrong("node " + std::to_string(id()) + ": was not told of the members in force");
  }
  auto it = std::find_if(memory_.entries.rbegin(), memory_.entries.rend(),
                         [](const Entry& e) { return e.type == EntryType::kConfig; });
  // Behind its snapshot alone the snapshot's are in force, which its meta was taken from.
  if (it == memory_.entries.rend() || it->index > raft_->last_index()) return;
  if (EncodeConfig(raft_->config()) != it->view()) {
    checker_.Wrong("node " + std::to_string(id()) +
                   ": the members in force are not those of entry " + std::to_string(it->index));
  }
}

void RaftNode::Do(const MembersChanged& action) { told_ = action.config; }

void RaftNode::Perform(const Action& action) {
  std::visit([this](const auto& a) { Do(a); }, action);
}

// ---- The disk ---------------------------------------------------------------------------------

void RaftNode::Cut(NodeLog& log, const WriteEntries& action) {
  const Index first = action.entries.front().index;
  if (action.truncate) {
    if (first <= log.base_index || first > log.last_index() + 1) {
      log = {first - 1, 0, {}};
    } else {
      log.entries.resize(first - log.base_index - 1);
    }
  }
}

void RaftNode::Reach(const Write& write) {
  if (const auto* hard = std::get_if<SaveHardState>(&write.action)) {
    hard_state_ = hard->state;
  } else if (const auto* entries = std::get_if<WriteEntries>(&write.action)) {
    Cut(disk_log_, *entries);
    if (entries->entries.front().index != disk_log_.last_index() + 1) {
      checker_.Wrong("node " + std::to_string(id()) + ": a write leaves a gap in the log");
      return;
    }
    disk_log_.entries.insert(disk_log_.entries.end(), entries->entries.begin(),
                             entries->entries.end());
  } else if (const auto* install = std::get_if<InstallFromStaged>(&write.action)) {
    if (staged_ && staged_->meta.index == install->meta.index) {
      snapshot_ = std::move(*staged_);
      staged_.reset();
    }
    std::vector<Entry> tail;
    for (Entry& entry : disk_log_.entries) {
      if (install->keep_tail && entry.index > install->meta.index) tail.push_back(entry);
    }
    disk_log_ = {install->meta.index, install->meta.term, std::move(tail)};
  }
}

bool RaftNode::ForceOne() {
  if (writes_.empty()) return false;
  const Write write = writes_.front();
  const bool refused =
      std::holds_alternative<WriteEntries>(write.action)
          ? full_
          : std::holds_alternative<SaveHardState>(write.action) && full_for_hard_state_;
  if (refused) {
    std::erase_if(writes_, [](const Write& w) {
      return !std::holds_alternative<InstallFromStaged>(w.action);
    });
    std::erase_if(held_, [&](const auto& held) { return held.first >= write.number; });
    Step(DiskFull{write.number});
    // The core has cut its log back to what the disk holds.
    if (up() && memory_.last_index() > raft_->last_index()) {
      memory_.entries.resize(raft_->last_index() - memory_.base_index);
    }
    return true;
  }
  writes_.pop_front();
  Reach(write);
  forced_write_ = write.number;
  while (!held_.empty() && held_.front().first <= forced_write_) {
    Message message = std::move(held_.front().second);
    held_.pop_front();
    hooks_.send(message);
  }
  Step(Forced{write.number});
  return true;
}

bool RaftNode::AnswerOne() {
  if (answers_.empty()) return false;
  auto answer = std::move(answers_.front());
  answers_.pop_front();
  answer();
  return true;
}

void RaftNode::FreeDisk() {
  full_ = full_for_hard_state_ = false;
  Step(DiskFine{});
}

void RaftNode::Do(const SaveHardState& action) { writes_.push_back({action.write, action}); }

void RaftNode::Do(const WriteEntries& action) {
  Cut(memory_, action);
  for (const Entry& entry : action.entries) {
    checker_.OnWritten(id(), entry, memory_.TermAt(entry.index - 1));
    memory_.entries.push_back(entry);
  }
  writes_.push_back({action.write, action});
}

void RaftNode::Do(const InstallFromStaged& action) {
  std::vector<Entry> tail;
  for (Entry& entry : memory_.entries) {
    if (action.keep_tail && entry.index > action.meta.index) tail.push_back(entry);
  }
  memory_ = {action.meta.index, action.meta.term, std::move(tail)};
  if (!staged_ || staged_->meta.index != action.meta.index) {
    return checker_.Wrong("node " + std::to_string(id()) + ": installs what is not staged");
  }
  owner_index_ = action.meta.index;
  owner_term_ = action.meta.term;
  owner_chain_ = ChainOf(staged_->state);
  checker_.OnRestored(id(), action.meta, owner_chain_);
  ++installed_;
  writes_.push_back({action.write, action});
}

// ---- Everything else --------------------------------------------------------------------------

void RaftNode::Do(const txlog::raft::Send& action) {
  // Writes are forced in order, so sends that wait leave in the order of their writes.
  if (action.after_write <= forced_write_) return hooks_.send(action.message);
  auto behind = std::upper_bound(held_.begin(), held_.end(), action.after_write,
                                 [](uint64_t w, const auto& held) { return w < held.first; });
  held_.insert(behind, {action.after_write, action.message});
}

void RaftNode::Do(const Apply& action) {
  for (const Entry& entry : action.entries) {
    if (entry.index != owner_index_ + 1) {
      checker_.Wrong("node " + std::to_string(id()) + ": applies " + std::to_string(entry.index) +
                     " after " + std::to_string(owner_index_));
    }
    owner_index_ = entry.index;
    owner_term_ = entry.term;
    owner_chain_ = checker_.OnApplied(id(), entry, owner_chain_);
  }
  Answer([this, index = owner_index_] { Step(Applied{index}); });
}

void RaftNode::Do(const ProposalFates& action) {
  for (uint64_t proposal : action.ids) checker_.OnFate(proposal, action.fate);
}

void RaftNode::Do(const LeadershipChanged& action) {
  if (action.leader == id()) checker_.OnLeader(id(), action.term, memory_);
}

void RaftNode::Do(const ReadReady& action) {
  for (uint64_t read : action.ids) checker_.OnReadReady(read, owner_index_);
}

void RaftNode::Do(const ReadsRefused& action) {
  for (uint64_t read : action.ids) checker_.OnReadRefused(read);
}

void RaftNode::Do(const ReadEntries& action) {
  Answer([this, action] {
    EntriesRead read{.peer = action.peer, .from = action.from};
    uint64_t bytes = 0;
    for (const Entry& entry : disk_log_.entries) {
      if (entry.index < action.from || entry.index > action.to) continue;
      if (read.entries.empty() && entry.index != action.from) break;
      bytes += entry.bytes() + kEntryOverheadBytes;
      if (!read.entries.empty() && bytes > action.bytes_max) break;
      read.entries.push_back(entry);
    }
    read.gone = read.entries.empty();
    Step(std::move(read));
  });
}

void RaftNode::Do(const SnapshotWanted&) { SaveSnapshot(true); }

void RaftNode::SaveSnapshot(bool ok) {
  if (!up() || owner_index_ <= snapshot_.meta.index) return;
  std::optional<SnapshotMeta> meta = raft_->SnapshotMetaAt(owner_index_);
  if (!meta || meta->term != owner_term_) {
    return checker_.Wrong("node " + std::to_string(id()) + ": what was applied has no snapshot");
  }
  Answer([this, ok, saved = SimSnapshot{std::move(*meta), StateOf(owner_chain_)}] {
    // A newer one may have come from the leader meanwhile.
    const bool newer = saved.meta.index > snapshot_.meta.index;
    if (ok && newer) snapshot_ = saved, ++saved_;
    Step(SnapshotSaved{saved.meta.index, ok});
  });
}

void RaftNode::Do(const Compact& action) {
  auto cut = [&](NodeLog& log) {
    if (action.index <= log.base_index) return;
    const size_t covered = std::min<size_t>(action.index - log.base_index, log.entries.size());
    log.entries.erase(log.entries.begin(), log.entries.begin() + static_cast<ptrdiff_t>(covered));
    log.base_index = action.index;
    log.base_term = action.term;
  };
  cut(memory_);
  cut(disk_log_);
}

void RaftNode::Do(const ReadSnapshotChunk& action) {
  Answer([this, action] {
    SnapshotChunkRead read{.peer = action.peer, .index = action.index, .offset = action.offset};
    const std::string& state = snapshot_.state;
    read.gone = snapshot_.meta.index != action.index || action.offset > state.size();
    if (!read.gone) {
      read.data = std::make_shared<const std::string>(
          state.substr(action.offset, static_cast<size_t>(action.bytes_max)));
      read.last = action.offset + read.data->size() == state.size();
    }
    Step(std::move(read));
  });
}

void RaftNode::Do(const StageSnapshotChunk& action) {
  if (action.offset == 0) staging_ = {action.meta, {}};
  if (staging_.state.size() != action.offset || !(staging_.meta == action.meta)) {
    return checker_.Wrong("node " + std::to_string(id()) + ": stages a piece out of order");
  }
  if (action.data != nullptr) staging_.state += *action.data;
  if (!action.last) return;
  Answer([this, whole = staging_] {
    if (!full_) staged_ = whole;
    Step(SnapshotStaged{whole.meta.index, !full_});
  });
}

void RaftNode::Do(const Halt& action) {
  checker_.Wrong("node " + std::to_string(id()) + ": halt: " + action.why);
}

}  // namespace assent::simulation
