// The vote for an app-held branch, from what a look at the server has shown. Pure.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "adapters/mysql/connection.h"
#include "adapters/resource_manager.h"

namespace assent::adapters::mysql {

// One look, for all branches that are asked about.
struct Look {
  std::string cluster;
  std::string resource;
  Evidence server;            // "id=<identity>"
  std::string rights_remedy;  // Why app-held branches can't be ended here; empty: they can.
  // What is listed as prepared, of this cluster and resource, by transaction.
  std::unordered_map<Gtrid, std::vector<Gid>> listed;
};

PrepareAnswer VoteOf(const AppHeldBranch& branch, const Look& look, const ServerFacts& facts);

// " app=holds", with the session if it can be told and matters: behind the name of the server it is
// the evidence of a vote.
Evidence SessionPart(const AppHeldBranch& branch, const ServerFacts& facts);

}  // namespace assent::adapters::mysql
