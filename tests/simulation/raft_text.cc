#include "tests/simulation/raft_text.h"

#include <variant>
#include <vector>

namespace assent::simulation {

using namespace txlog::raft;  // NOLINT: all its structs are named below.

namespace {

template <class... Ts>
struct Cases : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Cases(Ts...) -> Cases<Ts...>;

std::string Number(uint64_t n) { return std::to_string(n); }
std::string Place(uint64_t index, uint64_t term) { return Number(index) + "/" + Number(term); }

std::string List(const std::vector<uint64_t>& ids) {
  std::string text;
  for (uint64_t id : ids) text += " " + Number(id);
  return text;
}

std::string List(const std::vector<Entry>& entries) {
  std::string text;
  for (const Entry& entry : entries) text += (text.empty() ? "" : ", ") + Text(entry);
  return "(" + text + ")";
}

std::string Text(const Body& body) {
  return std::visit(
      Cases{
          [](const RequestVote& b) {
            return std::string(b.pre_vote ? "pre_vote?" : "vote?") + " for=" + Number(b.for_term) +
                   " last=" + Place(b.last_index, b.last_term) + (b.transfer ? " transfer" : "");
          },
          [](const VoteReply& b) {
            return std::string(b.pre_vote ? "pre_vote " : "vote ") + (b.granted ? "yes" : "no") +
                   " for=" + Number(b.for_term);
          },
          [](const AppendEntries& b) {
            return "append prev=" + Place(b.prev_index, b.prev_term) +
                   " commit=" + Number(b.commit) + " " + List(b.entries);
          },
          [](const AppendReply& b) {
            if (b.success) {
              return "appended match=" + Number(b.match) + (b.no_room ? " no_room" : "");
            }
            return "refused prev=" + Number(b.prev_index) +
                   " conflict=" + Place(b.conflict_index, b.conflict_term);
          },
          [](const Heartbeat& b) {
            return "heartbeat commit=" + Number(b.commit) + " round=" + Number(b.read_round) +
                   " sent=" + Number(b.sent);
          },
          [](const HeartbeatReply& b) {
            return "alive round=" + Number(b.read_round) + " received=" + Number(b.received) +
                   " match=" + Number(b.match);
          },
          [](const InstallSnapshot& b) {
            return "install " + Place(b.meta.index, b.meta.term) + " offset=" + Number(b.offset) +
                   " data=" + (b.data == nullptr ? "" : *b.data) + (b.last ? " last" : "");
          },
          [](const InstallSnapshotReply& b) {
            return "installing " + Number(b.index) +
                   (b.installed ? " installed" : " next=" + Number(b.next_offset));
          },
          [](const TimeoutNow&) { return std::string("timeout_now"); },
      },
      body);
}

std::string Text(MembershipAnswer answer) {
  switch (answer) {
    case MembershipAnswer::kDone:
      return "done";
    case MembershipAnswer::kNotLeader:
      return "not leader";
    case MembershipAnswer::kNotYet:
      return "not yet";
    case MembershipAnswer::kBusy:
      return "busy";
    case MembershipAnswer::kNotCaughtUp:
      return "not caught up";
    case MembershipAnswer::kWrongMember:
      return "wrong member";
    case MembershipAnswer::kLastVoter:
      return "last voter";
    case MembershipAnswer::kTooMany:
      return "too many";
    case MembershipAnswer::kInDoubt:
      return "in doubt";
  }
  return {};
}

}  // namespace

std::string Text(txlog::Fate fate) {
  switch (fate) {
    case txlog::Fate::kDurable:
      return "durable";
    case txlog::Fate::kRefused:
      return "refused";
    case txlog::Fate::kInDoubt:
      return "in_doubt";
  }
  return {};
}

std::string Text(const Entry& entry) {
  std::string what;
  switch (entry.type) {
    case EntryType::kNoop:
      what = "noop";
      break;
    case EntryType::kRecord:
      what = entry.view();
      break;
    case EntryType::kConfig: {
      Result<Config> config = DecodeConfig(entry.view());
      what = config.ok() ? Text(*config) : "damaged";
      break;
    }
  }
  return Place(entry.index, entry.term) + " " + what;
}

std::string Text(const Config& config) {
  std::string text;
  for (const Member& member : config.members) {
    text += (text.empty() ? "" : " ") + Number(member.id) + (member.voter ? "" : "l");
  }
  return "{" + text + "}";
}

std::string Text(const Message& message) {
  return Number(message.from) + ">" + Number(message.to) + " t" + Number(message.term) + " " +
         Text(message.body);
}

std::string Text(const Action& action) {
  return std::visit(Cases{
                        [](const SaveHardState& a) {
                          return "#" + Number(a.write) + " save term=" + Number(a.state.term) +
                                 " vote=" + Number(a.state.vote);
                        },
                        [](const WriteEntries& a) {
                          return "#" + Number(a.write) + " write" +
                                 (a.truncate ? " truncate " : " ") + List(a.entries);
                        },
                        [](const InstallFromStaged& a) {
                          return "#" + Number(a.write) + " install " +
                                 Place(a.meta.index, a.meta.term) +
                                 (a.keep_tail ? " keep_tail" : "");
                        },
                        [](const Send& a) {
                          return "send " + Text(a.message) +
                                 (a.after_write == 0 ? "" : " after=#" + Number(a.after_write));
                        },
                        [](const Apply& a) { return "apply " + List(a.entries); },
                        [](const ProposalFates& a) { return Text(a.fate) + List(a.ids); },
                        [](const LeadershipChanged& a) {
                          return "leader " + (a.leader == 0 ? "unknown" : Number(a.leader)) +
                                 " term=" + Number(a.term);
                        },
                        [](const MembersChanged& a) { return "members " + Text(a.config); },
                        [](const ReadReady& a) { return "read ready" + List(a.ids); },
                        [](const ReadsRefused& a) { return "read refused" + List(a.ids); },
                        [](const MembershipAnswered& a) {
                          return "membership " + Number(a.id) + " " + Text(a.answer);
                        },
                        [](const TransferEnded& a) {
                          return "transfer " + Number(a.id) + (a.moved ? " moved" : " not moved");
                        },
                        [](const ReadEntries& a) {
                          return "read_entries for=" + Number(a.peer) + " from=" + Number(a.from) +
                                 " to=" + Number(a.to);
                        },
                        [](const SnapshotWanted&) { return std::string("snapshot wanted"); },
                        [](const Compact& a) { return "compact " + Place(a.index, a.term); },
                        [](const ReadSnapshotChunk& a) {
                          return "read_chunk for=" + Number(a.peer) +
                                 " snapshot=" + Number(a.index) + " offset=" + Number(a.offset);
                        },
                        [](const StageSnapshotChunk& a) {
                          return "stage " + Place(a.meta.index, a.meta.term) +
                                 " offset=" + Number(a.offset) + (a.last ? " last" : "");
                        },
                        [](const Halt& a) { return "HALT " + a.why; },
                    },
                    action);
}

}  // namespace assent::simulation
