// The pure parts of adapters/postgres: tables and texts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "adapters/postgres/classify.h"
#include "adapters/postgres/connection.h"
#include "adapters/postgres/cursor.h"
#include "adapters/postgres/evidence.h"
#include "adapters/postgres/statement.h"

namespace assent::adapters::postgres {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST(PostgresStatement, TransactionControlIsRefused) {
  for (const char* sql : {
           "COMMIT",
           "commit work",
           "  \n\tCommit;",
           ";COMMIT",
           "; ; commit",
           "-- a comment\nCOMMIT",
           "--\r\nCOMMIT",
           "/* one /* nested */ still */ROLLBACK",
           "/**/END",
           "ABORT",
           "BEGIN",
           "START TRANSACTION",
           "ROLLBACK",
           "ROLLBACK WORK",
           "ROLLBACK PREPARED 'x'",
           "COMMIT PREPARED 'x'",
           "COMMIT AND CHAIN",
           "PREPARE TRANSACTION 'x'",
           "prepare/* */transaction 'x'",
           "COPY t FROM STDIN",
       }) {
    EXPECT_THAT(WhyRefused(sql), Not(IsEmpty())) << sql;
  }
}

TEST(PostgresStatement, WorkIsNotRefused) {
  for (const char* sql : {
           "SELECT 1",
           "(SELECT 1)",
           "INSERT INTO commits VALUES (1)",
           "committed",
           "SAVEPOINT a",
           "RELEASE a",
           "ROLLBACK TO a",
           "ROLLBACK TO SAVEPOINT a",
           "ROLLBACK WORK TO a",
           "ROLLBACK TRANSACTION TO SAVEPOINT a",
           "PREPARE q AS SELECT 1",
           "SELECT 'COMMIT'",
           "-- COMMIT\nSELECT 1",
           "/* COMMIT */ SELECT 1",
           "\"COMMIT\"",
           "",
           "/* never closed",
           "-- never ended",
       }) {
    EXPECT_THAT(WhyRefused(sql), IsEmpty()) << sql;
  }
}

TEST(PostgresStatement, LeadingWords) {
  EXPECT_THAT(LeadingWords("/* x */ (select a", 2), ElementsAre("SELECT", "A"));
  EXPECT_THAT(LeadingWords("select 'x' y", 3), ElementsAre("SELECT"));
  EXPECT_THAT(LeadingWords("", 3), IsEmpty());
}

TEST(PostgresEvidence, GoldenVector) {
  XidEvidence evidence{.xid = 21474837230,
                       .identity = {.system = "7710414782058589342", .database = "16384"},
                       .timeline = 3};
  EXPECT_EQ(ToString(evidence), "xid=21474837230 sys=7710414782058589342 db=16384 tli=3");
  EXPECT_EQ(ParseEvidence(ToString(evidence)), evidence);
}

TEST(PostgresEvidence, OtherTextsAreNotEvidence) {
  for (const char* text :
       {"", "xid=1", "xid=1 sys=2 db=3", "xid= sys=2 db=3 tli=1", "xid=1 sys=2 db=3 tli=1 ",
        "xid=-1 sys=2 db=3 tli=1", "xid=99999999999999999999 sys=2 db=3 tli=1",
        "xid=1 sys=2 db=3 tli=4294967296", "uuid=5", "sys=2 db=3 tli=1 xid=1", "xid=1' sys=2"}) {
    EXPECT_FALSE(ParseEvidence(text).has_value()) << text;
  }
}

TEST(PostgresEvidence, XidsAreWidenedAcrossWraparound) {
  struct Case {
    const char* why;
    uint32_t xid;
    uint64_t next_xid;
    uint64_t wide;
  };
  const Case cases[] = {
      {"the first epoch", 700, 710, 700},
      {"a later epoch", 700, (5ull << 32) + 710, (5ull << 32) + 700},
      {"prepared before the counter wrapped around", 0xfffffff0, (5ull << 32) + 3,
       (4ull << 32) + 0xfffffff0},
      {"assigned after the next xid was read", 715, (5ull << 32) + 710, (5ull << 32) + 715},
      {"the same, across the wrap", 2, (5ull << 32) - 1, (5ull << 32) + 2},
      {"nearly 2^31 old", 0x80000003, 7ull << 32, (6ull << 32) + 0x80000003},
  };
  for (const Case& c : cases) EXPECT_EQ(WidenXid(c.xid, c.next_xid), c.wide) << c.why;
}

TEST(PostgresStatement, WhatACursorTakes) {
  struct Case {
    const char* sql;
    CursorFit fit;
  };
  const Case cases[] = {
      {"SELECT 1", CursorFit::kYes},
      {"/* ; */ select 1", CursorFit::kNo},  // Too rare to look closer.
      {"-- why\n(SELECT 1) UNION SELECT 2", CursorFit::kYes},
      {"SELECT a FROM t FOR UPDATE", CursorFit::kYes},
      {"SELECT intodate FROM t", CursorFit::kYes},
      {"VALUES (1)", CursorFit::kYes},
      {"TABLE t", CursorFit::kYes},
      {"WITH x AS (SELECT 1) SELECT * FROM x", CursorFit::kYes},
      {"WITH x AS (SELECT updated FROM t) SELECT * FROM x", CursorFit::kYes},
      {"WITH x AS (Delete FROM t RETURNING a) SELECT * FROM x", CursorFit::kPerhaps},
      {"WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", CursorFit::kPerhaps},
      {"WITH x AS (SELECT 'merge') SELECT * FROM x", CursorFit::kPerhaps},
      {"SELECT 1 INTO t", CursorFit::kPerhaps},
      {"; SELECT 1", CursorFit::kNo},
      {"INSERT INTO t VALUES (1) RETURNING a", CursorFit::kNo},
      {"SHOW all", CursorFit::kNo},
      {"EXPLAIN SELECT 1", CursorFit::kNo},
      {"FETCH ALL FROM c", CursorFit::kNo},
      {"", CursorFit::kNo},
  };
  for (const Case& c : cases) EXPECT_EQ(FitForCursor(c.sql), c.fit) << c.sql;
}

TEST(PostgresCursor, BatchesHaveTheirBytesAndNotMore) {
  struct Case {
    const char* why;
    size_t rows, row_bytes_max, next;
  };
  const Case cases[] = {
      {"small rows: more, but not at once", kFirstBatchRows, 10, 8 * kFirstBatchRows},
      {"up to the most", 1000, 10, kBatchRowsMax},
      {"as many as fit", 500, 1024, kBatchBytes / 1024},
      {"fewer when rows have grown", 1000, kBatchBytes / 3, 3},
      {"never none", 3, 100 * kBatchBytes, 1},
      {"more again", 1, 1, 8},
      {"rows without bytes", 8, 0, 64},
  };
  for (const Case& c : cases) EXPECT_EQ(NextBatchRows(c.rows, c.row_bytes_max), c.next) << c.why;
}

TEST(PostgresClassify, Prepare) {
  EXPECT_EQ(CauseOfPrepare("0A000"), Cause::kNotPreparable);
  EXPECT_EQ(CauseOfPrepare("55000"), Cause::kConfiguration);
  EXPECT_EQ(CauseOfPrepare("53200"), Cause::kPreparedLimit);
  EXPECT_EQ(CauseOfPrepare("42710"), Cause::kDuplicateGid);
  EXPECT_EQ(CauseOfPrepare("25P02"), Cause::kTransactionFailed);
  EXPECT_EQ(CauseOfPrepare("40001"), Cause::kSerialization);
  EXPECT_EQ(CauseOfPrepare("57P01"), Cause::kConnectionLost);
  EXPECT_EQ(CauseOfPrepare("23503"), Cause::kStatementFailed);
}

TEST(PostgresClassify, Finish) {
  EXPECT_EQ(ReplyOfFinish("42704"), FinishReply::kAbsent);
  EXPECT_EQ(ReplyOfFinish("55000"), FinishReply::kAskAgain);
  EXPECT_EQ(ReplyOfFinish("42501"), FinishReply::kRefused);
  EXPECT_EQ(ReplyOfFinish("0A000"), FinishReply::kRefused);
  EXPECT_EQ(ReplyOfFinish("25006"), FinishReply::kReadOnlyServer);
  EXPECT_EQ(ReplyOfFinish("25001"), FinishReply::kUncleanSession);
  EXPECT_EQ(ReplyOfFinish("53300"), FinishReply::kAskAgain);
  EXPECT_EQ(ReplyOfFinish("XX000"), FinishReply::kAskAgain) << "the unforeseen is asked again";
}

TEST(PostgresClassify, Connect) {
  EXPECT_EQ(CauseOfConnect("FATAL:  password authentication failed for user \"app\""),
            Cause::kPermission);
  EXPECT_EQ(CauseOfConnect("FATAL:  role \"app\" does not exist"), Cause::kPermission);
  EXPECT_EQ(CauseOfConnect("FATAL:  database \"bank\" does not exist"), Cause::kConfiguration);
  EXPECT_EQ(CauseOfConnect("server does not support SSL, but SSL was required"),
            Cause::kConfiguration);
  EXPECT_EQ(CauseOfConnect("SSL error: certificate verify failed"), Cause::kConfiguration);
  EXPECT_EQ(CauseOfConnect("FATAL:  sorry, too many clients already"), Cause::kUnavailable);
  EXPECT_EQ(CauseOfConnect("FATAL:  the database system is starting up"), Cause::kUnavailable);
  EXPECT_EQ(CauseOfConnect("Connection refused"), Cause::kUnavailable);
}

TEST(PostgresConnectionText, QuotesWhatPeopleChoose) {
  ConnectOptions options{
      .host = "db", .database = "my bank", .user = "o'neill", .password = "a\\b' host=evil"};
  std::string text = ConnectionText(options, Purpose::kWork);
  EXPECT_THAT(text, HasSubstr("dbname='my bank'"));
  EXPECT_THAT(text, HasSubstr("user='o\\'neill'"));
  EXPECT_THAT(text, HasSubstr("password='a\\\\b\\' host=evil'"));
  EXPECT_THAT(text, HasSubstr("port=5432"));
  EXPECT_THAT(text, HasSubstr("sslmode=prefer"));
}

TEST(PostgresConnectionText, ACaFileMeansVerification) {
  ConnectOptions options{.host = "db", .tls_ca_file = "/etc/ca.pem"};
  EXPECT_THAT(ConnectionText(options, Purpose::kFinish),
              HasSubstr("sslmode=verify-full sslrootcert='/etc/ca.pem'"));
}

TEST(PostgresConnectionText, EachPurposeHasItsOwnLimit) {
  ConnectOptions options{.host = "db",
                         .statement_timeout = std::chrono::milliseconds(17),
                         .finish_timeout = std::chrono::milliseconds(23)};
  EXPECT_THAT(ConnectionText(options, Purpose::kWork), HasSubstr("statement_timeout=17"));
  EXPECT_THAT(ConnectionText(options, Purpose::kFinish), HasSubstr("statement_timeout=23"));
  // Also of work without any limit: its host may vanish without a word.
  for (Purpose purpose : {Purpose::kWork, Purpose::kFinish}) {
    EXPECT_THAT(ConnectionText(options, purpose), HasSubstr("tcp_user_timeout=23"));
    EXPECT_THAT(ConnectionText(options, purpose), HasSubstr("keepalives_idle="));
  }
}

}  // namespace
}  // namespace assent::adapters::postgres
