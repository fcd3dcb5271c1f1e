// What the driver thread is told by all others.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "adapters/resource_manager.h"
#include "assent/v1/agent_link.pb.h"
#include "assent/v1/branch_service.pb.h"
#include "base/clock.h"
#include "base/helped_inbox.h"
#include "base/ids.h"
#include "participant-agent/core/branch.h"

namespace assent::agent {

class Link;
class RowStream;

// Why a call of BranchService fails (branch_service.proto, "Errors common to all calls").
struct CallError {
  Code code = Code::kUnknown;
  v1::Reason reason = v1::REASON_UNSPECIFIED;
  std::string message;
  uint32_t retry_delay_ms = 0;
};

// A call that waits for its answer. `request` and `reply` stay good until `done` is called, which
// happens once: with null after `reply` is filled, or with the error.
template <typename Request, typename Reply>
struct Call {
  const Request* request = nullptr;
  Reply* reply = nullptr;
  std::function<void(const CallError*)> done;
};
using OpenCall = Call<v1::OpenRequest, v1::OpenReply>;
using ExecuteCall = Call<v1::ExecuteRequest, v1::ExecuteReply>;
using EnlistCall = Call<v1::EnlistRequest, v1::EnlistReply>;
using VoteCall = Call<v1::VoteRequest, v1::VoteReply>;

// From BranchService.
struct OpenAsked {
  Gtrid gtrid;
  std::optional<Gid> gid;  // Of a branch that Begin registered.
  OpenCall call;
};
struct EnlistAsked {
  Gtrid gtrid;
  EnlistCall call;
};
struct VoteCalled {
  Gid gid;
  VoteCall call;
};
struct ExecuteAsked {
  Gid gid;
  ExecuteCall call;
};
struct StreamAsked {
  Gid gid;
  std::shared_ptr<RowStream> stream;
};

// From the session of a branch.
struct WorkDone {
  Gid gid;
  bool starting = false;                 // The answer to StartTask.
  std::optional<Refusal> start_refusal;  // The database did not begin the branch.
  std::vector<v1::StatementResult> results;
  std::optional<Refusal> failure;  // Dooms the branch.
  bool session_lost = false;
  std::optional<PrepareAnswered> prepared;  // If the task was to prepare, and all succeeded.
};
struct PrepareDone {
  Gid gid;
  PrepareAnswered answer;
};
struct RollbackDone {
  Gid gid;
  bool session_lost = false;
};

// From a session that finishes: the branch's own, or one of the finish pool.
struct FinishDone {
  Gid gid;
  FinishAnswered answer;
};

// From the looker of a resource.
struct Look {
  adapters::AppHeldBranch branch;
  uint32_t attempt = 0;  // As of LookUp.
};
struct LooksDone {
  std::string resource;
  std::vector<Look> looks;
  // One for each, or why the database could not be asked.
  Result<std::vector<adapters::PrepareAnswer>> answers;
};
struct RoleChecked {
  std::string resource;
  std::string role;
  Status status;
};

// From the watcher of a resource.
struct ResourceProbed {
  std::string resource;
  adapters::ProbeReport report;
};
struct ResourceUnreachable {
  std::string resource;
  std::string detail;
};
struct ResourceListed {
  std::string resource;
  std::vector<adapters::PreparedBranch> listed;
  MonotonicTime began;
  bool ask_all = false;
};

// From the links to coordinators.
struct LinkWelcomed {
  Link* link = nullptr;
  v1::Welcome welcome;
};
struct LinkSaid {
  Link* link = nullptr;
  v1::CoordinatorMessage message;
};
struct LinkDown {
  Link* link = nullptr;
};

using Event =
    std::variant<OpenAsked, ExecuteAsked, StreamAsked, EnlistAsked, VoteCalled, WorkDone,
                 PrepareDone, RollbackDone, FinishDone, LooksDone, RoleChecked, ResourceProbed,
                 ResourceUnreachable, ResourceListed, LinkWelcomed, LinkSaid, LinkDown>;
using EventInbox = HelpedInbox<Event>;

// Calls of services wait up to here; the rest of the driver's events is bounded by sessions, finish
// tasks and links.
inline constexpr size_t kInboxMax = 10'000;

}  // namespace assent::agent
