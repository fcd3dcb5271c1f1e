#include "coordinator/server/etcd_health.h"

#include <utility>

namespace assent::coordinator {

std::vector<std::string> WithEtcd(std::vector<std::string> reasons,
                                  const txlog::EtcdHealth& health) {
  // Who serves has mended what troubled it, or does not need it.
  if (!reasons.empty() && !health.trouble.empty()) reasons.push_back(health.trouble);
  // But not this: the next decision will be refused.
  if (health.no_space()) {
    reasons.emplace_back(
        "etcd has raised the alarm NOSPACE, so nothing can be decided: compact and defragment it "
        "or raise its --quota-backend-bytes, then etcdctl alarm disarm");
  }
  return reasons;
}

void Expose(const txlog::EtcdHealth& health, metrics::Page& page) {
  auto up = page.Gauges("assent_etcd_server_up",
                        "1: this member of etcd answered when it was asked last, and knew a "
                        "leader of etcd.");
  for (const auto& one : health.servers) {
    up.Series({{"server", one.address}}, one.answers && one.knows_leader ? 1 : 0);
  }
  auto bytes = page.Gauges("assent_etcd_database_bytes", "Size of this member's database file.");
  for (const auto& one : health.servers) {
    if (one.answers) {
      bytes.Series({{"server", one.address}}, static_cast<double>(one.database_bytes));
    }
  }
  page.Gauges("assent_etcd_no_space", "1: etcd has raised the alarm NOSPACE, and takes no write.")
      .Series({}, health.no_space() ? 1 : 0);
  page.Gauges("assent_etcd_trouble", "1: something in etcd keeps this node from its log.")
      .Series({}, health.trouble.empty() ? 0 : 1);
  page.Gauges("assent_etcd_lease_left_seconds",
              "How long this node may still lead if etcd is not heard again.")
      .Series({}, std::chrono::duration<double>(health.lease_left).count());
}

void Fill(const txlog::EtcdHealth& from, v1::LogStatus* to) {
  to->set_engine("etcd");
  to->set_trouble(from.trouble);
  to->set_no_space(from.no_space());
  to->set_lease_left_ms(static_cast<uint64_t>(from.lease_left.count()));
  for (const auto& one : from.servers) {
    v1::LogServer& server = *to->add_servers();
    server.set_address(one.address);
    server.set_up(one.answers && one.knows_leader);
    server.set_problem(one.answers && !one.knows_leader && one.problem.empty()
                           ? "it knows no leader of etcd"
                           : one.problem);
    server.set_version(one.version);
    server.set_database_bytes(one.database_bytes);
    server.set_asked(one.address == from.endpoint);
  }
}

}  // namespace assent::coordinator
