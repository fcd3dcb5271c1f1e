// How the first members of a group stand in the configuration: "ID=PEER_ADDRESS,ADDRESS".
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "coordinator/server/options.h"
#include "txlog/decision_log.h"

namespace assent::coordinator {

// INVALID_ARGUMENT names the entry and what is wrong with it.
Result<txlog::Member> ParseFirstMember(const std::string& text);

// As `options` say; this node alone if they name none. Only after ValidateOptions.
std::vector<txlog::Member> FirstMembers(const Options& options);

// This node as the only member.
txlog::Member OnlyMember(const Options& options);

// Of a group that was restored; 0: none is given, or it is no number.
uint64_t IncarnationOf(const Options& options);

// How others reach this node: what the options say, or where it listens.
std::string PeerAddress(const Options& options);
std::string ClientAddress(const Options& options);

// Every problem of the options that are about the group, one sentence each.
std::vector<std::string> CheckGroupOptions(const Options& options);

}  // namespace assent::coordinator
