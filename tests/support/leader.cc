#include "tests/support/leader.h"

#include "tests/support/process.h"
#include "tests/support/scrape.h"

namespace assent::test_support {

AssentdProcess* WaitLeader(const std::vector<std::unique_ptr<AssentdProcess>>& group,
                           std::chrono::milliseconds timeout, const TlsPaths& tls,
                           const AssentdProcess* but) {
  AssentdProcess* leader = nullptr;
  WaitUntil(timeout, [&] {
    double term = -1;
    for (const auto& node : group) {
      if (!node->Running() || node.get() == but) continue;
      auto page = Scrape::From(node->http_endpoint(), {tls.ca_file, tls.cert_file, tls.key_file});
      if (!page.ok() || page->Sum("assent_leader") != 1) continue;
      const double its_term = page->Sum("assent_term");
      if (its_term <= term) continue;
      term = its_term;
      leader = node.get();
    }
    return leader != nullptr;
  });
  return leader;
}

AssentdProcess* WaitLeader(Deployment& house, std::chrono::milliseconds timeout,
                           const AssentdProcess* but) {
  return WaitLeader(house.coordinators(), timeout, house.client_tls(), but);
}

}  // namespace assent::test_support
