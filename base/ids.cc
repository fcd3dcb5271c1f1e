#include "base/ids.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/base32.h"

namespace assent {
namespace {

constexpr std::string_view kGidPrefix = "assent:";
constexpr size_t kIncarnationDigits = 13;
constexpr size_t kGroupDigits = 4;
constexpr size_t kEpochDigits = 8;
constexpr size_t kSeqDigits = 8;
constexpr size_t kBranchDigits = 3;
constexpr size_t kAttemptDigits = 4;

bool IsName(std::string_view text, size_t bytes_max, char extra) {
  if (text.empty() || text.size() > bytes_max || text[0] < 'a' || text[0] > 'z') return false;
  return std::all_of(text.begin(), text.end(), [extra](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == extra;
  });
}

Status Bad(std::string_view kind, std::string_view text, std::string_view why) {
  constexpr size_t kShownBytesMax = 120;
  std::string shown(text.substr(0, kShownBytesMax));
  if (text.size() > kShownBytesMax) shown += "...";
  return InvalidArgument(std::string(kind) + " \"" + shown +
                         "\" is malformed: " + std::string(why));
}

// Splits at each dot into exactly N parts.
template <size_t N>
std::optional<std::array<std::string_view, N>> SplitDots(std::string_view text) {
  std::array<std::string_view, N> parts;
  for (size_t i = 0; i < N; ++i) {
    size_t dot = text.find('.');
    if ((dot == std::string_view::npos) != (i == N - 1)) return std::nullopt;
    parts[i] = text.substr(0, dot);
    if (dot != std::string_view::npos) text.remove_prefix(dot + 1);
  }
  return parts;
}

std::optional<uint64_t> Number(std::string_view text, size_t digits) {
  if (text.size() != digits) return std::nullopt;
  return DecodeBase32(text);
}

}  // namespace

bool IsClusterName(std::string_view text) { return IsName(text, kClusterBytesMax, '-'); }
bool IsResourceName(std::string_view text) { return IsName(text, kResourceBytesMax, '_'); }

std::string ToString(const Gtrid& g) {
  return g.cluster + "." + EncodeBase32(g.incarnation, kIncarnationDigits) + "." +
         EncodeBase32(g.group, kGroupDigits) + "." + EncodeBase32(g.epoch, kEpochDigits) + "." +
         EncodeBase32(g.seq, kSeqDigits);
}

std::string ToString(const Bqual& b) {
  return std::string(1, static_cast<char>(b.mode)) + "." + b.resource + "." +
         EncodeBase32(b.branch, kBranchDigits) + "." + EncodeBase32(b.attempt, kAttemptDigits);
}

std::string ToString(const Gid& gid) {
  return std::string(kGidPrefix) + ToString(gid.gtrid) + ":" + ToString(gid.bqual);
}

Result<Gtrid> ParseGtrid(std::string_view text) {
  constexpr std::string_view kKind = "gtrid";
  if (text.size() > kGtridBytesMax) {
    return Bad(kKind, text, "longer than " + std::to_string(kGtridBytesMax) + " bytes");
  }
  auto parts = SplitDots<5>(text);
  if (!parts) return Bad(kKind, text, "expected cluster.incarnation.group.epoch.seq");
  auto [cluster, incarnation, group, epoch, seq] = *parts;
  if (!IsClusterName(cluster)) return Bad(kKind, text, "the cluster name must be [a-z][a-z0-9-]*");
  auto i = Number(incarnation, kIncarnationDigits);
  auto g = Number(group, kGroupDigits);
  auto e = Number(epoch, kEpochDigits);
  auto s = Number(seq, kSeqDigits);
  if (!i || !g || !e || !s) {
    return Bad(kKind, text, "numbers are fixed-width base 32 (0-9a-v) of 13, 4, 8 and 8 digits");
  }
  return Gtrid{.cluster = std::string(cluster),
               .incarnation = *i,
               .group = static_cast<uint32_t>(*g),
               .epoch = *e,
               .seq = *s};
}

Result<Bqual> ParseBqual(std::string_view text) {
  constexpr std::string_view kKind = "bqual";
  if (text.size() > kBqualBytesMax) {
    return Bad(kKind, text, "longer than " + std::to_string(kBqualBytesMax) + " bytes");
  }
  auto parts = SplitDots<4>(text);
  if (!parts) return Bad(kKind, text, "expected mode.resource.branch.attempt");
  auto [mode, resource, branch, attempt] = *parts;
  if (mode != "A" && mode != "P" && mode != "Q" && mode != "S") {
    return Bad(kKind, text, "the mode must be A, P, Q or S");
  }
  if (!IsResourceName(resource)) {
    return Bad(kKind, text, "the resource name must be [a-z][a-z0-9_]{0,31}");
  }
  auto b = Number(branch, kBranchDigits);
  auto a = Number(attempt, kAttemptDigits);
  if (!b || !a) {
    return Bad(kKind, text, "numbers are fixed-width base 32 (0-9a-v) of 3 and 4 digits");
  }
  return Bqual{.mode = static_cast<Mode>(mode[0]),
               .resource = std::string(resource),
               .branch = static_cast<uint32_t>(*b),
               .attempt = static_cast<uint32_t>(*a)};
}

Result<Gid> ParseGid(std::string_view text) {
  if (!text.starts_with(kGidPrefix)) return Bad("gid", text, "it must begin with \"assent:\"");
  std::string_view rest = text.substr(kGidPrefix.size());
  size_t colon = rest.find(':');
  if (colon == std::string_view::npos) return Bad("gid", text, "expected assent:gtrid:bqual");
  auto gtrid = ParseGtrid(rest.substr(0, colon));
  if (!gtrid.ok()) return gtrid.status();
  auto bqual = ParseBqual(rest.substr(colon + 1));
  if (!bqual.ok()) return bqual.status();
  return Gid{.gtrid = *std::move(gtrid), .bqual = *std::move(bqual)};
}

}  // namespace assent
