// Evidence of a vote: which transaction, on which data. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "adapters/common/app_held.h"

namespace assent::adapters::postgres {

// "sys=<system identifier> db=<oid>": the same for as long as it is the same data. A standby and a
// restored backup carry the same one, so it must be read together with pg_is_in_recovery().
struct ServerIdentity {
  std::string system;
  std::string database;

  bool operator==(const ServerIdentity&) const = default;
};
std::string ToString(const ServerIdentity& identity);

// "xid=<64-bit xid> sys=<system identifier> db=<oid> tli=<timeline>", and for app-held branches
// what WithHolder adds.
//
// The timeline, since a failover or restore that loses the end of the log gives lost xids to other
// transactions: what the server then says of the xid may be about another transaction.
struct XidEvidence {
  uint64_t xid = 0;
  ServerIdentity identity;
  uint32_t timeline = 0;
  Holder holder = Holder::kAgent;

  bool operator==(const XidEvidence&) const = default;
};
std::string ToString(const XidEvidence& evidence);
// Nothing for any other text.
std::optional<XidEvidence> ParseEvidence(const std::string& text);

// pg_prepared_xacts shows 32 bits of the xid. The full one is the one nearest to `next_xid` (64
// bits, read at about the same time): the server keeps all live xids within 2^31 of the next.
uint64_t WidenXid(uint32_t xid, uint64_t next_xid);

}  // namespace assent::adapters::postgres
