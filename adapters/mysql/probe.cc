#include "adapters/mysql/probe.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <utility>

#include "adapters/mysql/finish.h"

namespace assent::adapters::mysql {
namespace {

using Version = std::array<int, 3>;

Version ParseVersion(const std::string& text) {
  Version version{};
  std::sscanf(text.c_str(), "%d.%d.%d", &version[0], &version[1], &version[2]);
  return version;
}

std::string ToText(const Version& version) {
  return std::to_string(version[0]) + "." + std::to_string(version[1]) + "." +
         std::to_string(version[2]);
}

class Prober {
 public:
  Prober(const ServerFacts& facts, std::map<std::string, std::string> variables,
         ProbeReport* report)
      : facts_(facts), variables_(std::move(variables)), report_(report) {}

  void Settings() {
    if (Value("innodb_flush_log_at_trx_commit") != "1") {
      Fatal("innodb_flush_log_at_trx_commit",
            "set it to 1: otherwise a crash loses branches that were reported as prepared");
    }
    // The binary log has the last word on prepared branches after a crash.
    if (On("log_bin") && Value("sync_binlog") != "1") {
      Fatal("sync_binlog", "set it to 1, or switch the binary log off (skip_log_bin)");
    }
    for (const char* name : {"read_only", "super_read_only"}) {
      if (On(name)) Fatal(name, "point the resource at the primary, or make this server writable");
    }
    if (On("wsrep_on")) {
      Fatal("wsrep_on", "Galera does not support XA; use a server outside of the cluster");
    }
    if (Value("default_storage_engine") != "InnoDB") {
      Warn("default_storage_engine",
           "set it to InnoDB: tables of other engines take no part in transactions, and that is "
           "not noticed when they are written");
    }
    constexpr int kWaitTimeoutMin = 60;
    if (std::atoi(Value("wait_timeout").c_str()) < kWaitTimeoutMin) {
      Warn("wait_timeout", "set it to 60 s or more: sessions that think for longer are cut off");
    }
  }

  void ServerVersion() {
    const Version version = ParseVersion(facts_.version);
    const bool mariadb = facts_.flavour == Flavour::kMariadb;
    report_->server = (mariadb ? "MariaDB " : "MySQL ") + ToText(version);
    const Version oldest = mariadb ? Version{10, 5, 2} : Version{5, 7, 7};
    if (version < oldest) {
      report_->findings.push_back(
          {.fatal = true,
           .name = "version",
           .value = facts_.version,
           .remedy = "upgrade to " + ToText(oldest) +
                     " or later: before, a prepared branch is rolled back when its session ends"});
    } else if (!mariadb && version < Version{8, 0, 30}) {
      report_->findings.push_back(
          {.name = "version",
           .value = facts_.version,
           .remedy = "upgrade to 8.0.30 or later: before, XA and the binary log may disagree "
                     "after a crash"});
    }
  }

 private:
  std::string Value(const std::string& name) const {
    auto it = variables_.find(name);
    return it == variables_.end() ? "" : it->second;
  }
  bool On(const std::string& name) const { return Value(name) == "ON" || Value(name) == "1"; }
  void Fatal(const std::string& name, std::string remedy) {
    report_->findings.push_back(
        {.fatal = true, .name = name, .value = Value(name), .remedy = std::move(remedy)});
  }
  void Warn(const std::string& name, std::string remedy) {
    report_->findings.push_back({.name = name, .value = Value(name), .remedy = std::move(remedy)});
  }

  const ServerFacts& facts_;
  std::map<std::string, std::string> variables_;
  ProbeReport* report_;
};

bool IsLocal(const std::string& host) {
  return host.empty() || host.starts_with('/') || host.starts_with("127.") || host == "::1" ||
         host == "localhost";
}

Status Lost(const std::string& what, const SqlError& error) {
  return Unavailable(what + ": " + TextOf(error));
}

}  // namespace

Result<ProbeReport> RunProbe(Connection& connection, IdentityReader& identity,
                             const ConnectOptions& options) {
  auto read = connection.Query(
      "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('innodb_flush_log_at_trx_commit', 'log_bin', "
      "'sync_binlog', 'read_only', 'super_read_only', 'wsrep_on', 'default_storage_engine', "
      "'wait_timeout')");
  if (auto* error = std::get_if<SqlError>(&read)) return Lost("SHOW GLOBAL VARIABLES", *error);
  std::map<std::string, std::string> variables;
  for (const Row& row : std::get<std::vector<Row>>(read)) {
    variables[row[0].value_or("")] = row[1].value_or("");
  }

  ProbeReport report;
  report.ties_prepared = !connection.facts().detaches_on_prepare;
  Prober prober(connection.facts(), std::move(variables), &report);
  prober.ServerVersion();
  prober.Settings();

  auto listed = ListPrepared(connection);
  if (auto* error = std::get_if<SqlError>(&listed)) {
    if (connection.lost()) return Lost("XA RECOVER", *error);
    report.findings.push_back({.fatal = true,
                               .name = "XA RECOVER",
                               .value = TextOf(*error),
                               .remedy = "grant XA_RECOVER_ADMIN to \"" + options.user + "\""});
  }
  auto replica = WhyReplica(connection);
  if (auto* error = std::get_if<SqlError>(&replica)) return Lost("SHOW REPLICA STATUS", *error);
  if (auto& why = std::get<std::optional<std::string>>(replica)) {
    report.findings.push_back(
        {.name = "replica",
         .value = *why,
         .remedy = "point the resource at the primary; on a writable replica, branches that "
                   "somebody else finished stay undecided"});
  }

  auto name = identity.Read(connection);
  if (name.ok()) {
    report.identity = *name;
  } else if (connection.lost()) {
    return name.status();
  } else {
    report.findings.push_back(
        {.fatal = true, .name = "identity", .value = "none", .remedy = name.status().message()});
  }
  if (options.tls_ca_file.empty() && !IsLocal(options.host)) {
    report.findings.push_back({.name = "tls_ca_file",
                               .value = "unset",
                               .remedy = "set it: passwords and data cross the network in clear"});
  }
  return report;
}

}  // namespace assent::adapters::mysql
