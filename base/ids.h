// The identifiers of transactions and branches (docs/protocols.md, "Identifiers"): X/Open's gtrid
// and bqual, with a meaning in each field.
//
//   gtrid = cluster . incarnation . group . epoch . seq        at most kGtridBytesMax bytes
//   bqual = mode . resource . branch . attempt                 at most kBqualBytesMax bytes
//   gid   = "assent:" gtrid ":" bqual                          PostgreSQL's one string
//
// Numbers are fixed-width base 32, so text order is number order. All types here are values and
// may be copied between threads.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace assent {

inline constexpr size_t kGtridBytesMax = 61;
inline constexpr size_t kBqualBytesMax = 64;
inline constexpr size_t kClusterBytesMax = 16;
inline constexpr size_t kResourceBytesMax = 32;
inline constexpr size_t kGidBytesMax = 199;  // PostgreSQL refuses 200.

// The X/Open format id of all our branches: "ASNT". Within MariaDB's 0 .. 2147483647.
inline constexpr int32_t kXidFormatId = 0x41534E54;

// Which protocol began the transaction. It is in the gid because the meaning of "no record"
// depends on it.
enum class Mode : char {
  kTwoPhase = 'A',  // Two-phase commit, presumed abort.
  kParallel = 'P',  // Reserved.
  kQuorum = 'Q',    // Reserved.
  kSingle = 'S',    // Reserved: begun as single-branch.
};

struct Gtrid {
  std::string cluster;       // [a-z][a-z0-9-]{0,15}
  uint64_t incarnation = 0;  // Group incarnation: 64 random bits.
  uint32_t group = 0;        // At most 20 bits.
  uint64_t epoch = 0;        // Raft term of the leader that issued it. At most 40 bits.
  uint64_t seq = 0;          // Counter in that leader's memory, from 0 each term. At most 40 bits.

  auto operator<=>(const Gtrid&) const = default;
};

struct Bqual {
  Mode mode = Mode::kTwoPhase;
  std::string resource;  // [a-z][a-z0-9_]{0,31}
  uint32_t branch = 0;   // Number of the branch in its transaction. At most 15 bits.
  uint32_t attempt = 0;  // From 1; fresh for every PREPARE ever tried. At most 20 bits.

  auto operator<=>(const Bqual&) const = default;
};

struct Gid {
  Gtrid gtrid;
  Bqual bqual;

  auto operator<=>(const Gid&) const = default;
};

bool IsClusterName(std::string_view text);
bool IsResourceName(std::string_view text);

std::string ToString(const Gtrid& gtrid);
std::string ToString(const Bqual& bqual);
std::string ToString(const Gid& gid);

// INVALID_ARGUMENT names the text and what is wrong with it. Exactly the texts that ToString makes
// are accepted, nothing else.
Result<Gtrid> ParseGtrid(std::string_view text);
Result<Bqual> ParseBqual(std::string_view text);
Result<Gid> ParseGid(std::string_view text);

}  // namespace assent

template <>
struct std::hash<assent::Gtrid> {
  size_t operator()(const assent::Gtrid& g) const noexcept {
    // cluster, incarnation and group are the same for nearly all keys of one process.
    return std::hash<uint64_t>{}((g.epoch << 40 ^ g.seq) * 0x9E3779B97F4A7C15ull ^ g.incarnation);
  }
};

template <>
struct std::hash<assent::Gid> {
  size_t operator()(const assent::Gid& g) const noexcept {
    return std::hash<assent::Gtrid>{}(g.gtrid) ^
           (size_t{g.bqual.branch} << 20 ^ g.bqual.attempt) * 0x9E3779B97F4A7C15ull;
  }
};
