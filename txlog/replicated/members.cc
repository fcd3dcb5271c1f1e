#include "txlog/replicated/members.h"

#include <algorithm>
#include <utility>

#include "txlog/replicated/before_groups.h"
#include "txlog/storage/bytes.h"

namespace assent::txlog {
namespace {

// Stands in no host:port.
constexpr char kBetween = ' ';

}  // namespace

std::string PackAddresses(const Member& member) {
  return member.peer_address + kBetween + member.address;
}

Member ToMember(const raft::Member& member) {
  Member out{.id = member.id, .voter = member.voter};
  const size_t between = member.address.find(kBetween);
  out.peer_address = member.address.substr(0, between);
  if (between != std::string::npos) out.address = member.address.substr(between + 1);
  return out;
}

raft::Config ToConfig(const std::vector<Member>& members) {
  raft::Config config;
  for (const Member& member : members) {
    config.members.push_back({member.id, member.voter, PackAddresses(member)});
  }
  std::sort(config.members.begin(), config.members.end(),
            [](const raft::Member& a, const raft::Member& b) { return a.id < b.id; });
  return config;
}

std::vector<Member> ToMembers(const raft::Config& config) {
  std::vector<Member> members;
  for (const raft::Member& member : config.members) members.push_back(ToMember(member));
  return members;
}

std::string PackSnapshot(const raft::Config& config, std::string_view state) {
  const std::string encoded = raft::EncodeConfig(config);
  std::string out;
  out.reserve(sizeof(uint32_t) + encoded.size() + state.size());
  PutNumber(out, static_cast<uint32_t>(encoded.size()));
  out += encoded;
  out += state;
  return out;
}

Result<UnpackedSnapshot> UnpackSnapshot(std::string packed) {
  constexpr size_t kHead = sizeof(uint32_t);
  if (IsSnapshotBeforeGroups(packed)) return UnpackedSnapshot{std::nullopt, std::move(packed)};
  if (GetNumber<uint32_t>(packed, 0) > packed.size() - kHead) {
    return DataLoss("the snapshot does not begin with the members of the group");
  }
  const size_t encoded = GetNumber<uint32_t>(packed, 0);
  Result<raft::Config> config = raft::DecodeConfig(std::string_view(packed).substr(kHead, encoded));
  if (!config.ok()) return config.status();
  packed.erase(0, kHead + encoded);
  return UnpackedSnapshot{std::move(*config), std::move(packed)};
}

}  // namespace assent::txlog
