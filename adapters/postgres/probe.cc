#include "adapters/postgres/probe.h"

#include <cstdlib>
#include <map>
#include <string>

namespace assent::adapters::postgres {
namespace {

using Settings = std::map<std::string, std::string, std::less<>>;

void CheckSettings(const Settings& settings, const std::string& user, ProbeReport& report) {
  auto value = [&](std::string_view name) {
    auto it = settings.find(name);
    return it == settings.end() ? std::string() : it->second;
  };
  auto add = [&](bool fatal, const std::string& name, const std::string& remedy) {
    report.findings.push_back(
        {.fatal = fatal, .name = name, .value = value(name), .remedy = remedy});
  };

  report.prepared_max =
      static_cast<uint32_t>(std::strtoul(value("max_prepared_transactions").c_str(), nullptr, 10));
  if (report.prepared_max == 0) {
    add(true, "max_prepared_transactions",
        "set it to at least max_connections (" + value("max_connections") +
            ") and restart the server: at 0 nothing can be prepared");
  }
  if (value("fsync") != "on") {
    add(true, "fsync", "set it to on and reload: a crash can lose votes and commits otherwise");
  }
  if (value("full_page_writes") != "on") {
    add(true, "full_page_writes",
        "set it to on and reload: a crash can leave torn pages otherwise");
  }
  // PREPARE and COMMIT PREPARED flush the log at every level, but off also drops the wait for a
  // synchronous standby, and says that its owner accepts the loss of commits. local, remote_write
  // and remote_apply are durable here; local is not after a failover.
  if (value("synchronous_commit") == "off") {
    add(true, "synchronous_commit", "ALTER ROLE " + user + " SET synchronous_commit = on");
  } else if (value("synchronous_commit") == "local" &&
             !value("synchronous_standby_names").empty()) {
    add(false, "synchronous_commit",
        "a failover can lose votes and commits: ALTER ROLE " + user +
            " SET synchronous_commit = on");
  }
  if (value("default_transaction_read_only") == "on") {
    add(false, "default_transaction_read_only",
        "branches can't write: ALTER ROLE " + user + " SET default_transaction_read_only = off");
  }
}

// Branches of ours that another role has prepared can be finished by that role only.
Status CheckOwners(Connection& connection, const ConnectOptions& options, ProbeReport& report) {
  auto answer = connection.Run(
      "SELECT owner, count(*) FROM pg_prepared_xacts"
      " WHERE database = current_database() AND starts_with(gid, 'assent:" +
      options.cluster + ".') AND strpos(gid, '." + options.resource +
      ".') > 0"
      " AND owner <> current_user AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname ="
      " current_user) GROUP BY owner");
  if (auto* failure = std::get_if<Failure>(&answer)) return Unavailable(failure->Text());
  for (const pqxx::row& row : std::get<pqxx::result>(answer)) {
    report.findings.push_back(
        {.fatal = false,
         .name = "owner of prepared branches",
         .value = std::string(row[1].c_str()) + " of role " + row[0].c_str(),
         .remedy = "only that role or a superuser can finish them: let the agent connect as " +
                   std::string(row[0].c_str()) + " until they are gone"});
  }
  return Ok();
}

}  // namespace

Result<ProbeReport> ProbeServer(Connection& connection, const ConnectOptions& options) {
  ProbeReport report;
  auto facts = connection.Facts();
  if (auto* failure = std::get_if<Failure>(&facts)) {
    if (failure->code != "42501") return Unavailable("probe: " + failure->Text());
    report.findings.push_back(
        {.fatal = true,
         .name = "privilege",
         .value = failure->message,
         .remedy = "GRANT EXECUTE ON FUNCTION pg_control_system() TO " + options.user});
    return report;
  }
  const ServerFacts& server = std::get<ServerFacts>(facts);
  report.server = "PostgreSQL " + std::to_string(server.version / 10000) + "." +
                  std::to_string(server.version % 10000);
  report.identity = ToString(server.identity);
  if (server.version < kVersionMin) {
    report.findings.push_back({.fatal = true,
                               .name = "server_version_num",
                               .value = std::to_string(server.version),
                               .remedy = "PostgreSQL 13 or later is needed"});
  }
  if (server.in_recovery) {
    report.findings.push_back(
        {.fatal = true,
         .name = "pg_is_in_recovery",
         .value = "t",
         .remedy = "this is a standby: give the primary's address, or promote it"});
  }

  auto answer = connection.Run(
      "SELECT name, setting FROM pg_settings WHERE name IN ('max_prepared_transactions',"
      " 'max_connections', 'fsync', 'full_page_writes', 'synchronous_commit',"
      " 'synchronous_standby_names', 'default_transaction_read_only')");
  if (auto* failure = std::get_if<Failure>(&answer))
    return Unavailable("probe: " + failure->Text());
  Settings settings;
  for (const pqxx::row& row : std::get<pqxx::result>(answer)) {
    settings[row[0].c_str()] = row[1].c_str();
  }
  CheckSettings(settings, options.user, report);
  if (Status status = CheckOwners(connection, options, report); !status.ok()) return status;
  return report;
}

}  // namespace assent::adapters::postgres
