// Options of libassent. All times are durations on the monotonic clock; wall time plays no part.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/app_session.h"
#include "client/value.h"

namespace assent::client {

// PEM files; none for a plain connection. They are read once, at Connect: a renewed certificate
// needs a new Client or Agent.
struct TlsOptions {
  std::string ca_file;    // Who may sign the server's certificate.
  std::string cert_file;  // Our own certificate and its key, if servers ask for it.
  std::string key_file;
  // The name that the server's certificate must carry. Empty: the host of the endpoint.
  std::string server_name;
};

struct ClientOptions {
  // Nodes of one group of coordinators, "host:port", any order. The one that leads is found.
  std::vector<std::string> endpoints = {"127.0.0.1:7400"};
  TlsOptions tls;
  // The longest wait for one answer before it is asked for again. Commit may take prepare_timeout
  // and apply_wait of the coordinator (10 s and 5 s); less than their sum only causes repeats.
  std::chrono::milliseconds try_timeout{20'000};
  // How long Begin is repeated while no coordinator answers or one is at a limit.
  std::chrono::milliseconds begin_retry_for{10'000};
  // How long the destructor of an unfinished Transaction tries to roll it back. Failing that, the
  // coordinator does so at the transaction's deadline.
  std::chrono::milliseconds destructor_timeout{1'000};
};

struct AgentOptions {
  std::string endpoint = "127.0.0.1:7410";  // "host:port" or "unix:/path/to/socket".
  TlsOptions tls;                           // Not for unix sockets.
  // How long Open and Execute are repeated (with the same open_id or seq, so that nothing is done
  // twice) after a lost answer, or while every session is in use.
  std::chrono::milliseconds retry_for{5'000};
};

// A branch that Begin registers: saves the round trip that Open or Enlist costs between agent and
// coordinator. It belongs to the transaction from then on: Commit can only succeed if it was worked
// in.
struct PlannedBranch {
  std::string resource;
  // Set: the application holds the branch on this session, which stands in it once Begin has
  // answered. No agent is called. Unset: the agent holds it, once Transaction::Open names the
  // resource.
  std::optional<AppSession> session;
  // With `session`. Unset: kApp.
  std::optional<Finisher> finisher;
};

struct BeginOptions {
  // Within which Commit must arrive; after it the transaction is rolled back. 0: the coordinator's
  // default (60 s). Its maximum is 1 h.
  std::chrono::milliseconds timeout{0};
  // Optional, at most 128 bytes: the service's own name of this piece of business, such as
  // "transfer-4711". A Begin with a key whose transaction committed within the last hour gives that
  // transaction (already_committed), so that a business-level retry does not do the work twice.
  std::string client_key;
  // Optional, at most 128 bytes, shown by assentctl.
  std::string label;
  // At most 64.
  std::vector<PlannedBranch> branches;
};

enum class Isolation : uint8_t { kDefault, kReadCommitted, kRepeatableRead, kSerializable };

struct OpenOptions {
  Isolation isolation = Isolation::kDefault;
  // Enforced by the database. A read-only branch costs no prepare and no commit.
  bool read_only = false;
  // How long a statement waits for a lock; 0: the agent's default (5 s). MySQL and MariaDB round up
  // to whole seconds.
  std::chrono::milliseconds lock_timeout{0};
  // Run at once, in the same round trip; Branch::open_results has what they answered.
  std::vector<Statement> statements;
  // `statements` are all the work of this branch: it is prepared at once, as by
  // Branch::ExecuteLast, which saves the prepare round at Commit.
  bool prepare = false;
};

struct EnlistOptions {
  // Unset: kApp; in a joined transaction kAgent, since its outcome is heard elsewhere.
  std::optional<Finisher> finisher;
  // PostgreSQL: the role that the session prepares as, if it is not the agent's own. The agent
  // checks that it may finish for that role.
  std::string role;
  // The gid of a branch of this transaction whose PREPARE failed or had an unclear end: the work is
  // done anew, as a new attempt. What became of the old one no longer matters.
  std::string again;
};

// When Commit answers.
enum class Acknowledgement : uint8_t {
  kApplied,  // Once every branch is committed, or apply_wait (5 s) has passed since the decision.
  kDecided,  // Once the decision is durable; the databases follow on their own.
};

struct CommitOptions {
  Acknowledgement ack = Acknowledgement::kApplied;
  // How long Commit is repeated, with the same gtrid, across lost replies, restarts and changes of
  // leader. When it has passed the answer is kUnknown.
  std::chrono::milliseconds retry_for{30'000};
};

}  // namespace assent::client
