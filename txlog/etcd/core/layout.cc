#include "txlog/etcd/core/layout.h"

#include <limits>
#include <vector>

namespace assent::txlog::etcd {
namespace {

constexpr size_t kDigits = 16;

std::string Hex(uint64_t number) {
  std::string text(kDigits, '0');
  for (size_t i = kDigits; number != 0; number >>= 4) text[--i] = "0123456789abcdef"[number & 15];
  return text;
}

std::optional<uint64_t> ParseHex(std::string_view text) {
  if (text.size() != kDigits) return std::nullopt;
  uint64_t number = 0;
  for (char c : text) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (c < 'a' || c > 'f')) return std::nullopt;
    number = number << 4 | static_cast<uint64_t>(digit ? c - '0' : c - 'a' + 10);
  }
  return number;
}

std::optional<uint64_t> ParseNumber(std::string_view text) {
  if (text.empty() || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  uint64_t number = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    const auto digit = static_cast<uint64_t>(c - '0');
    if (number > (std::numeric_limits<uint64_t>::max() - digit) / 10) return std::nullopt;
    number = number * 10 + digit;
  }
  return number;
}

std::vector<std::string_view> Words(std::string_view text) {
  std::vector<std::string_view> words;
  for (size_t begin = 0;;) {
    const size_t end = text.find(' ', begin);
    words.push_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return words;
    begin = end + 1;
  }
}

// Whatever follows a key that ends with a slash lies before this one.
std::string EndOf(std::string folder) {
  folder.back() = '/' + 1;
  return folder;
}

}  // namespace

Layout::Layout(std::string_view prefix)
    : group_begin_(std::string(prefix) + "/group/"),
      group_end_(EndOf(group_begin_)),
      snapshots_begin_(std::string(prefix) + "/snapshots/"),
      presence_begin_(std::string(prefix) + "/processes/"),
      presence_end_(EndOf(presence_begin_)),
      identity_(group_begin_ + "identity"),
      term_(group_begin_ + "term"),
      leader_(group_begin_ + "leader"),
      snapshot_(group_begin_ + "snapshot"),
      lineage_(group_begin_ + "etcd"),
      log_(group_begin_ + "log/"),
      log_end_(EndOf(log_)) {}

std::string Layout::Log(Slot slot) const { return log_ + Hex(slot); }

std::string Layout::Chunk(std::string_view name, uint64_t number) const {
  return snapshots_begin_ + std::string(name) + "/" + Hex(number);
}

std::string Layout::Presence(uint64_t id) const { return presence_begin_ + Hex(id); }

std::optional<Slot> Layout::SlotOf(std::string_view key) const {
  if (key.substr(0, log_.size()) != log_) return std::nullopt;
  return ParseHex(key.substr(log_.size()));
}

std::string Text(const Identity& value) { return value.cluster_uuid + " " + value.cluster; }

std::string Text(const LeaderValue& value) {
  return std::to_string(value.term) + " " + std::to_string(value.owner) + " " + value.address;
}

std::string Text(const SnapshotValue& value) {
  std::string text = value.name;
  for (uint64_t number :
       {value.index, value.term, value.slot, value.chunks, value.bytes, uint64_t{value.crc}}) {
    text += " " + std::to_string(number);
  }
  return text;
}

std::string Text(const PresenceValue& value) {
  return std::to_string(value.id) + " " + value.address;
}

std::string Text(const Lineage& value) {
  return std::to_string(value.cluster_id) + " " + std::to_string(value.raft_term) + " " +
         std::to_string(value.raft_index);
}

std::string TermText(Term term) { return std::to_string(term); }

std::optional<Identity> ParseIdentity(std::string_view text) {
  const std::vector<std::string_view> words = Words(text);
  if (words.size() != 2 || words[0].empty() || words[1].empty()) return std::nullopt;
  return Identity{std::string(words[0]), std::string(words[1])};
}

std::optional<LeaderValue> ParseLeader(std::string_view text) {
  const std::vector<std::string_view> words = Words(text);
  if (words.size() != 3) return std::nullopt;
  const auto term = ParseNumber(words[0]);
  const auto owner = ParseNumber(words[1]);
  if (!term || !owner) return std::nullopt;
  return LeaderValue{*term, *owner, std::string(words[2])};
}

std::optional<SnapshotValue> ParseSnapshot(std::string_view text) {
  const std::vector<std::string_view> words = Words(text);
  if (words.size() != 7 || words[0].empty()) return std::nullopt;
  uint64_t numbers[6];
  for (size_t i = 0; i < 6; ++i) {
    const auto number = ParseNumber(words[i + 1]);
    if (!number) return std::nullopt;
    numbers[i] = *number;
  }
  if (numbers[5] > std::numeric_limits<uint32_t>::max()) return std::nullopt;
  return SnapshotValue{std::string(words[0]),
                       numbers[0],
                       numbers[1],
                       numbers[2],
                       numbers[3],
                       numbers[4],
                       static_cast<uint32_t>(numbers[5])};
}

std::optional<PresenceValue> ParsePresence(std::string_view text) {
  const std::vector<std::string_view> words = Words(text);
  const auto id = ParseNumber(words[0]);
  if (words.size() != 2 || !id) return std::nullopt;
  return PresenceValue{*id, std::string(words[1])};
}

std::optional<Lineage> ParseLineage(std::string_view text) {
  const std::vector<std::string_view> words = Words(text);
  if (words.size() != 3) return std::nullopt;
  const auto cluster = ParseNumber(words[0]);
  const auto term = ParseNumber(words[1]);
  const auto index = ParseNumber(words[2]);
  if (!cluster || !term || !index) return std::nullopt;
  return Lineage{*cluster, *term, *index};
}

bool Continues(const Lineage& before, const Lineage& now) {
  return now.cluster_id == before.cluster_id && now.raft_term >= before.raft_term &&
         now.raft_index >= before.raft_index;
}

std::optional<Term> ParseTerm(std::string_view text) { return ParseNumber(text); }

std::string SnapshotName(Term term, Index index) { return Hex(term) + "-" + Hex(index); }

}  // namespace assent::txlog::etcd
