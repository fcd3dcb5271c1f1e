#include "tests/support/leader.h"

#include "tests/support/process.h"
#include "tests/support/scrape.h"

namespace assent::test_support {

AssentdProcess* WaitLeader(const std::vector<std::unique_ptr<AssentdProcess>>& group,
                           std::chrono::milliseconds timeout) {
  AssentdProcess* leader = nullptr;
  WaitUntil(timeout, [&] {
    double term = -1;
    for (const auto& node : group) {
      if (!node->Running()) continue;
      auto page = Scrape::From(node->http_endpoint());
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

}  // namespace assent::test_support
