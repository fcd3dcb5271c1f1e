// The real disk: its errors must be told apart as disk.h says, since the log reacts to each.
#include "txlog/storage/posix_disk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

namespace assent::txlog {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class PosixDiskTest : public testing::Test {
 protected:
  PosixDiskTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "assent-disk-XXXXXX";
    root_ = mkdtemp(pattern.data());
  }
  ~PosixDiskTest() override { std::filesystem::remove_all(root_); }

  std::unique_ptr<File> MustCreate(const std::string& path) {
    Result<std::unique_ptr<File>> file = disk_.Create(path);
    EXPECT_TRUE(file.ok()) << file.status().ToString();
    return std::move(*file);
  }

  PosixDisk disk_;
  std::string root_;
};

TEST_F(PosixDiskTest, WritesReadsCutsAndGrows) {
  auto file = MustCreate(root_ + "/f");
  EXPECT_TRUE(file->WriteAt(3, "abc").ok());
  EXPECT_EQ(*file->ReadAll(), std::string("\0\0\0abc", 6));
  EXPECT_EQ(*file->ReadAt(4, 100), "bc");
  EXPECT_EQ(*file->ReadAt(100, 1), "");
  EXPECT_TRUE(file->Truncate(4).ok());
  EXPECT_TRUE(file->Allocate((1 << 20) + 7).ok());
  EXPECT_EQ(*file->Size(), (1u << 20) + 7);
  EXPECT_EQ(*file->ReadAt(0, 6), std::string("\0\0\0a\0\0", 6)) << "what was cut stays away";
  EXPECT_TRUE(file->Allocate(10).ok());
  EXPECT_EQ(*file->Size(), (1u << 20) + 7) << "Allocate never shortens";
  EXPECT_TRUE(file->Sync().ok());
}

TEST_F(PosixDiskTest, AllocatedBytesAreReallyOnTheDisk) {
  auto file = MustCreate(root_ + "/f");
  ASSERT_TRUE(file->Allocate(1 << 20).ok());
  // A hole would take no blocks.
  struct stat about {};
  ASSERT_EQ(stat((root_ + "/f").c_str(), &about), 0);
  EXPECT_GE(about.st_blocks * 512, 1 << 20);
}

TEST_F(PosixDiskTest, TellsItsErrorsApart) {
  Status s = disk_.Open(root_ + "/none").status();
  EXPECT_EQ(s.code(), Code::kNotFound);
  EXPECT_THAT(s.message(), HasSubstr(root_ + "/none"));
  EXPECT_EQ(disk_.Remove(root_ + "/none").code(), Code::kNotFound);
  EXPECT_EQ(disk_.List(root_ + "/none").status().code(), Code::kNotFound);
  MustCreate(root_ + "/there");
  EXPECT_EQ(disk_.Create(root_ + "/there").status().code(), Code::kAlreadyExists);
  s = disk_.CreateDirectory(root_ + "/there/below");
  EXPECT_EQ(s.code(), Code::kUnavailable) << s.ToString();
  EXPECT_THAT(s.message(), HasSubstr("Not a directory"));
}

TEST_F(PosixDiskTest, ListsCreatesRenamesAndRemoves) {
  ASSERT_TRUE(disk_.CreateDirectory(root_ + "/a/b").ok());
  ASSERT_TRUE(disk_.CreateDirectory(root_ + "/a/b").ok()) << "fine if it is there";
  MustCreate(root_ + "/a/z");
  MustCreate(root_ + "/a/c");
  EXPECT_THAT(*disk_.List(root_ + "/a"), ElementsAre("b", "c", "z"));
  EXPECT_TRUE(disk_.Rename(root_ + "/a/z", root_ + "/a/c").ok());
  EXPECT_TRUE(disk_.SyncDirectory(root_ + "/a").ok());
  EXPECT_THAT(*disk_.List(root_ + "/a"), ElementsAre("b", "c"));
  EXPECT_TRUE(disk_.Remove(root_ + "/a/c").ok());
  EXPECT_THAT(*disk_.List(root_ + "/a"), ElementsAre("b"));
}

TEST_F(PosixDiskTest, LimitedRoomIsResourceExhausted) {
  auto file = MustCreate(root_ + "/f");
  // The nearest to a full disk that needs no privilege: a limit on a file's size.
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  auto* handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit = before;
  limit.rlim_cur = 8192;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  Status write = file->WriteAt(4096, std::string(8192, 'x'));
  Status allocate = file->Allocate(1 << 20);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(write.code(), Code::kResourceExhausted) << write.ToString();
  EXPECT_EQ(allocate.code(), Code::kResourceExhausted) << allocate.ToString();
}

}  // namespace
}  // namespace assent::txlog
