// Runs tests/testdata/raft/*.txt: groups of real cores whose every message, write and tick is in
// the hand of the transcript.
//
//   group 1 2 3 4l [bytes=n]  members, all started; 4l is a learner. Everything before is
//   forgotten.
//                           bytes: of entries in one message
//   boot 1 terms=1,1,4 term=5   before start: the log's terms; records are p<term><index as 2
//   digits> start 1, crash 1 [kept=n]   n unforced writes reached the disk all the same; default
//   none join 4                  starts a node that belongs to no group yet tick 1 [n], campaign 1
//   time; ticks until it is no follower any more propose 1 p7 p8 [term=t], read 1 9,
//   add|promote|remove 1 4, transfer 1 2, snapshot 1 force 1, answer 1       the disk does all that
//   is written; what the core asked for comes deliver 1>2 [n], drop 1>2 [n], double 1>2   messages
//   under way, oldest first; default all settle                  everything happens until nothing
//   is left; prints no sends, no writes cut 1>2 | cut 1, heal   links fill 1 [hard], free 1   the
//   disk; `hard`: hard states find no room either log 1...                what a node holds
#include <gtest/gtest.h>

#include <memory>
#include <sstream>

#include "tests/simulation/raft_cluster.h"
#include "tests/simulation/raft_text.h"
#include "tests/support/transcript.h"

namespace assent::simulation {
namespace {

using namespace txlog::raft;  // NOLINT
using tests::Command;

class Player {
 public:
  std::vector<std::string> Perform(const Command& c) {
    lines_.clear();
    quiet_ = c.verb == "settle";
    if (c.verb == "elect") {
      Elect(cluster_->node(Number(c.Word(0))));
      lines_.clear();
    } else if (c.verb == "group") {
      Group(c);
    } else if (c.verb == "boot" || c.verb == "join" || c.verb == "heal" || c.verb == "settle" ||
               c.verb == "cut" || c.verb == "log") {
      Arrange(c);
    } else if (c.verb == "deliver" || c.verb == "drop" || c.verb == "double") {
      Move(c);
    } else {
      At(c, cluster_->node(Number(c.Word(0))));
    }
    if (!cluster_->checker().wrong().empty())
      lines_.push_back("WRONG " + cluster_->checker().wrong());
    return lines_;
  }

 private:
  static uint64_t Number(const std::string& word) { return std::stoull("0" + word); }
  uint64_t Number(const Command& c, size_t index, uint64_t otherwise) {
    return index < c.words.size() ? Number(c.words[index]) : otherwise;
  }

  void Group(const Command& c) {
    Options options;
    options.snapshot_chunk_bytes = 64;
    options.snapshot_chunks_in_flight_max = 1;
    options.cache_bytes_max = 0;
    options.promote_lag_entries_max = 1;
    options.heartbeat_ticks = 3;
    if (c.options.contains("bytes")) options.append_bytes_max = Number(c.Option("bytes"));
    cluster_ = std::make_unique<RaftCluster>(options, [this](NodeId id, const Action& action) {
      const bool dull = std::holds_alternative<Send>(action) ||
                        std::holds_alternative<SaveHardState>(action) ||
                        std::holds_alternative<WriteEntries>(action) ||
                        std::holds_alternative<ReadEntries>(action) ||
                        std::holds_alternative<ReadSnapshotChunk>(action) ||
                        std::holds_alternative<StageSnapshotChunk>(action);
      if (!quiet_ || !dull) lines_.push_back(std::to_string(id) + ": " + Text(action));
    });
    first_ = {};
    quiet_ = true;
    for (const std::string& word : c.words) {
      first_.members.push_back(
          {.id = Number(word.substr(0, word.find('l'))), .voter = word.back() != 'l'});
    }
    for (const Member& member : first_.members) {
      cluster_->Add(member.id, {0, 0, first_}).Start(member.id);
    }
    lines_.clear();
  }

  void Elect(RaftNode& node) {
    for (int patience = 0; patience < 3 && !node.leads(); ++patience) {
      for (const auto& [id, other] : cluster_->nodes()) {
        for (int i = 0; i < 10 && id != node.id() && !other->leads(); ++i) other->Step(Tick{});
      }
      for (int i = 0; i < 30 && node.raft().role() == Role::kFollower; ++i) node.Step(Tick{});
      EXPECT_TRUE(cluster_->Settle());
    }
    EXPECT_TRUE(node.leads()) << "node " << node.id();
  }

  void Arrange(const Command& c) {
    if (c.verb == "boot") {
      RaftNode& node = cluster_->Add(Number(c.Word(0)), {0, 0, first_});
      std::vector<Entry> log;
      std::istringstream terms(c.Option("terms"));
      for (std::string term; std::getline(terms, term, ',');) {
        const uint64_t index = log.size() + 1;
        log.push_back({.index = index, .term = Number(term)});
        log.back().payload =
            std::make_shared<const std::string>(RecordOf(Number(term) * 100 + index, 0));
      }
      node.Preload({Number(c.Option("term")), kNobody}, std::move(log));
      node.Start(node.id());
      lines_.clear();
    } else if (c.verb == "join") {
      cluster_->Add(Number(c.Word(0)), {}).Start(Number(c.Word(0)));
      lines_.clear();
    } else if (c.verb == "heal") {
      cluster_->HealAll();
    } else if (c.verb == "settle") {
      EXPECT_TRUE(cluster_->Settle());
    } else if (c.verb == "cut") {
      const auto [from, to] = Ends(c.Word(0));
      to == kNobody ? cluster_->BlockAll(from) : cluster_->Block({from, to});
    } else {
      for (const std::string& word : c.words) Show(cluster_->node(Number(word)));
    }
  }

  void Show(const RaftNode& node) {
    const Raft& raft = node.raft();
    static constexpr const char* kRoles[] = {"follower", "pre-candidate", "candidate", "leader"};
    std::string line = std::to_string(node.id()) + ": " + kRoles[static_cast<int>(raft.role())] +
                       " term=" + std::to_string(raft.term()) +
                       " commit=" + std::to_string(raft.commit_index()) +
                       " forced=" + std::to_string(raft.forced_index()) + " log";
    if (node.log().base_index > 0) line += " ..." + std::to_string(node.log().base_index);
    for (const Entry& entry : node.log().entries) line += ", " + Text(entry);
    lines_.push_back(line);
  }

  // "1>2"; kNobody for a side that is not named.
  static std::pair<NodeId, NodeId> Ends(const std::string& word) {
    const size_t arrow = word.find('>');
    if (arrow == std::string::npos) return {Number(word), kNobody};
    return {Number(word.substr(0, arrow)), Number(word.substr(arrow + 1))};
  }

  void Move(const Command& c) {
    const std::pair<NodeId, NodeId> ends = Ends(c.Word(0));
    auto matches = [ends](const Message& m) {
      return (ends.first == kNobody || m.from == ends.first) &&
             (ends.second == kNobody || m.to == ends.second);
    };
    const auto& messages = cluster_->messages();
    uint64_t left = std::count_if(messages.begin(), messages.end(), matches);
    if (left == 0) lines_.push_back("no message");
    left = std::min(left, Number(c, 1, left));
    for (; left > 0; --left) {
      const size_t i = static_cast<size_t>(std::find_if(messages.begin(), messages.end(), matches) -
                                           messages.begin());
      if (c.verb == "deliver") {
        cluster_->Deliver(i);
      } else if (c.verb == "drop") {
        cluster_->Drop(i);
      } else {
        cluster_->Duplicate(i);
        cluster_->Duplicate(i);
        cluster_->Drop(i);
      }
    }
  }

  void At(const Command& c, RaftNode& node) {
    const uint64_t word = Number(c, 1, 0);
    if (c.verb == "start") return node.Start(node.id());
    if (c.verb == "crash") return node.Crash(Number(c.Option("kept")));
    if (c.verb == "tick") {
      for (uint64_t i = 0; i < std::max<uint64_t>(word, 1); ++i) node.Step(Tick{});
    } else if (c.verb == "campaign") {
      for (int i = 0; i < 30 && node.raft().role() == Role::kFollower; ++i) node.Step(Tick{});
    } else if (c.verb == "force") {
      while (node.ForceOne()) {
      }
    } else if (c.verb == "answer") {
      while (node.AnswerOne()) {
      }
    } else if (c.verb == "propose") {
      txlog::raft::Propose event{.term = Number(c.Option("term"))};
      if (event.term == 0) event.term = node.raft().term();
      for (size_t i = 1; i < c.words.size(); ++i) {
        cluster_->checker().OnProposed(IdOf(c.words[i]));
        event.proposals.push_back({IdOf(c.words[i]), c.words[i]});
      }
      node.Step(std::move(event));
    } else if (c.verb == "read") {
      cluster_->checker().OnBarrier(word);
      node.Step(ReadBarrier{word});
    } else if (c.verb == "add") {
      node.Step(ChangeMembership{++change_, MembershipChange::kAddLearner, word, ""});
    } else if (c.verb == "promote") {
      node.Step(ChangeMembership{++change_, MembershipChange::kPromote, word, ""});
    } else if (c.verb == "remove") {
      node.Step(ChangeMembership{++change_, MembershipChange::kRemove, word, ""});
    } else if (c.verb == "transfer") {
      node.Step(TransferLeadership{++change_, word});
    } else if (c.verb == "snapshot") {
      node.SaveSnapshot(true);
      while (node.AnswerOne()) {
      }
    } else if (c.verb == "fill") {
      node.FillDisk(c.words.size() > 1);
    } else if (c.verb == "free") {
      node.FreeDisk();
    } else {
      ADD_FAILURE() << "unknown verb: " << c.line;
    }
  }

  std::unique_ptr<RaftCluster> cluster_;
  Config first_;
  std::vector<std::string> lines_;
  bool quiet_ = false;
  uint64_t change_ = 0;
};

TEST(Raft, Transcripts) {
  for (const auto& file : tests::Transcripts("raft")) {
    SCOPED_TRACE(file.filename().string());
    Player player;
    tests::RunTranscript(file, [&](const Command& c) { return player.Perform(c); });
  }
}

}  // namespace
}  // namespace assent::simulation
