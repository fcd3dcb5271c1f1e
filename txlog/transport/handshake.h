// How two peers find out whether they belong together. Pure.
//
// Who dials says Hello; the other answers Welcome or Refusal. Each payload begins with a magic and
// the version of the rest. That beginning, and all of a Refusal, never changes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "txlog/transport/message.h"

namespace assent::txlog {

inline constexpr uint32_t kTransportVersion = 1;
// The largest payload before both sides know each other.
inline constexpr size_t kHandshakeBytesMax = 4096;

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

  bool operator==(const Hello&) const = default;
};

struct Welcome {
  uint32_t version = kTransportVersion;
  std::string cluster_uuid;
  MemberId from = 0;
  uint64_t incarnation = 0;

  bool operator==(const Welcome&) const = default;
};

enum class RefusalReason : uint8_t {
  kVersion = 1,      // Of the protocol.
  kCluster = 2,      // Another cluster.
  kReceiver = 3,     // The dialled node is not the one that was meant.
  kMember = 4,       // The sender is none of this node's peers.
  kCertificate = 5,  // Is for another name than the sender's.
  kOld = 6,          // A newer connection of the same sender is there already.
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
};

// Why `hello` is refused, or nullopt. `is_peer`: whether the sender is one we talk with.
std::optional<Refusal> JudgeHello(const Hello& hello, const LocalNode& us, bool is_peer);
// The same for the answer to our own Hello to `to`.
std::optional<Refusal> JudgeWelcome(const Welcome& welcome, const LocalNode& us, MemberId to);

}  // namespace assent::txlog
