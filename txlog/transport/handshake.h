// How two peers find out whether they belong together. Pure.
//
// Who dials says Hello; the other answers Welcome or Refusal. Each payload begins with a magic and
// the version of the rest. That beginning, and all of a Refusal, never changes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "txlog/transport/message.h"

namespace assent::txlog {

inline constexpr uint32_t kTransportVersion = 2;
// The largest payload before both sides know each other.
inline constexpr size_t kHandshakeBytesMax = 4096;

// What a node says of itself, so that mistakes of whoever set it up are noticed. 0 is not judged.
struct Origin {
  uint64_t first_members = 0;  // As NodeIdentity: the same in all that know it.
  uint64_t directory = 0;      // As NodeIdentity: the same in all lives of a member.

  bool operator==(const Origin&) const = default;
};

struct Hello {
  uint32_t version = kTransportVersion;  // If it is another, the rest is unknown and empty here.
  std::string cluster_uuid;
  MemberId from = 0;
  // Which life of the sender: another number each time its process starts.
  uint64_t incarnation = 0;
  MemberId to = 0;  // Whom it means to have dialled.
  // Counts the connections of this incarnation to this peer, so that a late one is not taken for
  // the newest.
  uint64_t attempt = 0;
  std::string address;  // Where the sender listens: HOST:PORT, for peers that don't know it.
  Origin origin;

  bool operator==(const Hello&) const = default;
};

struct Welcome {
  uint32_t version = kTransportVersion;
  std::string cluster_uuid;
  MemberId from = 0;
  uint64_t incarnation = 0;
  Origin origin;

  bool operator==(const Welcome&) const = default;
};

enum class RefusalReason : uint8_t {
  kVersion = 1,       // Of the protocol.
  kCluster = 2,       // Another cluster.
  kReceiver = 3,      // The dialled node is not the one that was meant.
  kMember = 4,        // The sender is none of this node's peers.
  kCertificate = 5,   // Is for another name than the sender's.
  kOld = 6,           // A newer connection of the same sender is there already.
  kFirstMembers = 7,  // Bootstrapped with others.
  kDirectory = 8,     // The sender's directory is not the one that it had before.
};
// "version", "cluster" and so on; "other" for a number of a later version.
std::string_view RefusalName(RefusalReason reason);

struct Refusal {
  RefusalReason reason = RefusalReason::kVersion;
  std::string text;  // For people: what is wrong, both values, what to do. Printable ASCII.

  bool operator==(const Refusal&) const = default;
};

std::string EncodeHello(const Hello& hello);
std::string EncodeWelcome(const Welcome& welcome);
std::string EncodeRefusal(const Refusal& refusal);

// INVALID_ARGUMENT: these bytes are none. What is not printable in texts becomes '?'.
Result<Hello> DecodeHello(std::string_view bytes);
Result<Welcome> DecodeWelcome(std::string_view bytes);
Result<Refusal> DecodeRefusal(std::string_view bytes);

// Who we are.
struct LocalNode {
  std::string cluster_uuid;
  MemberId member = 0;
  uint64_t incarnation = 0;
  Origin origin;
};

// Why `hello` is refused, or nullopt. `is_peer`: whether the sender is one we talk with.
std::optional<Refusal> JudgeHello(const Hello& hello, const LocalNode& us, bool is_peer);
// The same for the answer to our own Hello to `to`.
std::optional<Refusal> JudgeWelcome(const Welcome& welcome, const LocalNode& us, MemberId to);

// Which directory each peer has shown since this node started. A member that has forgotten how it
// voted must not vote again (Raft, 3.8): one that was bootstrapped once more is refused. Nodes that
// have started since the loss know of none; docs/operations.md forbids it therefore. One that was
// told to join under its old id is let in: it votes for nobody, and ends once it hears that it was
// a voter (ReplicatedEngine).
class PeerDirectories {
 public:
  std::optional<Refusal> Judge(MemberId peer, const Origin& origin) const;
  void Remember(MemberId peer, const Origin& origin);

 private:
  std::map<MemberId, uint64_t> shown_;
};

}  // namespace assent::txlog
