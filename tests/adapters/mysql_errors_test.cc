#include "adapters/mysql/errors.h"

#include <gtest/gtest.h>

namespace assent::adapters::mysql {
namespace {

SqlError Error(int number, const char* state = "HY000") {
  return {.number = number, .state = state, .message = "text"};
}

TEST(MysqlErrors, AnswersOfFinishing) {
  struct Case {
    const char* why;
    int number;
    Finish commit;
    Finish rollback;
    bool session_lost;
  };
  const Case cases[] = {
      {"the server rolled it back", 1402, Finish::kHeuristicRollback, Finish::kDone, false},
      {"the same, by a time-out", 1613, Finish::kHeuristicRollback, Finish::kDone, false},
      {"the same, by a deadlock", 1614, Finish::kHeuristicRollback, Finish::kDone, false},
      {"read-only server", 1290, Finish::kRefused, Finish::kRefused, false},
      {"wrong password", 1045, Finish::kRefused, Finish::kRefused, false},
      {"no right on the table", 1142, Finish::kRefused, Finish::kRefused, false},
      {"missing privilege", 1227, Finish::kRefused, Finish::kRefused, false},
      {"missing XA_RECOVER_ADMIN", 1401, Finish::kRefused, Finish::kRefused, false},
      {"session in another transaction", 1399, Finish::kTransient, Finish::kTransient, true},
      {"session in a local transaction", 1400, Finish::kTransient, Finish::kTransient, true},
      {"no server at the socket", 2002, Finish::kTransient, Finish::kTransient, true},
      {"no server at the port", 2003, Finish::kTransient, Finish::kTransient, true},
      {"gone away", 2006, Finish::kTransient, Finish::kTransient, true},
      {"lost in the middle", 2013, Finish::kTransient, Finish::kTransient, true},
      {"killed", 1927, Finish::kTransient, Finish::kTransient, true},
      {"too many connections", 1040, Finish::kTransient, Finish::kTransient, false},
      {"lock wait", 1205, Finish::kTransient, Finish::kTransient, false},
      {"never heard of", 9999, Finish::kTransient, Finish::kTransient, false},
      {"the client library itself", 0, Finish::kTransient, Finish::kTransient, true},
  };
  for (const Case& c : cases) {
    auto commit = ClassifyFinish(Decision::kCommit, Error(c.number));
    auto rollback = ClassifyFinish(Decision::kAbort, Error(c.number));
    ASSERT_TRUE(commit && rollback) << c.why;
    EXPECT_EQ(commit->finish, c.commit) << c.why;
    EXPECT_EQ(rollback->finish, c.rollback) << c.why;
    EXPECT_EQ(commit->session_lost, c.session_lost) << c.why;
    EXPECT_EQ(rollback->session_lost, c.session_lost) << c.why;
  }
}

TEST(MysqlErrors, UnknownGidIsAQuestionAndNoAnswer) {
  EXPECT_FALSE(ClassifyFinish(Decision::kCommit, Error(1397, "XAE04")));
  EXPECT_FALSE(ClassifyFinish(Decision::kAbort, Error(1397, "XAE04")));
}

TEST(MysqlErrors, CausesOfFailedWork) {
  struct Case {
    int number;
    Cause cause;
    bool ends_branch;
  };
  const Case cases[] = {
      {1064, Cause::kStatementFailed, false},
      {1062, Cause::kStatementFailed, false},
      {1213, Cause::kDeadlock, true},
      {1614, Cause::kDeadlock, true},
      {1205, Cause::kLockTimeout, false},
      {3572, Cause::kLockTimeout, false},
      {1020, Cause::kSerialization, true},
      {1402, Cause::kTransactionFailed, true},
      {1792, Cause::kReadOnlyViolation, false},
      {1290, Cause::kReadOnlyViolation, false},
      {4091, Cause::kNotPreparable, false},
      {1440, Cause::kDuplicateGid, false},
      {1142, Cause::kPermission, false},
      {1040, Cause::kUnavailable, false},
      {1399, Cause::kMisuse, false},
      {2013, Cause::kConnectionLost, false},
      {1049, Cause::kConfiguration, false},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(CauseOf(Error(c.number)), c.cause) << c.number;
    EXPECT_EQ(EndsBranch(Error(c.number), false), c.ends_branch) << c.number;
  }
}

TEST(MysqlErrors, LockTimeoutEndsTheBranchOnlyWhereTheServerIsSetSo) {
  EXPECT_FALSE(EndsBranch(Error(1205), /*rollback_on_timeout=*/false));
  EXPECT_TRUE(EndsBranch(Error(1205), /*rollback_on_timeout=*/true));
}

TEST(MysqlErrors, CodeNamesNumberAndState) {
  EXPECT_EQ(CodeOf(Error(1397, "XAE04")), "1397/XAE04");
  EXPECT_EQ(CodeOf(Error(0, "")), "");
}

}  // namespace
}  // namespace assent::adapters::mysql
