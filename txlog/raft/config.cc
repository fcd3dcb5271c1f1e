// Membership and its bytes: a version, then for each member its id (8 bytes), voter or not (1), the
// address's length (1) and the address. Numbers are little-endian.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "txlog/raft/types.h"

namespace assent::txlog::raft {
namespace {

constexpr uint8_t kConfigVersion = 1;

}  // namespace

const Member* Config::Find(NodeId id) const {
  auto it =
      std::find_if(members.begin(), members.end(), [id](const Member& m) { return m.id == id; });
  return it == members.end() ? nullptr : &*it;
}

bool Config::IsVoter(NodeId id) const {
  const Member* member = Find(id);
  return member != nullptr && member->voter;
}

size_t Config::voters() const {
  return std::count_if(members.begin(), members.end(), [](const Member& m) { return m.voter; });
}

std::string EncodeConfig(const Config& config) {
  std::string bytes(1, static_cast<char>(kConfigVersion));
  for (const Member& member : config.members) {
    ASSENT_CHECK(member.address.size() <= kAddressBytesMax);
    for (int shift = 0; shift < 64; shift += 8) {
      bytes.push_back(static_cast<char>(member.id >> shift));
    }
    bytes.push_back(member.voter ? 1 : 0);
    bytes.push_back(static_cast<char>(member.address.size()));
    bytes += member.address;
  }
  return bytes;
}

Result<Config> DecodeConfig(std::string_view bytes) {
  if (bytes.empty() || static_cast<uint8_t>(bytes[0]) != kConfigVersion) {
    return DataLoss("membership entry of an unknown version");
  }
  bytes.remove_prefix(1);
  Config config;
  while (!bytes.empty()) {
    if (bytes.size() < 10) return DataLoss("membership entry ends within a member");
    Member member;
    for (int i = 7; i >= 0; --i) member.id = member.id << 8 | static_cast<uint8_t>(bytes[i]);
    const uint8_t voter = bytes[8];
    const size_t length = static_cast<uint8_t>(bytes[9]);
    bytes.remove_prefix(10);
    if (voter > 1 || bytes.size() < length) return DataLoss("membership entry is damaged");
    member.voter = voter == 1;
    member.address = bytes.substr(0, length);
    bytes.remove_prefix(length);
    if (member.id == kNobody ||
        (!config.members.empty() && member.id <= config.members.back().id) ||
        config.members.size() == kMembersMax) {
      return DataLoss("membership entry names member " + std::to_string(member.id) +
                      " out of order, or too many");
    }
    config.members.push_back(std::move(member));
  }
  return config;
}

}  // namespace assent::txlog::raft
