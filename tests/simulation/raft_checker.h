// What must hold of a group of Raft cores, whatever happens to them. It sees every action, and
// remembers what has ever been decided anywhere.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "txlog/raft/actions.h"

namespace assent::simulation {

// What a node holds in memory, as its shell would know it.
struct NodeLog {
  txlog::Index base_index = 0;
  txlog::Term base_term = 0;
  std::vector<txlog::raft::Entry> entries;  // Behind the base.

  txlog::Index last_index() const { return base_index + entries.size(); }
  // 0 for what is covered or not there.
  txlog::Term TermAt(txlog::Index index) const {
    if (index == base_index) return base_term;
    if (index < base_index || index > last_index()) return 0;
    return entries[index - base_index - 1].term;
  }
};

class RaftChecker {
 public:
  // Empty: nothing is wrong so far. Otherwise the first thing that was.
  const std::string& wrong() const { return wrong_; }
  void Wrong(const std::string& what);

  // Election safety and leader completeness (paper, figure 3): `log` is the new leader's.
  void OnLeader(txlog::raft::NodeId node, txlog::Term term, const NodeLog& log);
  // Log matching: `entry` follows one of `previous_term` in a log.
  void OnWritten(txlog::raft::NodeId node, const txlog::raft::Entry& entry,
                 txlog::Term previous_term);
  // State-machine safety. The chain of everything applied up to there.
  uint64_t OnApplied(txlog::raft::NodeId node, const txlog::raft::Entry& entry, uint64_t chain);
  // A snapshot's state, which is the chain at its index.
  void OnRestored(txlog::raft::NodeId node, const txlog::raft::SnapshotMeta& meta, uint64_t chain);

  void OnProposed(uint64_t id);
  void OnFate(uint64_t id, txlog::Fate fate);
  // Linearizable reads: all that was applied anywhere when the barrier came is applied at the node.
  void OnBarrier(uint64_t id);
  void OnReadReady(uint64_t id, txlog::Index applied);
  void OnReadRefused(uint64_t id);
  // Every promise about a proposal was kept. Once all nodes have caught up.
  void CheckFates();

  txlog::Index decided() const { return decided_.size(); }
  size_t durable() const { return counts_[0]; }
  size_t refused() const { return counts_[1]; }
  size_t in_doubt() const { return counts_[2]; }
  size_t reads_ready() const { return reads_ready_; }

 private:
  struct Written {
    uint64_t content = 0;
    txlog::Term previous_term = 0;
  };
  struct Decided {
    txlog::Term term = 0;
    uint64_t content = 0;
    uint64_t chain = 0;  // Of this one and all before.
  };

  std::string wrong_;
  std::map<txlog::Term, txlog::raft::NodeId> leaders_;
  std::map<std::pair<txlog::Index, txlog::Term>, Written> written_;
  std::vector<Decided> decided_;           // By index, from 1.
  std::map<uint64_t, int> times_decided_;  // By proposal id.
  std::map<uint64_t, int> fates_;          // -1: open.
  size_t counts_[3] = {};
  std::map<uint64_t, txlog::Index> barriers_;
  size_t reads_ready_ = 0;
};

// Records of the simulation are "p<id>" and filling behind a space.
std::string RecordOf(uint64_t id, size_t filling);
uint64_t IdOf(std::string_view record);

}  // namespace assent::simulation
