#include "tests/bench/counts.h"

#include <httplib.h>

#include <cstdlib>
#include <sstream>
#include <utility>

namespace assent::bench {
namespace {

// Empty where the program serves no metrics.
template <typename Server>
std::string HttpEndpoint(const Server& server) {
  if constexpr (requires { server.http_endpoint(); }) {
    return server.http_endpoint();
  } else {
    return "";
  }
}

Status AddCoordinators(const std::string& endpoint, Figures* counts) {
  if (endpoint.empty()) return Ok();
  httplib::Client client("http://" + endpoint);
  auto answer = client.Get("/metrics");
  if (!answer || answer->status != 200) {
    return Unavailable("http://" + endpoint + "/metrics can't be read: " +
                       (answer ? std::to_string(answer->status) : to_string(answer.error())));
  }
  counts->push_back({"link messages", SumOf(answer->body, "assent_link_messages_total")});
  counts->push_back({"link batches", SumOf(answer->body, "assent_link_batches_total")});
  counts->push_back({"assentd forced", SumOf(answer->body, "assent_log_forced_writes_total")});
  return Ok();
}

}  // namespace

double SumOf(const std::string& page, const std::string& counter) {
  double sum = 0;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(counter)) continue;
    const char next = line.size() > counter.size() ? line[counter.size()] : '\0';
    if (next != '{' && next != ' ') continue;
    sum += std::atof(line.c_str() + line.rfind(' '));
  }
  return sum;
}

Result<Figures> ReadCounts(const test_support::Deployment& deployment) {
  Figures counts;
  Status coordinators = AddCoordinators(HttpEndpoint(deployment.coordinator()), &counts);
  if (!coordinators.ok()) return coordinators;
  auto postgres = deployment.postgres().Query("SELECT wal_sync FROM pg_stat_wal");
  if (!postgres.ok()) return postgres.status();
  counts.push_back({"postgres forced", std::atof(postgres->at(0).at(0).c_str())});
  auto mariadb = deployment.mariadb().Query("SHOW GLOBAL STATUS LIKE 'Innodb_data_fsyncs'");
  if (!mariadb.ok()) return mariadb.status();
  counts.push_back({"mariadbd forced", std::atof(mariadb->at(0).at(1).c_str())});
  return counts;
}

}  // namespace assent::bench
