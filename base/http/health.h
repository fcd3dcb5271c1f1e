// What /healthz answers: 200 while the program serves, 503 and the reasons while it does not.
#pragma once

#include <string>
#include <vector>

#include "base/http/http_server.h"

namespace assent::http {

// `reasons` is why the program does not serve, a sentence each; empty: it does. The answer is JSON:
//   {"status":"serving"}
//   {"status":"not serving","reasons":["resource orders_pg: not probed yet"]}
Reply HealthReply(const std::vector<std::string>& reasons);

}  // namespace assent::http
