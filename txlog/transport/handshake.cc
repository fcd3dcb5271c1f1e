#include "txlog/transport/handshake.h"

#include <algorithm>

#include "base/mutant.h"
#include "txlog/storage/bytes.h"

namespace assent::txlog {
namespace {

constexpr std::string_view kMagic = "ASNTPEER";
constexpr size_t kTextBytesMax = 1024;

// Takes fields off the front. Once one is missing, every later one is too.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : bytes_(bytes) {}

  template <typename Number>
  Number Take() {
    if (bytes_.size() < sizeof(Number)) {
      good_ = false;
      bytes_ = {};
      return 0;
    }
    const auto value = GetNumber<Number>(bytes_, 0);
    bytes_.remove_prefix(sizeof(Number));
    return value;
  }
  std::string TakeText() {
    const size_t length = Take<uint16_t>();
    if (length > bytes_.size() || length > kTextBytesMax) {
      good_ = false;
      bytes_ = {};
      return "";
    }
    std::string text(bytes_.substr(0, length));
    bytes_.remove_prefix(length);
    for (char& c : text) {
      if (c < ' ' || c > '~') c = '?';
    }
    return text;
  }
  bool good() const { return good_; }
  bool done() const { return good_ && bytes_.empty(); }

 private:
  std::string_view bytes_;
  bool good_ = true;
};

void PutText(std::string& out, std::string_view text) {
  text = text.substr(0, kTextBytesMax);
  PutNumber<uint16_t>(out, static_cast<uint16_t>(text.size()));
  out += text;
}

std::string Begin(uint32_t version) {
  std::string out(kMagic);
  PutNumber(out, version);
  return out;
}

bool TakeMagic(std::string_view* bytes) {
  if (!bytes->starts_with(kMagic)) return false;
  bytes->remove_prefix(kMagic.size());
  return true;
}

void PutOrigin(std::string& out, const Origin& origin) {
  PutNumber(out, origin.first_members);
  PutNumber(out, origin.directory);
}

Origin TakeOrigin(Fields& fields) {
  Origin origin;
  origin.first_members = fields.Take<uint64_t>();
  origin.directory = fields.Take<uint64_t>();
  return origin;
}

Status NotA(const char* what) {
  return InvalidArgument(std::string("what came is no ") + what + " of an assentd");
}

std::string Versions(uint32_t theirs, MemberId us) {
  return "protocol version " + std::to_string(theirs) + " meets version " +
         std::to_string(kTransportVersion) + " of member " + std::to_string(us) +
         "; run the same release on both, or a pair that docs/operations.md allows";
}

std::string Clusters(const std::string& theirs, const std::string& ours) {
  return "cluster " + theirs + " meets cluster " + ours +
         "; correct the address in the list of members, or the data directory of one node. Behind "
         "a slash stands the group_incarnation of a group that was restored: a node that joins it "
         "is made with the same, and a node of the group before must stay stopped";
}

std::optional<Refusal> JudgeFirstMembers(MemberId from, const Origin& origin, const LocalNode& us) {
  const uint64_t theirs = origin.first_members;
  if (theirs == 0 || us.origin.first_members == 0 || theirs == us.origin.first_members) {
    return std::nullopt;
  }
  return Refusal{RefusalReason::kFirstMembers,
                 "member " + std::to_string(from) + " and member " + std::to_string(us.member) +
                     " were bootstrapped with different members, and would decide without each "
                     "other; before anything is decided, stop all nodes, empty their data "
                     "directories, and bootstrap each with the same members"};
}

}  // namespace

std::string_view RefusalName(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::kVersion:
      return "version";
    case RefusalReason::kCluster:
      return "cluster";
    case RefusalReason::kReceiver:
      return "receiver";
    case RefusalReason::kMember:
      return "member";
    case RefusalReason::kCertificate:
      return "certificate";
    case RefusalReason::kOld:
      return "old";
    case RefusalReason::kFirstMembers:
      return "first_members";
    case RefusalReason::kDirectory:
      return "directory";
  }
  return "other";
}

std::string EncodeHello(const Hello& hello) {
  std::string out = Begin(hello.version);
  PutText(out, hello.cluster_uuid);
  PutNumber(out, hello.from);
  PutNumber(out, hello.incarnation);
  PutNumber(out, hello.to);
  PutNumber(out, hello.attempt);
  PutText(out, hello.address);
  PutOrigin(out, hello.origin);
  return out;
}

std::string EncodeWelcome(const Welcome& welcome) {
  std::string out = Begin(welcome.version);
  PutText(out, welcome.cluster_uuid);
  PutNumber(out, welcome.from);
  PutNumber(out, welcome.incarnation);
  PutOrigin(out, welcome.origin);
  return out;
}

std::string EncodeRefusal(const Refusal& refusal) {
  std::string out = Begin(kTransportVersion);
  PutNumber(out, static_cast<uint8_t>(refusal.reason));
  PutText(out, refusal.text);
  return out;
}

Result<Hello> DecodeHello(std::string_view bytes) {
  if (!TakeMagic(&bytes)) return NotA("Hello");
  Fields fields(bytes);
  Hello hello;
  hello.version = fields.Take<uint32_t>();
  if (fields.good() && hello.version != kTransportVersion) return hello;
  hello.cluster_uuid = fields.TakeText();
  hello.from = fields.Take<uint64_t>();
  hello.incarnation = fields.Take<uint64_t>();
  hello.to = fields.Take<uint64_t>();
  hello.attempt = fields.Take<uint64_t>();
  hello.address = fields.TakeText();
  hello.origin = TakeOrigin(fields);
  if (!fields.done()) return NotA("Hello");
  return hello;
}

Result<Welcome> DecodeWelcome(std::string_view bytes) {
  if (!TakeMagic(&bytes)) return NotA("Welcome");
  Fields fields(bytes);
  Welcome welcome;
  welcome.version = fields.Take<uint32_t>();
  if (fields.good() && welcome.version != kTransportVersion) return welcome;
  welcome.cluster_uuid = fields.TakeText();
  welcome.from = fields.Take<uint64_t>();
  welcome.incarnation = fields.Take<uint64_t>();
  welcome.origin = TakeOrigin(fields);
  if (!fields.done()) return NotA("Welcome");
  return welcome;
}

Result<Refusal> DecodeRefusal(std::string_view bytes) {
  if (!TakeMagic(&bytes)) return NotA("Refusal");
  Fields fields(bytes);
  fields.Take<uint32_t>();  // A Refusal is the same in all versions.
  Refusal refusal;
  refusal.reason = static_cast<RefusalReason>(fields.Take<uint8_t>());
  refusal.text = fields.TakeText();
  if (!fields.done()) return NotA("Refusal");
  return refusal;
}

std::optional<Refusal> JudgeHello(const Hello& hello, const LocalNode& us, bool is_peer) {
  if (hello.version != kTransportVersion) {
    return Refusal{RefusalReason::kVersion, Versions(hello.version, us.member)};
  }
  if (hello.cluster_uuid != us.cluster_uuid && !MutantOn(Mutant::kAnyCluster)) {
    return Refusal{RefusalReason::kCluster, Clusters(hello.cluster_uuid, us.cluster_uuid)};
  }
  if (hello.to != us.member) {
    return Refusal{RefusalReason::kReceiver,
                   "member " + std::to_string(hello.to) + " was dialled, but member " +
                       std::to_string(us.member) +
                       " answers; correct the address in the list of members"};
  }
  if (hello.from == us.member || hello.from == 0) {
    return Refusal{RefusalReason::kMember,
                   "the sender says that it is member " + std::to_string(hello.from) +
                       ", which is " + (hello.from == 0 ? "none" : "the receiver itself") +
                       "; give each node a member id and a data directory of its own"};
  }
  if (auto refusal = JudgeFirstMembers(hello.from, hello.origin, us)) return refusal;
  if (!is_peer) {
    return Refusal{RefusalReason::kMember,
                   "member " + std::to_string(hello.from) + " is not in the list of members that " +
                       "member " + std::to_string(us.member) +
                       " knows; add it to the group first (assentctl member add)"};
  }
  return std::nullopt;
}

std::optional<Refusal> JudgeWelcome(const Welcome& welcome, const LocalNode& us, MemberId to) {
  if (welcome.version != kTransportVersion) {
    return Refusal{RefusalReason::kVersion, Versions(welcome.version, us.member)};
  }
  if (welcome.cluster_uuid != us.cluster_uuid) {
    return Refusal{RefusalReason::kCluster, Clusters(welcome.cluster_uuid, us.cluster_uuid)};
  }
  if (welcome.from != to) {
    return Refusal{RefusalReason::kReceiver,
                   "member " + std::to_string(to) + " was dialled, but member " +
                       std::to_string(welcome.from) +
                       " answers; correct the address in the list of members"};
  }
  return JudgeFirstMembers(welcome.from, welcome.origin, us);
}

std::optional<Refusal> PeerDirectories::Judge(MemberId peer, const Origin& origin) const {
  const auto shown = shown_.find(peer);
  const bool joined = origin.first_members == 0;
  if (joined || shown == shown_.end() || origin.directory == shown->second) return std::nullopt;
  return Refusal{RefusalReason::kDirectory,
                 "member " + std::to_string(peer) +
                     " has another data directory than before: how it had voted is lost. Stop it, "
                     "remove it (assentctl member remove " +
                     std::to_string(peer) + "), and let a node with a new id join"};
}

void PeerDirectories::Remember(MemberId peer, const Origin& origin) {
  if (origin.directory != 0) shown_[peer] = origin.directory;
}

}  // namespace assent::txlog
