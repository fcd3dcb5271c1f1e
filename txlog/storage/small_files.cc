// The files that are replaced as a whole: hard state, snapshots, the node file.
#include <charconv>
#include <cstdio>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/ids.h"
#include "txlog/storage/bytes.h"
#include "txlog/storage/files.h"
#include "txlog/storage/format.h"

namespace assent::txlog {
namespace {

constexpr std::string_view kHardStateMagic = "assenths";
constexpr std::string_view kSnapshotMagic = "assentsn";
constexpr std::string_view kCrcKey = "crc32c=";
constexpr std::string_view kIncarnationKey = "group_incarnation=";
constexpr std::string_view kFirstMembersKey = "first_members=";
constexpr std::string_view kDirectoryKey = "directory=";
constexpr size_t kHardStateBytes = 40;
// Both binary files begin alike: magic 8, crc 4, version 4.
constexpr size_t kCrcAt = 8;
constexpr size_t kCrcFrom = 12;
constexpr size_t kVersionAt = 12;

Status Newer(const std::string& path, const std::string& version) {
  return FailedPrecondition(path + " is of format " + version + ", this program reads format " +
                            std::to_string(kFormatVersion) +
                            ": start the newer program that wrote it");
}

// What both binary files have in common.
Status CheckEnvelope(std::string_view bytes, std::string_view magic, const std::string& path) {
  if (bytes.size() < kVersionAt + sizeof kFormatVersion) {
    return DamagedFile(path, bytes.size(), "the file ends inside its header");
  }
  if (bytes.substr(0, magic.size()) != magic) {
    return DamagedFile(path, 0, "it does not begin with \"" + std::string(magic) + "\"");
  }
  if (Crc32c(bytes.substr(kCrcFrom)) != GetNumber<uint32_t>(bytes, kCrcAt)) {
    return DamagedFile(path, kCrcAt, "the checksum does not match the file's bytes");
  }
  if (uint32_t version = GetNumber<uint32_t>(bytes, kVersionAt); version != kFormatVersion) {
    return Newer(path, std::to_string(version));
  }
  return Ok();
}

bool TakeLine(std::string_view& text, std::string_view key, std::string_view* value) {
  if (text.substr(0, key.size()) != key) return false;
  size_t end = text.find('\n');
  if (end == std::string_view::npos) return false;
  *value = text.substr(key.size(), end - key.size());
  text.remove_prefix(end + 1);
  return true;
}

bool ParseNumber(std::string_view text, uint64_t* number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty();
}

std::string CrcLine(std::string_view text) {
  char line[32];
  std::snprintf(line, sizeof line, "crc32c=%08x\n", static_cast<unsigned>(Crc32c(text)));
  return line;
}

bool IsUuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-'
             : std::string_view("0123456789abcdef").find(text[i]) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::string EncodeHardState(const HardState& state) {
  std::string covered;
  PutNumber(covered, kFormatVersion);
  PutNumber(covered, state.term);
  PutNumber(covered, state.vote);
  PutNumber(covered, state.log_floor);
  std::string out(kHardStateMagic);
  PutNumber(out, Crc32c(covered));
  return out + covered;
}

Result<HardState> DecodeHardState(std::string_view bytes, const std::string& path) {
  if (Status s = CheckEnvelope(bytes, kHardStateMagic, path); !s.ok()) return s;
  if (bytes.size() != kHardStateBytes) {
    return DamagedFile(path, bytes.size(),
                       "it should be " + std::to_string(kHardStateBytes) + " bytes long");
  }
  HardState state;
  state.term = GetNumber<uint64_t>(bytes, 16);
  state.vote = GetNumber<uint64_t>(bytes, 24);
  state.log_floor = GetNumber<uint64_t>(bytes, 32);
  return state;
}

std::string EncodeSnapshotHeader(Index index, Term term, std::string_view state) {
  std::string covered;
  PutNumber(covered, kFormatVersion);
  PutNumber(covered, index);
  PutNumber(covered, term);
  PutNumber(covered, static_cast<uint64_t>(state.size()));
  std::string out(kSnapshotMagic);
  PutNumber(out, Crc32c(state, Crc32c(covered)));
  out += covered;
  ASSENT_CHECK(out.size() == kSnapshotHeaderBytes);
  return out;
}

Result<Snapshot> DecodeSnapshot(std::string_view bytes, const std::string& path) {
  if (Status s = CheckEnvelope(bytes, kSnapshotMagic, path); !s.ok()) return s;
  if (bytes.size() < kSnapshotHeaderBytes ||
      GetNumber<uint64_t>(bytes, 32) != bytes.size() - kSnapshotHeaderBytes) {
    return DamagedFile(path, bytes.size(), "its length differs from the one in its header");
  }
  Snapshot snapshot;
  snapshot.index = GetNumber<uint64_t>(bytes, 16);
  snapshot.term = GetNumber<uint64_t>(bytes, 24);
  snapshot.state = bytes.substr(kSnapshotHeaderBytes);
  return snapshot;
}

std::string EncodeNodeFile(const NodeIdentity& identity) {
  std::string text = "format_version=" + std::to_string(kFormatVersion) +
                     "\ncluster=" + identity.cluster + "\ncluster_uuid=" + identity.cluster_uuid +
                     "\nnode_id=" + std::to_string(identity.node_id) + "\n";
  auto put = [&text](std::string_view key, uint64_t number) {
    if (number != 0) text += std::string(key) + std::to_string(number) + "\n";
  };
  put(kIncarnationKey, identity.group_incarnation);
  put(kFirstMembersKey, identity.first_members);
  put(kDirectoryKey, identity.directory);
  return text + CrcLine(text);
}

Result<NodeIdentity> DecodeNodeFile(std::string_view text, const std::string& path) {
  size_t crc_at = text.rfind(kCrcKey);
  if (crc_at == std::string_view::npos) {
    return DamagedFile(path, text.size(), "the line crc32c= is missing");
  }
  if (text.substr(crc_at) != CrcLine(text.substr(0, crc_at))) {
    return DamagedFile(path, crc_at,
                       "the checksum does not match the lines above it (nobody but the "
                       "program may edit this file)");
  }
  std::string_view rest = text.substr(0, crc_at);
  std::string_view version, cluster, uuid, node_id;
  if (!TakeLine(rest, "format_version=", &version)) {
    return DamagedFile(path, 0, "the line format_version= is missing");
  }
  if (version != std::to_string(kFormatVersion)) return Newer(path, std::string(version));
  NodeIdentity identity;
  auto take = [&rest](std::string_view key, uint64_t* number) {
    std::string_view digits;
    return !TakeLine(rest, key, &digits) || ParseNumber(digits, number);
  };
  if (!TakeLine(rest, "cluster=", &cluster) || !TakeLine(rest, "cluster_uuid=", &uuid) ||
      !TakeLine(rest, "node_id=", &node_id) || !ParseNumber(node_id, &identity.node_id) ||
      !take(kIncarnationKey, &identity.group_incarnation) ||
      !take(kFirstMembersKey, &identity.first_members) ||
      !take(kDirectoryKey, &identity.directory) || !rest.empty()) {
    return DamagedFile(path, 0,
                       "it should have the lines format_version, cluster, cluster_uuid, "
                       "node_id, crc32c, and before the last, where there are such, "
                       "group_incarnation, first_members and directory");
  }
  identity.cluster = cluster;
  identity.cluster_uuid = uuid;
  if (Status s = CheckIdentity(identity); !s.ok()) return DamagedFile(path, 0, s.message());
  return identity;
}

Status CheckIdentity(const NodeIdentity& identity) {
  if (!IsClusterName(identity.cluster)) {
    return InvalidArgument("cluster '" + identity.cluster +
                           "': a cluster's name is 1 to 16 of a-z, 0-9 and '-', a letter first");
  }
  if (!IsUuid(identity.cluster_uuid)) {
    return InvalidArgument("cluster_uuid '" + identity.cluster_uuid +
                           "': expected 36 characters like 3f0c2f4e-7a51-4d0b-9d7e-1c2b3a495867");
  }
  if (identity.node_id == 0) return InvalidArgument("node_id 0: node ids begin at 1");
  return Ok();
}

}  // namespace assent::txlog
