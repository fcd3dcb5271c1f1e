#include "adapters/common/xid.h"

#include "base/mutant.h"

namespace assent::adapters {
namespace {

std::string Hex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (char c : bytes) {
    text += kDigits[static_cast<uint8_t>(c) >> 4];
    text += kDigits[static_cast<uint8_t>(c) & 15];
  }
  return text;
}

}  // namespace

std::string XaLiteral(const Gid& gid) {
  return "X'" + Hex(ToString(gid.gtrid)) + "',X'" + Hex(ToString(gid.bqual)) + "'," +
         std::to_string(kXidFormatId);
}

std::string PostgresLiteral(const Gid& gid) { return "'" + ToString(gid) + "'"; }

std::optional<Gid> GidFromXaRecover(int64_t format_id, size_t gtrid_bytes, size_t bqual_bytes,
                                    std::string_view data) {
  if (format_id != kXidFormatId || gtrid_bytes > data.size() ||
      bqual_bytes != data.size() - gtrid_bytes) {
    return std::nullopt;
  }
  auto gtrid = ParseGtrid(data.substr(0, gtrid_bytes));
  auto bqual = ParseBqual(data.substr(gtrid_bytes));
  if (!gtrid.ok() || !bqual.ok()) return std::nullopt;
  return Gid{.gtrid = *std::move(gtrid), .bqual = *std::move(bqual)};
}

bool IsOurs(const Gid& gid, std::string_view cluster, std::string_view resource) {
  if (MutantOn(Mutant::kForeignBranchTouched)) return gid.gtrid.cluster == cluster;
  return gid.gtrid.cluster == cluster && gid.bqual.resource == resource;
}

}  // namespace assent::adapters
