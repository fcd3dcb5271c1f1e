#include "adapters/mysql/errors.h"

#include <utility>

namespace assent::adapters::mysql {

std::string CodeOf(const SqlError& error) {
  if (error.number == 0) return "";
  return std::to_string(error.number) + "/" + error.state;
}

std::string TextOf(const SqlError& error) {
  if (error.number == 0) return error.message;
  return error.message + " (" + CodeOf(error) + ")";
}

bool MeansConnectionLost(const SqlError& error) {
  switch (error.number) {
    case 1053:  // Server shutdown in progress.
    case 1158:  // Network read error, and its kin up to 1161.
    case 1159:
    case 1160:
    case 1161:
    case 1184:  // Aborted connection.
    case 1927:  // MariaDB: connection was killed.
    case 2002:  // No connection through the socket.
    case 2003:  // No connection to the host.
    case 2005:  // Unknown host.
    case 2006:  // Server has gone away.
    case 2012:  // Error in the handshake.
    case 2013:  // Lost during a query; a time-out of ours.
    case 2014:  // Commands out of sync: whose answer comes next can't be told.
    case 2026:  // TLS failed.
    case 2027:  // Malformed packet.
    case 2055:  // Lost, with a system error.
    case 3169:  // MySQL: session was killed.
    case 4031:  // MySQL: disconnected for inactivity.
      return true;
  }
  return false;
}

bool EndsBranch(const SqlError& error, bool rollback_on_timeout) {
  switch (error.number) {
    case 1020:  // Row changed since the snapshot, under innodb_snapshot_isolation.
    case 1206:  // No room for more locks.
    case 1213:  // Deadlock.
    case 1402:  // XA_RBROLLBACK.
    case 1613:  // XA_RBTIMEOUT.
    case 1614:  // XA_RBDEADLOCK.
      return true;
    case 1205:  // Lock wait time-out.
      return rollback_on_timeout;
  }
  return false;
}

Cause CauseOf(const SqlError& error) {
  switch (error.number) {
    case 1213:
    case 1614:
      return Cause::kDeadlock;
    case 1020:
    case 3101:  // MySQL group replication: conflicts with a concurrent transaction.
      return Cause::kSerialization;
    case 1205:
    case 1613:
    case 3572:  // MySQL: NOWAIT.
      return Cause::kLockTimeout;
    case 1402:
      return Cause::kTransactionFailed;
    case 1290:  // --read-only.
    case 1792:  // READ ONLY transaction.
    case 1836:  // Read-only mode.
      return Cause::kReadOnlyViolation;
    case 4091:  // MySQL: temporary table in an XA transaction.
      return Cause::kNotPreparable;
    case 1440:  // XAER_DUPID.
      return Cause::kDuplicateGid;
    case 1044:  // Access denied: to a database, ...
    case 1045:  // ... to a user,
    case 1129:  // to a host that is blocked,
    case 1130:  // to a host that is not allowed,
    case 1142:  // to a table,
    case 1143:  // to a column,
    case 1227:  // to an operation,
    case 1370:  // to a routine,
    case kErXaRecoverPrivilege:
    case 1698:  // to a user without password,
    case 1862:  // to a user whose password expired,
    case 3118:  // to a locked account, MySQL,
    case 4151:  // and MariaDB.
      return Cause::kPermission;
    case 1040:  // Too many connections,
    case 1203:  // of one user,
    case 1226:  // in an hour.
      return Cause::kUnavailable;
    case 1049:  // Unknown database.
    case 1251:  // Authentication protocols that don't match.
    case 2026:  // TLS failed.
    case 2059:  // Authentication plugin can't be loaded.
      return Cause::kConfiguration;
    case 1397:  // XAER_NOTA, XAER_INVAL, XAER_RMFAIL, XAER_OUTSIDE: a verb in the wrong state, or a
    case 1398:  // statement that tried to end the branch.
    case 1399:
    case 1400:
    case 1568:  // Transaction characteristics can't be changed now.
      return Cause::kMisuse;
  }
  if (MeansConnectionLost(error)) return Cause::kConnectionLost;
  return Cause::kStatementFailed;
}

WorkError ToWorkError(const SqlError& error, std::string what) {
  return WorkError{.cause = CauseOf(error),
                   .code = CodeOf(error),
                   .detail = std::move(what) + ": " + error.message,
                   .session_lost = MeansConnectionLost(error)};
}

std::optional<FinishAnswer> ClassifyFinish(Decision decision, const SqlError& error) {
  FinishAnswer answer{.finish = Finish::kTransient, .code = CodeOf(error), .detail = error.message};
  switch (error.number) {
    case kErXaNota:
      return std::nullopt;
    case 1402:  // XA_RBROLLBACK, XA_RBTIMEOUT, XA_RBDEADLOCK: the server has rolled it back. The
    case 1613:  // branch voted yes, and a read-only vote has no phase two, so for COMMIT that is a
    case 1614:  // heuristic outcome.
      answer.finish = decision == Decision::kAbort ? Finish::kDone : Finish::kHeuristicRollback;
      return answer;
    case 1044:
    case 1045:
    case 1142:
    case 1143:
    case 1227:
    case 1290:
    case 1836:
    case kErXaRecoverPrivilege:
      answer.finish = Finish::kRefused;
      answer.no_effect = true;
      return answer;
    case 1399:  // The session is inside another transaction: it must not be used again.
    case 1400:
      answer.session_lost = true;
      answer.no_effect = true;
      return answer;
  }
  // All else, foreseen or not, decides nothing: ask again. An error that nobody can name leaves the
  // session in a state that nobody knows.
  answer.session_lost = MeansConnectionLost(error) || error.number == 0;
  return answer;
}

}  // namespace assent::adapters::mysql
