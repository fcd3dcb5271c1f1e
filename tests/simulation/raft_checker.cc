#include "tests/simulation/raft_checker.h"

#include <cstdlib>

#include "tests/simulation/raft_text.h"

namespace assent::simulation {

using txlog::Fate;
using txlog::Index;
using txlog::Term;
using txlog::raft::Entry;
using txlog::raft::NodeId;

namespace {

// FNV-1a.
uint64_t Hash(uint64_t seed, std::string_view bytes) {
  uint64_t hash = seed ^ 0xCBF29CE484222325ull;
  for (char c : bytes) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001B3ull;
  return hash;
}

uint64_t Content(const Entry& entry) {
  return Hash(static_cast<uint64_t>(entry.type), entry.view());
}

std::string At(NodeId node) { return "node " + std::to_string(node) + ": "; }

}  // namespace

std::string RecordOf(uint64_t id, size_t filling) {
  const std::string name = "p" + std::to_string(id);
  return filling == 0 ? name : name + " " + std::string(filling, '.');
}

uint64_t IdOf(std::string_view record) {
  return std::strtoull(std::string(record.substr(1, record.find(' '))).c_str(), nullptr, 10);
}

void RaftChecker::Wrong(const std::string& what) {
  if (wrong_.empty()) wrong_ = what;
}

void RaftChecker::OnLeader(NodeId node, Term term, const NodeLog& log) {
  auto [it, first] = leaders_.emplace(term, node);
  if (!first) {
    Wrong("election safety: term " + std::to_string(term) + " has leaders " +
          std::to_string(it->second) + " and " + std::to_string(node));
  }
  if (log.last_index() < decided_.size()) {
    return Wrong(At(node) + "leader completeness: its log ends at " +
                 std::to_string(log.last_index()) + ", decided is up to " +
                 std::to_string(decided_.size()));
  }
  for (Index i = log.base_index + 1; i <= decided_.size(); ++i) {
    if (log.TermAt(i) == decided_[i - 1].term) continue;
    return Wrong(At(node) + "leader completeness: term " + std::to_string(log.TermAt(i)) + " at " +
                 std::to_string(i) + ", decided was " + std::to_string(decided_[i - 1].term));
  }
}

void RaftChecker::OnWritten(NodeId node, const Entry& entry, Term previous_term) {
  auto [it, first] =
      written_.emplace(std::pair(entry.index, entry.term), Written{Content(entry), previous_term});
  if (first) return;
  if (it->second.content != Content(entry) || it->second.previous_term != previous_term) {
    Wrong(At(node) + "log matching: " + Text(entry) + " behind term " +
          std::to_string(previous_term) + " is not what it was elsewhere, behind term " +
          std::to_string(it->second.previous_term));
  }
}

uint64_t RaftChecker::OnApplied(NodeId node, const Entry& entry, uint64_t chain) {
  const uint64_t content = Content(entry);
  const uint64_t next = Hash(chain ^ content, std::to_string(entry.term));
  if (entry.index == decided_.size() + 1) {
    decided_.push_back({entry.term, content, next});
    if (entry.type == txlog::raft::EntryType::kRecord) {
      if (++times_decided_[IdOf(entry.view())] > 1)
        Wrong(At(node) + "decided twice: " + Text(entry));
    }
  }
  if (entry.index > decided_.size()) {
    Wrong(At(node) + "applied " + Text(entry) + " behind a gap");
  } else if (const Decided& d = decided_[entry.index - 1];
             d.term != entry.term || d.content != content || d.chain != next) {
    Wrong(At(node) + "state-machine safety: applied " + Text(entry) +
          ", but another node applied an entry of term " + std::to_string(d.term) + " there");
  }
  return next;
}

void RaftChecker::OnRestored(NodeId node, const txlog::raft::SnapshotMeta& meta, uint64_t chain) {
  if (meta.index == 0) return;
  if (meta.index > decided_.size() || decided_[meta.index - 1].chain != chain ||
      decided_[meta.index - 1].term != meta.term) {
    Wrong(At(node) + "the snapshot of " + std::to_string(meta.index) + " is not what was applied");
  }
}

void RaftChecker::OnProposed(uint64_t id) { fates_[id] = -1; }

void RaftChecker::OnFate(uint64_t id, Fate fate) {
  auto it = fates_.find(id);
  if (it == fates_.end() || it->second != -1) {
    return Wrong("proposal " + std::to_string(id) + " was answered twice");
  }
  it->second = static_cast<int>(fate);
  ++counts_[it->second];
  if (fate == Fate::kRefused && times_decided_.contains(id)) {
    Wrong("proposal " + std::to_string(id) + " was refused, but decided");
  }
}

void RaftChecker::OnBarrier(uint64_t id) { barriers_[id] = decided_.size(); }

void RaftChecker::OnReadReady(uint64_t id, Index applied) {
  auto it = barriers_.find(id);
  if (it == barriers_.end()) return Wrong("read " + std::to_string(id) + " was answered twice");
  if (applied < it->second) {
    Wrong("stale read " + std::to_string(id) + ": answered at " + std::to_string(applied) +
          ", decided before it was asked: " + std::to_string(it->second));
  }
  barriers_.erase(it);
  ++reads_ready_;
}

void RaftChecker::OnReadRefused(uint64_t id) {
  if (barriers_.erase(id) == 0) Wrong("read " + std::to_string(id) + " was answered twice");
}

void RaftChecker::CheckFates() {
  for (const auto& [id, fate] : fates_) {
    const bool decided = times_decided_.contains(id);
    if (fate == static_cast<int>(Fate::kDurable) && !decided) {
      Wrong("proposal " + std::to_string(id) + " was durable, and is lost");
    }
    if (fate == static_cast<int>(Fate::kRefused) && decided) {
      Wrong("proposal " + std::to_string(id) + " was refused, but decided");
    }
  }
}

}  // namespace assent::simulation
