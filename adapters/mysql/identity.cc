#include "adapters/mysql/identity.h"

#include <charconv>
#include <string_view>
#include <utility>

#include "base/random.h"

namespace assent::adapters::mysql {
namespace {

constexpr char kPreparer[] = " conn=";

Status NoIdentity(const ConnectOptions& options, const SqlError& error) {
  if (MeansConnectionLost(error)) return Unavailable("reading the identity: " + TextOf(error));
  std::string message = "MariaDB has no identity of its own, none is configured, and the table " +
                        std::string(kIdentityTable) + " in database \"" + options.database +
                        "\" can't be read or made: " + TextOf(error) +
                        ". Set `identity` of resource \"" + options.resource +
                        "\" to a name that only this data has, or grant CREATE, INSERT and SELECT "
                        "on that table to \"" +
                        options.user + "\"";
  return CauseOf(error) == Cause::kPermission ? PermissionDenied(message)
                                              : FailedPrecondition(message);
}

}  // namespace

Evidence WithPreparer(const Evidence& server, const Preparer& preparer) {
  return server + kPreparer + std::to_string(preparer.connection_id) + "@" +
         std::to_string(preparer.server_started);
}

VoteEvidence ParseEvidence(const Evidence& whole) {
  Evidence evidence = whole;
  const Holder holder = TakeHolder(&evidence);
  size_t at = evidence.rfind(kPreparer);
  if (at == std::string::npos) return {.server = evidence, .holder = holder};
  VoteEvidence parsed{.server = evidence.substr(0, at), .holder = holder};
  const char* end = evidence.data() + evidence.size();
  Preparer preparer;
  auto id = std::from_chars(evidence.data() + at + std::string_view(kPreparer).size(), end,
                            preparer.connection_id);
  if (id.ec != std::errc() || id.ptr == end || *id.ptr != '@') return parsed;
  auto started = std::from_chars(id.ptr + 1, end, preparer.server_started);
  if (started.ec == std::errc() && started.ptr == end) parsed.preparer = preparer;
  return parsed;
}

Result<std::string> IdentityReader::Read(Connection& connection) {
  if (identity_) return *identity_;
  if (connection.facts().flavour == Flavour::kMysql) {
    identity_ = connection.facts().server_uuid;
  } else if (!options_.identity.empty()) {
    identity_ = options_.identity;
  } else {
    auto read = FromTable(connection);
    if (!read.ok()) return read;
    identity_ = *std::move(read);
  }
  return *identity_;
}

Result<Evidence> IdentityReader::ReadEvidence(Connection& connection) {
  auto identity = Read(connection);
  if (!identity.ok()) return identity;
  return (connection.facts().flavour == Flavour::kMysql ? "uuid=" : "id=") + *identity;
}

Result<std::string> IdentityReader::FromTable(Connection& connection) {
  const std::string table = kIdentityTable;
  const std::string select = "SELECT id FROM " + table;
  auto read = connection.Query(select);
  auto* error = std::get_if<SqlError>(&read);
  if (error != nullptr && error->number != kErNoSuchTable) return NoIdentity(options_, *error);
  if (error != nullptr || std::get<std::vector<Row>>(read).empty()) {
    // Several agents may come here at once: the key lets one of their UUIDs win, and all read it.
    for (const std::string& sql :
         {"CREATE TABLE IF NOT EXISTS " + table +
              " (one TINYINT NOT NULL PRIMARY KEY, id CHAR(36) CHARACTER SET ascii NOT NULL)"
              " ENGINE=InnoDB COMMENT='Names this data for Assent; do not change or copy'",
          "INSERT IGNORE INTO " + table + " VALUES (1, '" + RandomUuid() + "')"}) {
      if (auto failed = connection.Run(sql)) return NoIdentity(options_, *failed);
    }
    read = connection.Query(select);
    if (auto* failed = std::get_if<SqlError>(&read)) return NoIdentity(options_, *failed);
  }
  auto& rows = std::get<std::vector<Row>>(read);
  if (rows.size() != 1 || rows[0][0].value_or("").empty()) {
    return FailedPrecondition("the table " + table + " in database \"" + options_.database +
                              "\" has " + std::to_string(rows.size()) +
                              " rows instead of one id; somebody changed it: restore its row");
  }
  return *std::move(rows[0][0]);
}

}  // namespace assent::adapters::mysql
