// `assentctl backup` against two fake nodes, of which one leads.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "assent/v1/admin_service.grpc.pb.h"
#include "base/backup/backup_file.h"
#include "base/crc32c.h"
#include "base/rpc/status.h"
#include "ctl/ctl.h"
#include "tests/support/temp_dir.h"

namespace assent::ctl {
namespace {

using nlohmann::json;
using test_support::ReadFile;
using testing::AllOf;
using testing::HasSubstr;

std::string SomeBackup() {
  const std::string state(700'000, 's');
  const std::string bytes =
      EncodeBackupHeader({.program = "0.1.0",
                          .cluster = "bank",
                          .cluster_uuid = "3f0c2f4e-7a51-4d0b-9d7e-1c2b3a495867",
                          .group_incarnation = 77,
                          .term = 7,
                          .index = 1234,
                          .taken = "2026-11-26T19:10:00Z",
                          .decisions = 812,
                          .unfinished = 3,
                          .state_bytes = state.size()}) +
      state;
  return bytes + EncodeBackupEnd(Crc32c(bytes));
}

class FakeNode final : public v1::AdminService::Service {
 public:
  FakeNode() {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address = "127.0.0.1:" + std::to_string(port);
  }

  std::string address;
  std::string leader;  // Where the leader is; empty: here.
  std::string bytes = SomeBackup();
  grpc::Status end;

  grpc::Status Backup(grpc::ServerContext*, const v1::BackupRequest*,
                      grpc::ServerWriter<v1::BackupChunk>* writer) override {
    if (!leader.empty()) {
      v1::ErrorDetail detail;
      detail.set_reason(v1::REASON_NOT_LEADER);
      detail.set_leader(leader);
      return rpc::ToGrpc(Unavailable("it follows"), detail);
    }
    constexpr size_t kChunk = 100'000;
    for (size_t at = 0; at < bytes.size(); at += kChunk) {
      v1::BackupChunk chunk;
      chunk.set_data(bytes.substr(at, kChunk));
      if (!writer->Write(chunk)) return grpc::Status::CANCELLED;
    }
    return end;
  }

 private:
  std::unique_ptr<grpc::Server> server_;
};

class BackupCommand : public testing::Test {
 protected:
  BackupCommand() {
    char directory[] = "/tmp/assent-backup-XXXXXX";
    EXPECT_NE(mkdtemp(directory), nullptr);
    directory_ = directory;
    file_ = directory_ + "/b.backup";
    follower_.leader = leader_.address;
  }
  ~BackupCommand() override { std::filesystem::remove_all(directory_); }

  struct Answer {
    int code = -1;
    std::string out;
    std::string err;
  };
  Answer Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"assentctl", "--endpoint", follower_.address, "backup"});
    std::vector<const char*> argv;
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    std::ostringstream out, err;
    const int code = ctl::Run(static_cast<int>(argv.size()), argv.data(), out, err);
    return {code, out.str(), err.str()};
  }
  // Nothing is left of a backup that failed.
  void ExpectNoFile() {
    EXPECT_TRUE(std::filesystem::is_empty(directory_)) << "something was left behind";
  }

  FakeNode follower_;
  FakeNode leader_;
  std::string directory_;
  std::string file_;
};

TEST_F(BackupCommand, SavesWhatTheLeaderSends) {
  const Answer saved = Run({file_});
  EXPECT_EQ(saved.code, kExitOk) << saved.err;
  EXPECT_THAT(saved.out, AllOf(HasSubstr("bank"), HasSubstr("incarnation 77"),
                               HasSubstr("2026-11-26T19:10:00Z"), HasSubstr("812, 3 unfinished")));
  EXPECT_EQ(ReadFile(file_), SomeBackup());
  struct stat there {};
  ASSERT_EQ(stat(file_.c_str(), &there), 0);
  EXPECT_EQ(there.st_mode & 0777, 0600u);
  EXPECT_FALSE(std::filesystem::exists(file_ + ".tmp"));

  const Answer shown = Run({"--show", file_, "--json"});
  EXPECT_EQ(shown.code, kExitOk) << shown.err;
  const json header = json::parse(shown.out);
  EXPECT_EQ(header["cluster"], "bank");
  EXPECT_EQ(header["group_incarnation"], "77");
  EXPECT_EQ(header["decisions"], 812);
  EXPECT_EQ(header["state_bytes"], 700'000);
}

TEST_F(BackupCommand, ReplacesAFileOnlyByForce) {
  std::ofstream(file_) << "precious";
  const Answer kept = Run({file_});
  EXPECT_EQ(kept.code, kExitError);
  EXPECT_THAT(kept.err, AllOf(HasSubstr(file_ + " exists"), HasSubstr("--force")));
  EXPECT_EQ(ReadFile(file_), "precious");
  EXPECT_EQ(Run({file_, "--force"}).code, kExitOk);
  EXPECT_EQ(ReadFile(file_), SomeBackup());
}

TEST_F(BackupCommand, WhatACrashLeftBehindIsInNobodysWay) {
  std::ofstream(file_ + ".tmp") << std::string(2'000'000, 'x');
  EXPECT_EQ(Run({file_}).code, kExitOk);
  EXPECT_EQ(ReadFile(file_), SomeBackup());
}

TEST_F(BackupCommand, TwoAtOnceToOneFileAreRefused) {
  const int other = open((file_ + ".tmp").c_str(), O_WRONLY | O_CREAT, 0600);
  ASSERT_EQ(flock(other, LOCK_EX), 0);
  const Answer second = Run({file_});
  EXPECT_EQ(second.code, kExitError);
  EXPECT_THAT(second.err, HasSubstr("another assentctl is writing"));
  EXPECT_TRUE(std::filesystem::exists(file_ + ".tmp"));
  close(other);
}

TEST_F(BackupCommand, AStreamThatBreaksLeavesNoFile) {
  leader_.end = grpc::Status(grpc::StatusCode::UNAVAILABLE, "the node is going");
  EXPECT_EQ(Run({file_}).code, kExitError);
  ExpectNoFile();
}

TEST_F(BackupCommand, BytesThatMakeNoBackupLeaveNoFile) {
  leader_.bytes[leader_.bytes.size() - 100] = 'S';
  Answer damaged = Run({file_});
  EXPECT_EQ(damaged.code, kExitError);
  EXPECT_THAT(damaged.err, HasSubstr("what the coordinator sent is damaged"));
  ExpectNoFile();
  leader_.bytes.resize(400'000);
  Answer cut = Run({file_});
  EXPECT_EQ(cut.code, kExitError);
  EXPECT_THAT(cut.err, HasSubstr("is cut short"));
  ExpectNoFile();
}

TEST_F(BackupCommand, AFileThatIsNoBackupIsNamed) {
  std::ofstream(file_) << SomeBackup().substr(0, 500'000);
  Answer shown = Run({"--show", file_});
  EXPECT_EQ(shown.code, kExitError);
  EXPECT_THAT(shown.err, AllOf(HasSubstr(file_), HasSubstr("is cut short")));
  EXPECT_EQ(Run({"--show", directory_ + "/none"}).code, kExitError);
  EXPECT_EQ(Run({directory_ + "/no/such/directory/b"}).code, kExitError);
  EXPECT_EQ(Run({}).code, kExitUsage);
}

}  // namespace
}  // namespace assent::ctl
