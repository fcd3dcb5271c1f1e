#include "participant-agent/server/options.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <set>

#include "base/http/http_server.h"
#include "base/ids.h"
#include "base/net/address.h"
#include "base/rpc/listener.h"

namespace assent::agent {

void AddOptions(OptionSet& set, Options* options) {
  set.Add("agent_id", &options->agent_id,
          "Names this agent; unique in the cluster and the same at every start.")
      .Required("orders-1");
  set.Add("data_dir", &options->data_dir, "Where the agent's journal lives; its own directory.")
      .Required("/var/lib/assent-agent");
  set.Add("coordinators", &options->coordinators,
          "Every coordinator node as host:port; the agent dials all of them.");
  set.Add("listen", &options->listen,
          "Where BranchService listens for services: unix:PATH, which never speaks TLS (its "
          "directory's mode protects it), or host:port; without TLS only loopback addresses.");
  set.Add("http_listen", &options->http_listen,
          "Address of /metrics and /healthz, HOST:PORT; empty or port 0: none. HTTPS if there are "
          "certificates; without them only loopback.");
  rpc::AddTlsOptions(set, &options->tls);
  set.Add("tls_server_name", &options->tls_server_name,
          "Name that the coordinators' certificates must carry, whatever address they are dialled "
          "by. Empty: the host that is dialled.");
  set.Add("sessions_max", &options->sessions_max,
          "Database connections for branches, of each resource; so many branches can be open at "
          "once. Keep it below the connections that the database allows.")
      .Between(1, 1'000)
      .Unit("sessions");
  set.Add("finish_sessions", &options->finish_sessions,
          "Database connections kept for committing and rolling back, of each resource. More help "
          "only when commits wait for the database's disk.")
      .Between(1, 64)
      .Unit("sessions");
  set.Add("recovery_scan_interval_ms", &options->recovery_scan_interval,
          "How often each database is asked for prepared branches.")
      .Between(50, 600'000);
  set.Add("inquiry_age_ms", &options->inquiry_age,
          "A prepared branch that waits longer is asked about at the coordinator. Trades questions "
          "against delay; nothing is ever decided by age.")
      .Between(50, 600'000);
  set.Add("lock_timeout_ms", &options->lock_timeout,
          "How long a statement waits for a lock unless Open says otherwise. Keep it below the "
          "transactions' deadline.")
      .Between(1, 3'600'000);
  set.Add("finish_grace_ms", &options->finish_grace,
          "After an abort: how long an application that ends its branches itself (app-held, "
          "FINISHER_APP) may take to roll back on its own session, where the database ties the "
          "branch to it. Then the agent kills that connection and rolls back.")
      .Between(1, 600'000);
  set.Add("log_level", &options->log_level, "What is logged to standard error.")
      .OneOf({"debug", "info", "warning", "error"});
  set.Add("repin", &options->repin,
          "Accept once that the coordinators belong to another cluster, or to a group that was "
          "restored or set up anew. Give it for one start, as the flag --repin, once every node of "
          "the group before has been stopped for good. What was prepared under that group is asked "
          "about again: the restored one commits what its backup had decided, and reports the rest "
          "to an operator.");
  set.AddTables<ResourceOptions>(
      "resource", &options->resources,
      "One database that this agent serves; repeat the table for more.",
      [](ResourceOptions& row, OptionSet& fields) {
        fields.Add("name", &row.name, "The resource's name, as services use it in Open.")
            .Required("orders_pg");
        fields.Add("kind", &row.kind, "Which database it is.")
            .OneOf({"postgresql", "mariadb", "mysql"});
        fields.Add("host", &row.host,
                   "Name or address, or the unix socket: PostgreSQL's directory, MariaDB's file.");
        fields.Add("port", &row.port, "0: the database's default port.").Between(0, 65'535);
        fields.Add("database", &row.database, "The database to work in.").Required("orders");
        fields.Add("user", &row.user, "The database user that all branches run as.")
            .Required("assent");
        fields.Add("password_file", &row.password_file,
                   "A file with the password in its first line, readable by the agent alone.");
        fields
            .Add("password_env", &row.password_env,
                 "Instead: the environment variable that holds the password.")
            .NamesEnvironment();
        fields.Add("tls_ca_file", &row.tls_ca_file,
                   "Set: TLS to the database, verified against this CA, or no connection.");
        fields.Add("identity", &row.identity,
                   "MariaDB: a text that names this server's data for good, since it has no "
                   "identity of its own.");
      });
  set.AddCheck([options] { return ValidateOptions(*options); });
}

namespace {

void CheckResource(const ResourceOptions& resource, size_t index, std::set<std::string>* names,
                   std::vector<std::string>* problems) {
  const std::string where = "resource[" + std::to_string(index) + "]";
  if (!resource.name.empty() && !IsResourceName(resource.name)) {
    problems->push_back(where + ".name is \"" + resource.name +
                        "\": give it a small letter, then small letters, digits or _, at most 32 "
                        "in all");
  }
  if (!resource.name.empty() && !names->insert(resource.name).second) {
    problems->push_back(where + ".name \"" + resource.name +
                        "\" stands twice: give each resource a name of its own");
  }
  if (resource.host.empty()) {
    problems->push_back(where + ".host is empty: give a name, an address, or a unix socket");
  }
  if (!resource.password_file.empty() && !resource.password_env.empty()) {
    problems->push_back(where + ": password_file and password_env are both given: keep one");
  } else if (auto password = ReadPassword(resource); !password.ok()) {
    problems->push_back(where + ": " + password.status().message());
  }
  if (!resource.tls_ca_file.empty() && ::access(resource.tls_ca_file.c_str(), R_OK) != 0) {
    problems->push_back(where + ".tls_ca_file is \"" + resource.tls_ca_file +
                        "\": " + std::strerror(errno));
  }
}

}  // namespace

std::vector<std::string> ValidateOptions(const Options& options) {
  std::vector<std::string> problems;
  if (options.agent_id.size() > kAgentIdBytesMax) {
    problems.push_back("agent_id has " + std::to_string(options.agent_id.size()) +
                       " bytes: at most " + std::to_string(kAgentIdBytesMax));
  }
  if (options.coordinators.empty()) {
    problems.push_back("coordinators is empty: give every coordinator node as host:port");
  }
  for (const std::string& coordinator : options.coordinators) {
    if (Status s = net::CheckDialAddress("coordinators: entry", coordinator); !s.ok()) {
      problems.push_back(s.message());
    }
  }
  if (Status status = rpc::CheckListenAddress("listen", options.listen, !options.tls.empty());
      !status.ok()) {
    problems.push_back(status.message());
  }
  if (Status pages = http::CheckAddress("http_listen", options.http_listen, !options.tls.empty());
      !pages.ok()) {
    problems.push_back(pages.message());
  }
  if (!options.tls.empty()) {
    for (std::string& problem : rpc::CheckTlsFiles(options.tls, rpc::Side::kServer)) {
      problems.push_back(std::move(problem));
    }
    if (options.tls.ca_file.empty()) {
      problems.push_back("tls_ca_file is empty: the agent needs it to trust its coordinators");
    }
  }
  if (options.resources.empty()) {
    problems.push_back("no [[resource]] is given: name at least one database to serve");
  }
  if (options.resources.size() > kResourcesMax) {
    problems.push_back(std::to_string(options.resources.size()) + " resources are given: at most " +
                       std::to_string(kResourcesMax) + " in one agent");
  }
  std::set<std::string> names;
  for (size_t i = 0; i < options.resources.size(); ++i) {
    CheckResource(options.resources[i], i, &names, &problems);
  }
  return problems;
}

Result<std::string> ReadPassword(const ResourceOptions& resource) {
  if (!resource.password_env.empty()) {
    const char* value = std::getenv(resource.password_env.c_str());
    if (value == nullptr) {
      return FailedPrecondition("password_env names " + resource.password_env +
                                ", which is not set in the environment");
    }
    return std::string(value);
  }
  if (resource.password_file.empty()) return std::string();
  struct stat info {};
  if (::stat(resource.password_file.c_str(), &info) != 0) {
    return FailedPrecondition("password_file " + resource.password_file + ": " +
                              std::strerror(errno));
  }
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    return FailedPrecondition("password_file " + resource.password_file +
                              " can be read by others: chmod 600 " + resource.password_file);
  }
  std::ifstream file(resource.password_file);
  std::string password;
  if (!file || !std::getline(file, password)) {
    return FailedPrecondition("password_file " + resource.password_file +
                              " can't be read, or its first line is empty");
  }
  return password;
}

}  // namespace assent::agent
