// libassent: one transaction across several databases, from C++. The one header to include; it
// needs the standard library and base/status.h only.
//
// The agents hold the sessions:
//
//   auto client = Client::Connect({.endpoints = {"127.0.0.1:7400"}});
//   auto agent = Agent::Connect({.endpoint = "unix:/run/assent/agent.sock"});
//   auto transaction = client->Begin({.label = "transfer"});
//   auto orders = transaction->Open(*agent, "orders_pg");
//   auto stock = transaction->Open(*agent, "stock_my");
//   ... orders->Execute("UPDATE ... WHERE id = $1", 7), stock->Execute("UPDATE ... = ?", 7) ...
//   CommitResult result = transaction->Commit();   // Look at result.outcome: there are four.
//
// Or the application does, with drivers of its own (client/app_session.h):
//
//   auto transaction = client->Begin({.branches = {{"orders_pg", pg}, {"stock_my", my}}});
//   ... work on both connections, with their own drivers ...
//   CommitResult result = transaction->Commit();
//
// docs/client.md says how to write a correct service with it; examples/bank_transfer.cc and
// examples/app_held.cc are two.
// No exceptions; calls block; every call is bounded in time by its options.
#pragma once

#include "client/app_branch.h"   // IWYU pragma: export
#include "client/app_session.h"  // IWYU pragma: export
#include "client/context.h"      // IWYU pragma: export
#include "client/options.h"      // IWYU pragma: export
#include "client/outcome.h"      // IWYU pragma: export
#include "client/transaction.h"  // IWYU pragma: export
#include "client/value.h"        // IWYU pragma: export
