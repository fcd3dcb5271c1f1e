// The XA verbs, for any database: what an agent asks of a resource manager (X/Open 1991, "The XA
// Specification"), and the classes of answers it gets. Answers are classified here, never raw:
// callers react to enums, and show `detail` to people.
//
// A resource is one database under one name of ours (base/ids.h). A gid is given by its parts; the
// adapter writes it in its database's form (adapters/xid.h) and reads back only gids of its own
// cluster and resource.
//
// No exception leaves an adapter. Nothing here reconnects by itself: a lost connection ends its
// session, and the caller opens another.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/ids.h"
#include "base/status.h"

namespace assent::adapters {

// ---- Values ---------------------------------------------------------------------------------

// A parameter or a result. Text is UTF-8; bytes are bytes. Decimals, dates and every other type
// travel as the database's own text form, so that nothing is rounded.
struct Bytes {
  std::string value;
  bool operator==(const Bytes&) const = default;
};
using Value = std::variant<std::monostate /* NULL */, bool, int64_t, double, std::string, Bytes>;

struct Column {
  std::string name;
  std::string type;  // The database's own name for the type; informative.
};

struct ResultSet {
  std::vector<Column> columns;  // Empty for statements that return no rows.
  std::vector<std::vector<Value>> rows;
  uint64_t rows_affected = 0;
};

// Rows and bytes of one result. More is refused with OUT_OF_RANGE and the remedy; the branch lives.
inline constexpr size_t kResultRowsMax = 10'000;
inline constexpr size_t kResultBytesMax = 4 << 20;

// ---- Errors of work ---------------------------------------------------------------------------

// Why a statement, or a prepare, did not succeed. Machine-readable; it becomes the abort cause.
enum class Cause {
  kNone,
  kStatementFailed,    // Syntax, constraint, type, ...: the statement's own fault.
  kDeadlock,           // The database chose this branch as the victim. Retry the transaction.
  kSerialization,      // Could not serialise. Retry the transaction.
  kLockTimeout,        // Waited too long for a lock. Retry the transaction.
  kTransactionFailed,  // An earlier statement failed; the branch can only roll back.
  kReadOnlyViolation,  // A write in a branch opened read-only, or on a read-only server.
  kNotPreparable,      // The database can't prepare what was done (temporary tables, NOTIFY, ...).
  kPreparedLimit,      // No slot left for prepared transactions.
  kDuplicateGid,       // The gid is in use in the database: somebody broke rule 16.3.
  kPermission,         // Missing privilege: an administrator must act.
  kConnectionLost,     // The session is gone; outcome of the verb unknown unless stated.
  kUnavailable,        // The server can't be reached, or refuses connections.
  kNotPrimary,         // A standby or read-only server answered.
  kConfiguration,      // A setting makes the verb impossible or unsafe.
  kMisuse,             // A verb in the wrong state: a bug on our side, or a statement that ended
                       // the transaction behind our back (COMMIT, implicit commit).
  // App-held branches only; the numbers between are the agent's own (participant-agent/core).
  kNotPrepared = 18,    // The database does not list the branch: PREPARE failed or never came.
  kWrongDatabase = 19,  // It is prepared in another database of the same server.
};
// "LOCK_TIMEOUT" and so on.
std::string_view CauseName(Cause cause);

// What a failed verb says. `detail` carries the database's message and code, for people.
struct WorkError {
  Cause cause = Cause::kNone;
  std::string code;  // SQLSTATE, or "errno/SQLSTATE" for MySQL and MariaDB; may be empty.
  std::string detail;
  bool session_lost = false;  // The session can't be used any more; close it.
};

// ---- Answers of finishing ----------------------------------------------------------------------

enum class Decision { kCommit, kAbort };

// The class of the answer to "commit this prepared branch" or "roll it back".
enum class Finish {
  kDone,       // Done now, or proven done by evidence before.
  kTransient,  // Ask again: connection lost, server away, busy, attached elsewhere, standby.
  kRefused,    // An administrator must act (privilege, read-only server); ask again slowly.
  kHeuristicRollback,  // COMMIT of a branch that was, provably, rolled back behind our back.
  kHeuristicCommit,    // ROLLBACK of a branch that was, provably, committed behind our back.
  kHazard,             // The branch is gone and no evidence tells how.
};
std::string_view FinishName(Finish finish);

struct FinishAnswer {
  Finish finish = Finish::kTransient;
  std::string code;
  std::string detail;  // What was asked, what came back: for logs, `show` and HEUR.
  bool session_lost = false;
  // The verb surely did nothing: it was not sent, or the server refused it. So if the branch is
  // gone later, that is not this verb's doing.
  bool no_effect = false;
};

// What the agent's journal knows about a branch before the verb is sent (evidence (3) of
// docs/protocols.md, "Heuristic outcomes").
enum class JournalWord {
  kNothing,
  kWill,  // We sent its commit, or were about to before a restart: absent means "done by us".
  kDone,
};

// ---- Work sessions ------------------------------------------------------------------------------

enum class Isolation { kDefault, kReadCommitted, kRepeatableRead, kSerializable };

struct StartOptions {
  Isolation isolation = Isolation::kDefault;
  bool read_only = false;  // Enforced by the server; the only basis for a read-only vote on M+M.
  std::optional<std::chrono::milliseconds> lock_timeout;  // At least 1 ms; MySQL rounds up to 1 s.
};

// Evidence that travels vote -> DECIDE-C -> COMMIT (docs/protocols.md, "Heuristic outcomes").
// PostgreSQL: "xid=<64-bit xid> sys=<system identifier> db=<oid> tli=<timeline>".
// MySQL: "uuid=<server_uuid>". MariaDB: "id=<identity> conn=<connection that prepared it>@<start>".
// Of app-held branches, behind that: " app=holds" or " app=finishes".
// Opaque to everybody but the adapter that made it.
using Evidence = std::string;

enum class Vote { kYes, kReadOnly, kNo };

struct PrepareAnswer {
  Vote vote = Vote::kNo;
  Evidence evidence;  // With kYes.
  WorkError error;    // With kNo. The branch is then rolled back, unless session_lost says that we
                      // don't know: if it is prepared after all, the recovery scan finds it.
};

// One statement with native placeholders (PostgreSQL $1, MySQL ?), as Execute takes it in parts.
struct Statement {
  std::string sql;
  std::vector<Value> parameters;
  bool keep_on_error = false;
};

// What is left to say of a statement whose rows have gone to a sink.
struct StatementResult {
  uint64_t rows_affected = 0;
  std::optional<WorkError> error;  // As Execute answers it; rows may have gone out before.
};

// Takes the rows of a result that is too large to be held, in order, as the database gives them. A
// call may block for as long as its reader is slow. False: nobody wants the rest.
class RowSink {
 public:
  virtual ~RowSink() = default;
  // Once, before the first row; not at all for a statement that returns no rows.
  virtual bool Columns(std::vector<Column> columns) = 0;
  virtual bool Row(std::vector<Value> values) = 0;
};

// Of the statement that `what` names: its sink took no more rows. Nobody can tell how much of it
// was carried out, and its reader lacks rows.
WorkError NotWanted(const std::string& what);

// One branch at a time on one connection. Not thread-safe: one thread at a time; calls block on the
// database. Cancel alone may be called from any thread.
//
// Life: Start -> Execute* -> (Prepare -> [FinishPrepared]) | Rollback, then Start again.
class WorkSession {
 public:
  virtual ~WorkSession() = default;  // Closes the connection. An unprepared branch rolls back.

  // Begins a branch. After an error the session is clean again, or session_lost.
  virtual std::optional<WorkError> Start(const Gid& gid, const StartOptions& options) = 0;

  // Runs one statement with native placeholders (PostgreSQL $1, MySQL ?). The adapter remembers a
  // failed statement and then votes no at Prepare whatever the database would say; `keep_on_error`
  // asks the adapter to undo just this statement (savepoint) and go on.
  // Statements that would end or nest the transaction are refused as kMisuse before they are sent,
  // where the adapter can tell, and found afterwards where it can't.
  virtual std::variant<ResultSet, WorkError> Execute(const std::string& sql,
                                                     const std::vector<Value>& parameters,
                                                     bool keep_on_error) = 0;

  // As Execute, for a result of any size: at no time is more than a small part of it held. What
  // fails within the statement stands in the result. A sink that wants no more ends it early: the
  // error is NotWanted, with keep_on_error too, and the branch can only roll back; the session then
  // is at rest again, or the error says session_lost. An error of the call itself (UNIMPLEMENTED)
  // means that nothing was sent.
  //
  // The limits of Execute hold where rows can't be had one after another: on PostgreSQL for all but
  // SELECT, VALUES, TABLE, and WITH that changes nothing; on MySQL and MariaDB for CALL and SHOW.
  // Unless overridden it is Execute for every statement, which then has been carried out whatever
  // its sink wants.
  virtual Result<StatementResult> ExecuteStreamed(const Statement& statement, RowSink& sink);

  // Ends the work and prepares the branch: kYes only if the database really lists it (PostgreSQL
  // answers PREPARE of a failed transaction with success and the tag ROLLBACK). A branch that the
  // database knows to have written nothing is ended and votes kReadOnly.
  virtual PrepareAnswer Prepare() = 0;

  // Rolls the unprepared branch back. Idempotent. false: the session is lost (and so the branch is
  // rolled back all the same).
  virtual bool Rollback() = 0;

  // Interrupts the statement that runs, from another thread. Best effort.
  virtual void Cancel() = 0;

  // Whether a prepared branch stays tied to this session (MariaDB; MySQL with detach off): then
  // FinishPrepared must end it, or the session be closed, before any other session can finish it.
  // False on PostgreSQL and detaching MySQL: after a yes this session is free for the next Start.
  virtual bool AttachedWhenPrepared() const = 0;

  // Ends the prepared branch on the session it is attached to. Only if AttachedWhenPrepared. An
  // answer with session_lost: close this session, then go on with a FinishSession.
  virtual FinishAnswer FinishPrepared(Decision decision, const Evidence& evidence,
                                      JournalWord journal) = 0;
};

// ---- Finish sessions ---------------------------------------------------------------------------

// A prepared branch as the database lists it.
struct PreparedBranch {
  Gid gid;
  Evidence evidence;                        // As far as the listing tells.
  std::optional<std::chrono::seconds> age;  // Where the database knows (PostgreSQL).
};

// A branch that an application prepares on a session of its own (docs/protocols.md 5).
struct AppHeldBranch {
  Gid gid;
  // As the server counts its sessions, decimal. Required where a prepared branch is tied to its
  // session (MariaDB; MySQL with xa_detach_on_prepare off), may be empty elsewhere. It must be the
  // session that prepares: asked for on that very session.
  std::string connection_id;
  bool finished_by_app = false;  // Its session commits it, once it has heard the decision.
  // How long ago the session was named, at least: a server that has been up for less has none of
  // that id that is meant.
  std::chrono::milliseconds age{0};
};

// A session set apart for finishing and recovery, never lent to work. Not thread-safe.
class FinishSession {
 public:
  virtual ~FinishSession() = default;

  // Each verb is idempotent. "No such gid" is a question: it is answered by listing (attached or
  // busy -> kTransient), by the identity of the server (`evidence` made elsewhere, a standby ->
  // kTransient), then by evidence, and is a kHazard only when all are silent.
  //
  // Evidence of an app-held branch changes three things:
  //  - Where the branch is tied to the application's session, that session is closed first (KILL),
  //    but only while the server lists the branch, and only if the id was given out since the
  //    server started. kRefused names the privilege that this lacks.
  //  - Where roles own branches (PostgreSQL), the verb is sent under the owner's role. kRefused has
  //    the GRANT if this user is no member of it.
  //  - Absence after Commit, if the application was to commit it, is kDone like the journal's
  //    kWill; and after Rollback, since the application may have rolled it back itself. A server
  //    that can tell (PostgreSQL) is still asked, and its word weighs more.
  virtual FinishAnswer Commit(const Gid& gid, const Evidence& evidence, JournalWord journal) = 0;
  virtual FinishAnswer Rollback(const Gid& gid, const Evidence& evidence) = 0;

  // Every prepared gid of this cluster and resource, on a server that has proved to be the primary
  // and the one configured. Others' are never touched nor returned.
  // UNAVAILABLE: can't tell now. PERMISSION_DENIED, FAILED_PRECONDITION: an administrator must act.
  virtual Result<std::vector<PreparedBranch>> Recover() = 0;

  // Looks app-held branches up, all in one listing: the votes, one for each, in order.
  //  - kYes only for what a server that has proved to be the primary and the one configured lists
  //  as
  //    prepared now, durably. Its evidence is for Commit and Rollback, whoever calls them,
  //    whenever.
  //  - kNo with kNotPrepared: not listed; the detail says which other gids of the same transaction
  //    are (a wrong gid). kWrongDatabase: listed for another database of the server. kPermission:
  //    this user could not end it; the detail has the GRANT. kMisuse: connection_id is missing, no
  //    number, or older than the server.
  // Errors as of Recover, and then nobody has voted: ask again, on another session.
  virtual Result<std::vector<PrepareAnswer>> LookUp(const std::vector<AppHeldBranch>& branches) = 0;

  // The evidence for Rollback of an app-held branch that has not voted: it only names the session,
  // so absence stays harmless. Does not ask the server; for this FinishSession, and at once.
  virtual Evidence SessionEvidence(const AppHeldBranch& branch) = 0;

  // Whether this user can finish what `role` prepares (PostgreSQL: membership). INVALID_ARGUMENT
  // with the remedy if not; UNAVAILABLE when it can't be asked. An empty role is the agent's own.
  // Databases on which anybody may finish any branch say OK to every role.
  virtual Status CheckRole(const std::string& role) = 0;
};

// ---- The resource -------------------------------------------------------------------------------

// Finding of the checks at start. An agent refuses to serve while any is fatal.
struct Finding {
  bool fatal = false;
  std::string name;    // "max_prepared_transactions"
  std::string value;   // "0"
  std::string remedy;  // "set it to 200 and restart the server"
};

struct ProbeReport {
  std::string server;         // "PostgreSQL 15.18", "MariaDB 10.11.19", "MySQL 9.7.4"
  std::string identity;       // See Identity().
  uint32_t prepared_max = 0;  // Prepared branches the server can keep; 0: no limit known.
  // A prepared branch stays tied to its session until that ends it or is gone (MariaDB; MySQL with
  // xa_detach_on_prepare off).
  bool ties_prepared = false;
  std::vector<Finding> findings;
};

struct ConnectOptions {
  std::string cluster;   // Only gids of this cluster are ours.
  std::string resource;  // Only gids of this resource are ours.
  std::string host;      // Name, address, or the directory/path of a unix socket ("/...").
  uint16_t port = 0;     // 0: the database's default.
  std::string database;
  std::string user;
  std::string password;     // From a file or the environment, never from a command line.
  std::string tls_ca_file;  // Set: TLS with verification of CA and host name, or failure.
  std::string identity;     // MariaDB: a configured identity for servers that have none.
  std::chrono::milliseconds connect_timeout{5'000};
  // 0: none. Work sessions only. Of a streamed result it limits each batch on PostgreSQL, but all
  // of it on MySQL and MariaDB, with the time that its reader takes.
  std::chrono::milliseconds statement_timeout{0};
  std::chrono::milliseconds finish_timeout{30'000};  // Finish sessions: a verb that hangs is lost.
};

// Thread-safe: sessions may be opened from any thread. Opening blocks on the network.
class ResourceManager {
 public:
  virtual ~ResourceManager() = default;

  virtual std::variant<std::unique_ptr<WorkSession>, WorkError> OpenWorkSession() = 0;
  virtual std::variant<std::unique_ptr<FinishSession>, WorkError> OpenFinishSession() = 0;

  // Names the database, the same for as long as it is the same data: PostgreSQL system_identifier
  // and database oid; MySQL server_uuid; MariaDB the configured identity.
  virtual Result<std::string> Identity() = 0;

  // The doctor's checks: durable settings, room for prepared branches, privileges, primary or not.
  // UNAVAILABLE when the server can't be reached.
  virtual Result<ProbeReport> Probe() = 0;

  // SQL by which a person inspects, commits, or rolls back this branch by hand.
  struct ManualSql {
    std::string inspect;
    std::string commit;
    std::string rollback;
  };
  virtual ManualSql HandSql(const Gid& gid) const = 0;
};

// Each adapter's maker. Neither connects: the first session or Probe does.
std::unique_ptr<ResourceManager> MakePostgres(ConnectOptions options);
std::unique_ptr<ResourceManager> MakeMysql(ConnectOptions options);  // MySQL and MariaDB.

}  // namespace assent::adapters
