// The votes for app-held branches: one query for all of them, which also proves that the server is
// a primary and tells which one.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "adapters/postgres/connection.h"
#include "adapters/resource_manager.h"

namespace assent::adapters::postgres {

struct ListedBranch {
  Gid gid;
  uint64_t xid = 0;
  std::string database;
  bool in_this_database = false;
  bool may_end = false;  // By this user, under the owner's role.
  std::string grant;     // What would allow it.
};

struct Look {
  ServerFacts server;
  std::string database;
  // Commits wait for a synchronous standby.
  bool synchronous = false;
  // What is listed of the transactions that were asked about, in all databases of the server.
  std::unordered_map<Gtrid, std::vector<ListedBranch>> listed;
};

// Prepared once in each session, since planning it costs many times what running it does; then run
// for the transactions that are asked about.
std::string PrepareLookUp();
std::string RunLookUp(const std::vector<AppHeldBranch>& branches);
Look ReadLook(const pqxx::result& result);

// Pure.
PrepareAnswer VoteOf(const AppHeldBranch& branch, const Look& look, const std::string& cluster,
                     const std::string& resource);

}  // namespace assent::adapters::postgres
