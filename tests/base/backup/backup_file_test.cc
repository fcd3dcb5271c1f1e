#include "base/backup/backup_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "base/crc32c.h"
#include "base/mutant.h"

namespace assent {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

const std::string kState("the state of a group,\n\nwith lines and \0 bytes of any kind", 57);

BackupHeader SomeHeader() {
  return {.program = "0.1.0",
          .cluster = "bank",
          .cluster_uuid = "3f0c2f4e-7a51-4d0b-9d7e-1c2b3a495867",
          .group = 0,
          .group_incarnation = ~uint64_t{0},
          .term = 7,
          .index = 1234,
          .taken = "2026-11-26T19:10:00Z",
          .decisions = 812,
          .unfinished = 3,
          .state_bytes = kState.size()};
}

std::string File(const BackupHeader& header = SomeHeader(), const std::string& state = kState) {
  const std::string bytes = EncodeBackupHeader(header) + state;
  return bytes + EncodeBackupEnd(Crc32c(bytes));
}

struct Read {
  Status status;
  BackupHeader header;
  std::string state;
};

// In pieces of so many bytes.
Read Parse(const std::string& file, size_t piece = 1 << 20) {
  BackupReader reader(true);
  for (size_t at = 0; at < file.size(); at += piece) {
    if (Status s = reader.Feed(std::string_view(file).substr(at, piece)); !s.ok())
      return {s, {}, {}};
  }
  Status s = reader.Finish();
  if (!s.ok()) return {s, {}, {}};
  return {s, reader.header(), reader.TakeState()};
}

TEST(BackupFile, ComesBackAsItWasInPiecesOfAnySize) {
  const std::string file = File();
  EXPECT_THAT(file, StartsWith("assent-backup\nformat_version=1\nprogram=0.1.0\ncluster=bank\n"));
  for (size_t piece : {size_t{1}, size_t{7}, size_t{64}, file.size() - 1, file.size()}) {
    const Read read = Parse(file, piece);
    ASSERT_TRUE(read.status.ok()) << piece << ": " << read.status.ToString();
    EXPECT_EQ(read.header, SomeHeader());
    EXPECT_EQ(read.state, kState);
  }
  BackupHeader empty = SomeHeader();
  empty.state_bytes = 0;
  EXPECT_TRUE(Parse(File(empty, "")).status.ok());
}

TEST(BackupFile, CutAnywhereItIsCutShort) {
  const std::string file = File();
  for (size_t size = 0; size < file.size(); ++size) {
    const Read read = Parse(file.substr(0, size), 16);
    EXPECT_EQ(read.status.code(), Code::kDataLoss) << size;
    EXPECT_THAT(read.status.message(), HasSubstr("is cut short")) << size;
  }
}

TEST(BackupFile, NoByteMayChange) {
  const std::string file = File();
  for (size_t at = 0; at < file.size(); ++at) {
    for (char flip : {'\x01', '\x80'}) {
      std::string damaged = file;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      const Code code = Parse(damaged).status.code();
      // One flip makes it a backup of format 0, one of no format at all; none makes it a good one.
      EXPECT_TRUE(code == Code::kDataLoss || code == Code::kFailedPrecondition) << at;
    }
  }
}

TEST(BackupFile, NothingMayFollow) {
  const Read read = Parse(File() + "x");
  EXPECT_EQ(read.status.code(), Code::kDataLoss);
  EXPECT_THAT(read.status.message(), HasSubstr("goes on behind its end"));
}

TEST(BackupFile, WhatIsNoneIsNamed) {
  struct Case {
    const char* why;
    std::string file;
    Code code;
    const char* message;
  };
  std::string newer = File();
  newer.replace(newer.find("format_version=1"), 16, "format_version=2");
  std::string less = File();
  less.erase(less.find("term="), 7);
  std::string words = File();
  words.replace(words.find("index=1234"), 10, "index=many");
  const Case cases[] = {
      {"another file", "PNG and so on", Code::kDataLoss, "is no backup of Assent"},
      {"of a later program", newer, Code::kFailedPrecondition, "is of format 2"},
      {"a line is missing", less, Code::kDataLoss, "should have a line term="},
      {"no number", words, Code::kDataLoss, "should have a line index="},
      {"a header without end", "assent-backup\n" + std::string(5'000, 'x'), Code::kDataLoss,
       "its header has no end"},
  };
  for (const Case& c : cases) {
    const Read read = Parse(c.file, 100);
    EXPECT_EQ(read.status.code(), c.code) << c.why;
    EXPECT_THAT(read.status.message(), HasSubstr(c.message)) << c.why;
  }
}

TEST(BackupFile, IsReadFromAPathThatMessagesName) {
  char path[] = "/tmp/assent-backup-XXXXXX";
  const int fd = mkstemp(path);
  ASSERT_GE(fd, 0);
  close(fd);
  std::ofstream(path) << File();
  std::string state;
  auto header = ReadBackup(path, &state);
  ASSERT_TRUE(header.ok()) << header.status().ToString();
  EXPECT_EQ(*header, SomeHeader());
  EXPECT_EQ(state, kState);
  std::ofstream(path) << File().substr(0, 200);
  EXPECT_THAT(ReadBackup(path, nullptr).status().message(),
              AllOf(StartsWith("backup " + std::string(path) + " is cut short"),
                    HasSubstr("another backup")));
  unlink(path);
  EXPECT_EQ(ReadBackup(path, nullptr).status().code(), Code::kNotFound);
  EXPECT_EQ(ReadBackup("/tmp", nullptr).status().code(), Code::kUnavailable);
}

#if defined(ASSENT_FAILPOINTS)
TEST(BackupFileSeededBugs, ADamagedBackupThatIsTakenIsCaught) {
  std::string damaged = File();
  damaged[damaged.find("the state")] = 'T';
  EXPECT_FALSE(Parse(damaged).status.ok());
  ScopedMutant mutant(Mutant::kBackupUnchecked);
  EXPECT_TRUE(Parse(damaged).status.ok());
}
#endif

}  // namespace
}  // namespace assent
