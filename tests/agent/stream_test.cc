// ExecuteStream: results of any size, in the memory of a few parts.
#include <gmock/gmock.h>

#include "participant-agent/server/row_stream.h"
#include "participant-agent/server/work_session.h"
#include "tests/agent/agent_fixture.h"

namespace assent::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr uint64_t kEndless = 1'000'000'000'000;

class StreamTest : public AgentFixture {
 protected:
  // One call, and what has been read of it.
  struct Stream {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::ExecutePart>> reader;
    std::vector<std::string> columns;
    std::vector<int64_t> numbers;  // The first value of each row.
    size_t parts = 0;
    v1::ExecutePart last;  // With its rows.

    bool ReadPart() {
      if (!reader->Read(&last)) return false;
      ++parts;
      EXPECT_LE(last.ByteSizeLong(), 2 * kPartBytes);
      for (const auto& column : last.columns()) columns.push_back(column.name());
      for (const auto& row : last.rows()) numbers.push_back(row.values(0).integer());
      return true;
    }
    grpc::Status ReadAll() {
      while (ReadPart()) {
      }
      return reader->Finish();
    }
  };

  std::unique_ptr<Stream> Start(const std::string& gid, uint64_t seq,
                                const std::vector<std::string>& sql, bool keep_on_error = false,
                                bool prepare = false) {
    v1::ExecuteRequest request;
    request.set_gid(gid);
    request.set_seq(seq);
    request.set_prepare(prepare);
    AddStatements(sql, keep_on_error, request.mutable_statements());
    auto stream = std::make_unique<Stream>();
    stream->context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    stream->reader = stub_->ExecuteStream(&stream->context, request);
    return stream;
  }
  // Until the database waits for the reader.
  void WaitStalled() {
    uint64_t before = 0;
    int same = 0;
    EXPECT_TRUE(Eventually([&] {
      same = std::exchange(before, database_.rows_given()) == before ? same + 1 : 0;
      return before > 0 && same == 40;
    }));
  }
  static std::string Endless() { return "stream " + std::to_string(kEndless) + " 1000"; }
};

TEST_F(StreamTest, RowsComeInPartsAndInOrder) {
  StartServing();
  const std::string gid = Opened({});
  auto stream = Start(gid, 1, {"stream 2000 1000"});
  EXPECT_TRUE(stream->ReadAll().ok());
  EXPECT_THAT(stream->columns, ElementsAre("n", "text"));
  ASSERT_EQ(stream->numbers.size(), 2000u);
  for (size_t i = 0; i < stream->numbers.size(); ++i) {
    ASSERT_EQ(stream->numbers[i], static_cast<int64_t>(i));
  }
  EXPECT_GE(stream->parts, 2000u * 1000 / (2 * kPartBytes));
  EXPECT_TRUE(stream->last.end());
  EXPECT_EQ(stream->last.rows_affected(), 2000u);
  EXPECT_FALSE(stream->last.has_error());
}

TEST_F(StreamTest, AStreamIsWorkLikeAnyOther) {
  StartServing();
  const std::string gid = Opened({"write a"});
  EXPECT_TRUE(Start(gid, 2, {"stream 3 10"})->ReadAll().ok());
  v1::ExecuteReply reply;
  ASSERT_TRUE(Execute(gid, 3, {"write b"}, &reply).ok());
  coordinator_->Prepare(gid);
  EXPECT_EQ(coordinator_->NextVote()->vote(), v1::BranchVote::YES);
  coordinator_->Finish(gid, true, "fake=1");
  EXPECT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_COMMITTED);
  EXPECT_THAT(database_.Effects(), ElementsAre("a", "b"));
}

// An adapter that can't stream is asked as Execute.
TEST_F(StreamTest, WhatComesAtOnceIsStreamedToo) {
  StartServing();
  const std::string gid = Opened({});
  auto select = Start(gid, 1, {"select"});
  EXPECT_TRUE(select->ReadAll().ok());
  EXPECT_THAT(select->numbers, ElementsAre(42));
  EXPECT_EQ(select->parts, 1u);
  auto write = Start(gid, 2, {"write a"});
  EXPECT_TRUE(write->ReadAll().ok());
  EXPECT_THAT(write->columns, IsEmpty());
  EXPECT_EQ(write->last.rows_affected(), 1u);
}

TEST_F(StreamTest, ASlowReaderHoldsTheDatabaseBackAndNotTheMemory) {
  StartServing();
  const std::string gid = Opened({});
  auto stream = Start(gid, 1, {"stream 100000 1000"});
  ASSERT_TRUE(stream->ReadPart());
  WaitStalled();
  // Beside our three parts there is what gRPC and the socket take in: far below the 100 MB of all.
  EXPECT_LT(database_.rows_given(), 30'000u);
  EXPECT_TRUE(stream->ReadAll().ok());
  EXPECT_EQ(stream->numbers.size(), 100'000u);
}

TEST_F(StreamTest, AnAbortDoesNotWaitForTheReader) {
  StartServing();
  const std::string gid = Opened({"write a"});
  auto stream = Start(gid, 2, {Endless()});
  ASSERT_TRUE(stream->ReadPart());
  WaitStalled();
  coordinator_->Finish(gid, false);
  EXPECT_EQ(coordinator_->NextFinished()->state(), v1::BRANCH_STATE_ROLLED_BACK);
  EXPECT_TRUE(stream->ReadAll().ok());
  EXPECT_TRUE(stream->last.end());
  EXPECT_TRUE(stream->last.error().branch_doomed());
}

TEST_F(StreamTest, NorDoesTheDeadline) {
  StartServing();
  coordinator_->SetRemaining(300);
  const std::string gid = Opened({"write a"});
  auto stream = Start(gid, 2, {Endless()});
  EXPECT_EQ(coordinator_->NextLost()->gid(), gid);
  EXPECT_TRUE(stream->ReadAll().ok());
  EXPECT_TRUE(stream->last.error().branch_doomed());
}

// Nobody can have the rows now, and the locks are held for nothing.
TEST_F(StreamTest, AReaderThatLeavesDoomsTheBranch) {
  StartServing();
  const std::string gid = Opened({"write a"});
  auto stream = Start(gid, 2, {Endless()});
  ASSERT_TRUE(stream->ReadPart());
  stream->context.TryCancel();
  auto lost = coordinator_->NextLost();
  ASSERT_TRUE(lost.has_value());
  EXPECT_EQ(lost->gid(), gid);
  EXPECT_THAT(lost->message(), HasSubstr("reader"));
  v1::ExecuteReply reply;
  EXPECT_EQ(DetailOf(Execute(gid, 3, {"write b"}, &reply)).reason(), v1::REASON_BRANCH_LOST);
}

TEST_F(StreamTest, AFailedStatementStandsInTheLastPart) {
  StartServing();
  const std::string gid = Opened({"write a"});
  auto kept = Start(gid, 2, {"fail"}, true);
  EXPECT_TRUE(kept->ReadAll().ok());
  EXPECT_TRUE(kept->last.end());
  EXPECT_EQ(kept->last.error().database_code(), "42601");
  EXPECT_FALSE(kept->last.error().branch_doomed());
  auto doomed = Start(gid, 3, {"fail"});
  EXPECT_TRUE(doomed->ReadAll().ok());
  EXPECT_TRUE(doomed->last.error().branch_doomed());
  EXPECT_EQ(coordinator_->NextLost()->gid(), gid);
}

TEST_F(StreamTest, ALostSessionStandsInTheLastPart) {
  StartServing();
  const std::string gid = Opened({"write a"});
  auto stream = Start(gid, 2, {"lose"}, true);
  EXPECT_TRUE(stream->ReadAll().ok());
  EXPECT_EQ(stream->last.error().cause(), v1::BRANCH_CAUSE_CONNECTION_LOST);
  EXPECT_TRUE(stream->last.error().branch_doomed());
  EXPECT_EQ(coordinator_->NextLost()->gid(), gid);
}

TEST_F(StreamTest, ARowBeyondTheLimitIsRefusedByName) {
  StartServing();
  const std::string gid = Opened({});
  auto stream = Start(gid, 1, {"stream 1 " + std::to_string(kReplyBytesMax + 1)});
  EXPECT_TRUE(stream->ReadAll().ok());
  EXPECT_EQ(stream->last.error().database_code(), "OUT_OF_RANGE");
  EXPECT_THAT(stream->last.error().message(), HasSubstr(std::to_string(kReplyBytesMax)));
}

// What is streamed is not kept; and a statement must not run twice.
TEST_F(StreamTest, ARepeatIsRefusedWhileItRunsAndAfter) {
  StartServing();
  const std::string gid = Opened({});
  auto stream = Start(gid, 1, {"block"});
  EXPECT_TRUE(Eventually([&] { return database_.blocked() == 1; }));
  auto refused = [&](uint64_t seq) {
    const grpc::Status streamed = Start(gid, seq, {"select"})->ReadAll();
    v1::ExecuteReply reply;
    const grpc::Status executed = Execute(gid, seq, {"select"}, &reply);
    EXPECT_EQ(streamed.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
    EXPECT_EQ(DetailOf(streamed).reason(), v1::REASON_SEQUENCE_GAP);
    EXPECT_EQ(executed.error_message(), streamed.error_message());
    return streamed.error_message();
  };
  EXPECT_THAT(refused(1), HasSubstr("not repeated"));
  EXPECT_THAT(refused(2), HasSubstr("still runs"));
  EXPECT_THAT(refused(3), HasSubstr("neither"));
  database_.LetGo();
  EXPECT_TRUE(stream->ReadAll().ok());
  EXPECT_THAT(refused(1), HasSubstr("not repeated"));
  v1::ExecuteReply reply;
  ASSERT_TRUE(Execute(gid, 2, {"select"}, &reply).ok());
  EXPECT_THAT(Start(gid, 2, {"select"})->ReadAll().error_message(), HasSubstr("not repeated"));
  ASSERT_TRUE(Execute(gid, 2, {"select"}, &reply).ok());  // An Execute is.
}

TEST_F(StreamTest, BadStreamsAreRefusedByName) {
  StartServing();
  const std::string gid = Opened({});
  auto why = [&](std::unique_ptr<Stream> stream) {
    const grpc::Status status = stream->ReadAll();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    return status.error_message();
  };
  EXPECT_THAT(why(Start("nonsense", 1, {"select"})), HasSubstr("gid"));
  EXPECT_THAT(why(Start(gid, 0, {"select"})), HasSubstr("seq"));
  EXPECT_THAT(why(Start(gid, 1, {})), HasSubstr("0 statements"));
  EXPECT_THAT(why(Start(gid, 1, {"select", "select"})), HasSubstr("2 statements"));
  EXPECT_THAT(why(Start(gid, 1, {"select"}, false, true)), HasSubstr("prepare"));
  EXPECT_EQ(DetailOf(Start(ToString(OtherGid()), 1, {"select"})->ReadAll()).reason(),
            v1::REASON_BRANCH_LOST);
}

TEST_F(StreamTest, AnEarlyPreparedBranchStreamsNothing) {
  StartServing();
  const std::string gid = Opened({"write a"});
  v1::ExecuteReply reply;
  ASSERT_TRUE(Execute(gid, 2, {}, &reply, false, true).ok());
  EXPECT_EQ(DetailOf(Start(gid, 3, {"select"})->ReadAll()).reason(), v1::REASON_NOT_ACTIVE);
}

TEST_F(StreamTest, StoppingDoesNotWaitForTheReader) {
  StartServing();
  const std::string gid = Opened({"write a"});
  auto stream = Start(gid, 2, {Endless()});
  ASSERT_TRUE(stream->ReadPart());
  WaitStalled();
  agent_.reset();
  EXPECT_FALSE(stream->ReadAll().ok());
  EXPECT_FALSE(stream->last.end());
}

}  // namespace
}  // namespace assent::agent
