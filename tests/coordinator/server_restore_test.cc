// From a node's backup to a node that goes on from it, by what assentd itself calls.
#include <gmock/gmock.h>
#include <grpcpp/server_context.h>

#include <fstream>

#include "base/crc32c.h"
#include "coordinator/server/backup_stream.h"
#include "coordinator/server/first_members.h"
#include "coordinator/server/restore_node.h"
#include "tests/coordinator/grpc_fixture.h"

namespace assent::coordinator {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class RestoreTest : public GrpcTest {
 protected:
  RestoreTest() { options_.restore = root_ + "/b.backup"; }

  std::string Backup() {
    grpc::ClientContext context;
    auto reader = admin_->Backup(&context, {});
    std::string bytes;
    v1::BackupChunk chunk;
    while (reader->Read(&chunk)) bytes += chunk.data();
    const grpc::Status status = reader->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return bytes;
  }
  // A backup with one commit in it, in the file; the node is gone.
  void Save() {
    Bootstrap();
    Start();
    {
      auto agent = Connect();
      committed_ = CommitOne(*agent);
    }
    while (GetStatus().unfinished_transactions() > 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    Write(Backup());
    server_.reset();
    options_.data_dir = root_ + "/restored";
  }
  void Write(const std::string& bytes) {
    bytes_ = bytes;
    std::ofstream(options_.restore, std::ios::binary) << bytes;
  }
  v1::GetStatusReply GetStatus() {
    v1::GetStatusReply reply;
    grpc::ClientContext context;
    EXPECT_TRUE(admin_->GetStatus(&context, {}, &reply).ok());
    return reply;
  }
  v1::Outcome OutcomeOf(const std::string& gtrid) {
    v1::GetRequest request;
    request.set_gtrid(gtrid);
    v1::GetReply reply;
    grpc::ClientContext context;
    const grpc::Status status = client_->Get(&context, request, &reply);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return reply.transaction().outcome();
  }
  void ExpectRefused(Code code, const std::string& message) {
    const Status s = RestoreNode(options_).status();
    EXPECT_EQ(s.code(), code) << s.ToString();
    EXPECT_THAT(s.message(), HasSubstr(message));
    EXPECT_FALSE(std::filesystem::exists(options_.data_dir)) << "it has made something";
  }

  std::string bytes_;
  std::string committed_;
};

TEST_F(RestoreTest, ARestoredNodeKnowsWhatWasDecidedAndIsOfANewIncarnation) {
  Save();
  BackupReader reader;
  ASSERT_TRUE(reader.Feed(bytes_).ok() && reader.Finish().ok());
  const BackupHeader& header = reader.header();
  EXPECT_EQ(header.cluster, "bank");
  EXPECT_EQ(header.decisions, 1u);
  EXPECT_EQ(header.unfinished, 0u);
  EXPECT_EQ(header.taken.size(), std::string("2026-11-26T19:10:00Z").size());

  auto restored = RestoreNode(options_);
  ASSERT_TRUE(restored.ok()) << restored.status().ToString();
  EXPECT_EQ(restored->backup, header);
  EXPECT_NE(restored->incarnation, header.group_incarnation);
  Start();
  const v1::GetStatusReply status = GetStatus();
  EXPECT_EQ(status.group_incarnation(), restored->incarnation);
  EXPECT_EQ(status.cluster_uuid(), header.cluster_uuid);
  EXPECT_EQ(OutcomeOf(committed_), v1::OUTCOME_COMMITTED);
  auto agent = Connect();
  const std::string fresh = CommitOne(*agent);
  EXPECT_EQ(ParseGtrid(fresh)->incarnation, restored->incarnation);
  server_.reset();

  // A start with --restore is no start: the directory is somebody's.
  EXPECT_THAT(RestoreNode(options_).status().message(),
              AllOf(HasSubstr(options_.data_dir), HasSubstr("start that node without")));
  Start();
  EXPECT_EQ(OutcomeOf(fresh), v1::OUTCOME_COMMITTED);

  // Its own backup goes on, with both.
  Write(Backup());
  server_.reset();
  options_.data_dir = root_ + "/again";
  auto again = RestoreNode(options_);
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ(again->backup.decisions, 2u);
  Start();
  EXPECT_EQ(OutcomeOf(committed_), v1::OUTCOME_COMMITTED);
  EXPECT_EQ(OutcomeOf(fresh), v1::OUTCOME_COMMITTED);
}

TEST_F(RestoreTest, TwoRestoresOfOneBackupAreTwoGroups) {
  Save();
  auto first = RestoreNode(options_);
  options_.data_dir = root_ + "/second";
  auto second = RestoreNode(options_);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_NE(first->incarnation, second->incarnation);
  EXPECT_NE(first->incarnation, first->backup.group_incarnation);
}

TEST_F(RestoreTest, TheConfigMayNameTheIncarnationOnceItIsKnown) {
  Save();
  auto restored = RestoreNode(options_);
  ASSERT_TRUE(restored.ok());
  options_.group_incarnation = "5";
  auto wrong = Server::Start(options_, [](const Status&) {});
  EXPECT_THAT(wrong.status().message(), HasSubstr("belongs to group incarnation"));
  options_.group_incarnation = std::to_string(restored->incarnation);
  Start();
}

TEST_F(RestoreTest, ABackupThatDoesNotFitIsRefusedAndNothingIsMade) {
  Save();
  options_.cluster = "shop";
  ExpectRefused(Code::kFailedPrecondition, "is of cluster bank, this node is configured as shop");
  options_.cluster = "bank";
  options_.cluster_uuid = "3f0c2f4e-7a51-4d0b-9d7e-1c2b3a495867";
  ExpectRefused(Code::kFailedPrecondition, "is of the cluster of uuid");
  options_.cluster_uuid = "";

  const std::string good = bytes_;
  Write(good.substr(0, good.size() - 20));
  ExpectRefused(Code::kDataLoss, "is cut short");
  std::string damaged = good;
  damaged[good.size() - 30] ^= 1;
  Write(damaged);
  ExpectRefused(Code::kDataLoss, "is damaged");
  std::string newer = good;
  newer.replace(newer.find("format_version=1"), 16, "format_version=2");
  Write(newer);
  ExpectRefused(Code::kFailedPrecondition, "is of format 2");
  Write("anything");
  ExpectRefused(Code::kDataLoss, "is no backup of Assent");
  // A right checksum over what this version does not know, and over the state of another group.
  auto with = [](BackupHeader header, const std::string& state) {
    header.state_bytes = state.size();
    const std::string bytes = EncodeBackupHeader(header) + state;
    return bytes + EncodeBackupEnd(Crc32c(bytes));
  };
  Write(with({.cluster = "bank"}, "\xfa\x3f\x01x"));
  ExpectRefused(Code::kFailedPrecondition, "was written by a newer one");
  Write(with({.cluster = "bank"}, ""));
  ExpectRefused(Code::kDataLoss, "its state is not of the group that its header names");
  std::filesystem::remove(options_.restore);
  ExpectRefused(Code::kNotFound, options_.restore);
}

TEST_F(RestoreTest, ADirectoryThatIsNotEmptyIsLeftAlone) {
  Save();
  std::filesystem::create_directory(options_.data_dir);
  std::ofstream(options_.data_dir + "/precious") << "letters";
  const Status s = RestoreNode(options_).status();
  EXPECT_EQ(s.code(), Code::kFailedPrecondition);
  EXPECT_THAT(s.message(), AllOf(HasSubstr(options_.data_dir), HasSubstr("precious"),
                                 HasSubstr("delete the directory and repeat it")));
}

TEST_F(RestoreTest, ItExcludesOtherFirstStarts) {
  for (bool Options::*other : {&Options::bootstrap, &Options::join}) {
    Options both = options_;
    both.peer_listen = "127.0.0.1:7401";
    both.cluster_uuid = "3f0c2f4e-7a51-4d0b-9d7e-1c2b3a495867";
    EXPECT_THAT(CheckGroupOptions(both), testing::IsEmpty());
    both.*other = true;
    EXPECT_THAT(CheckGroupOptions(both),
                testing::ElementsAre(HasSubstr("bootstrap, join, restore: give one of them")));
  }
  Options odd = options_;
  odd.group_incarnation = "77x";
  EXPECT_THAT(CheckGroupOptions(odd), testing::ElementsAre(HasSubstr("'77x' is no number")));
  odd.group_incarnation = "77";
  EXPECT_THAT(CheckGroupOptions(odd), testing::ElementsAre(HasSubstr("the group before")));
}

TEST(BackupSlotTest, OneAtATime) {
  grpc::CallbackServerContext first;
  grpc::CallbackServerContext second;
  BackupSlot slot;
  EXPECT_TRUE(slot.Take(first));
  EXPECT_FALSE(slot.Take(second));
  slot.Release();
  EXPECT_TRUE(slot.Take(second));
}

}  // namespace
}  // namespace assent::coordinator
