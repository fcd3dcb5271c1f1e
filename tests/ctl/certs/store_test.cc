#include "ctl/certs/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "ctl/certs/new_file.h"
#include "tests/support/temp_dir.h"

namespace assent::certs {
namespace {

namespace fs = std::filesystem;
using test_support::ReadFile;
using test_support::WriteFile;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr WallTime kNow = std::chrono::sys_days{std::chrono::year{2026} / 3 / 1};

mode_t ModeOf(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(stat(path.c_str(), &info), 0) << path;
  return info.st_mode & 07777;
}

class StoreTest : public testing::Test {
 protected:
  // Everything that stands in the directory, by name.
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory_)) {
      names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  std::string File(const std::string& name) const { return directory_ + "/" + name; }
  void Init() {
    auto files = InitAuthority(directory_, kNow);
    ASSERT_TRUE(files.ok()) << files.status().ToString();
  }
  Status Issued(const Request& request, bool renew = false) {
    auto files = Issue(directory_, request, renew, kNow);
    return files.ok() ? Ok() : files.status();
  }

  const test_support::TempDir dir_;
  const std::string directory_ = dir_.File("certs");
};

TEST_F(StoreTest, KeysAreSecretAndNothingElseIsLeftBehind) {
  const mode_t before = umask(0);
  Init();
  ASSERT_TRUE(Issued({Role::kNode, "node1", {"h"}}).ok());
  umask(before);
  EXPECT_THAT(Names(), ElementsAre("ca.key", "ca.pem", "node1.key", "node1.pem"));
  EXPECT_EQ(ModeOf(directory_), 0700u);
  EXPECT_EQ(ModeOf(File("ca.key")), 0600u);
  EXPECT_EQ(ModeOf(File("node1.key")), 0600u);
  EXPECT_EQ(ModeOf(File("ca.pem")), 0644u);
  EXPECT_EQ(ModeOf(File("node1.pem")), 0644u);
}

TEST_F(StoreTest, AnAuthorityIsNeverReplaced) {
  Init();
  const std::string key = ReadFile(File("ca.key"));
  auto again = InitAuthority(directory_, kNow);
  EXPECT_EQ(again.status().code(), Code::kAlreadyExists);
  EXPECT_THAT(again.status().message(), AllOf(HasSubstr(File("ca.pem")), HasSubstr("another")));
  // Even a half of it: the other half may be in a backup.
  fs::remove(File("ca.pem"));
  EXPECT_EQ(InitAuthority(directory_, kNow).status().code(), Code::kAlreadyExists);
  EXPECT_EQ(ReadFile(File("ca.key")), key);
}

TEST_F(StoreTest, NothingIsReplacedWithoutBeingAsked) {
  Init();
  ASSERT_TRUE(Issued({Role::kNode, "one", {"h"}}).ok());
  const std::string before = ReadFile(File("one.pem")) + ReadFile(File("one.key"));
  Status again = Issued({Role::kNode, "one", {"h"}});
  EXPECT_EQ(again.code(), Code::kAlreadyExists);
  EXPECT_THAT(again.message(), AllOf(HasSubstr(File("one.pem")), HasSubstr("--force")));
  EXPECT_EQ(ReadFile(File("one.pem")) + ReadFile(File("one.key")), before);

  ASSERT_TRUE(WriteFile(File("two.key"), "precious").ok());
  for (bool renew : {false, true}) {
    Status half = Issued({Role::kClient, "two"}, renew);
    EXPECT_EQ(half.code(), Code::kAlreadyExists) << half.ToString();
    EXPECT_THAT(half.message(), AllOf(HasSubstr(File("two.key")), HasSubstr("move it away")));
  }
  EXPECT_EQ(ReadFile(File("two.key")), "precious");
}

TEST_F(StoreTest, ARenewalKeepsTheHostsAndChangesTheKey) {
  Init();
  ASSERT_TRUE(Issued({Role::kNode, "one", {"h.example", "10.0.0.1"}}).ok());
  const std::string key = ReadFile(File("one.key"));
  ASSERT_TRUE(Issued({Role::kNode, "one", {}, Days(9)}, true).ok());
  EXPECT_NE(ReadFile(File("one.key")), key);
  EXPECT_EQ(ModeOf(File("one.key")), 0600u);
  auto shown = Show(File("one.pem"));
  ASSERT_TRUE(shown.ok()) << shown.status().ToString();
  EXPECT_THAT(shown->at(0).certificates.at(0).hosts,
              ElementsAre("h.example", "10.0.0.1", "assent-node"));
  EXPECT_EQ(shown->at(0).certificates.at(0).validity.not_after, kNow + Days(9));
  ASSERT_TRUE(Issued({Role::kNode, "one", {"new.example"}}, true).ok());
  EXPECT_THAT(Show(File("one.pem"))->at(0).certificates.at(0).hosts,
              ElementsAre("new.example", "assent-node"));
  EXPECT_THAT(Names(), ElementsAre("ca.key", "ca.pem", "one.key", "one.pem"));
}

TEST_F(StoreTest, ARenewalReplacesNothingOfAnotherKind) {
  Init();
  ASSERT_TRUE(Issued({Role::kNode, "one", {"h"}}).ok());
  Status role = Issued({Role::kClient, "one"}, true);
  EXPECT_EQ(role.code(), Code::kFailedPrecondition);
  EXPECT_THAT(role.message(), AllOf(HasSubstr("OU=node"), HasSubstr("choose another name")));

  ASSERT_TRUE(InitAuthority(dir_.File("other"), kNow).ok());
  ASSERT_TRUE(Issue(dir_.File("other"), {Role::kNode, "one", {"h"}}, false, kNow).ok());
  fs::copy_file(dir_.File("other") + "/one.pem", File("one.pem"),
                fs::copy_options::overwrite_existing);
  EXPECT_THAT(Issued({Role::kNode, "one", {"h"}}, true).message(), HasSubstr("another authority"));
  ASSERT_TRUE(WriteFile(File("one.pem"), "text").ok());
  EXPECT_THAT(Issued({Role::kNode, "one", {"h"}}, true).message(), HasSubstr("no certificate"));
  EXPECT_EQ(ReadFile(File("one.pem")), "text");
}

TEST_F(StoreTest, WithoutAGoodAuthorityNothingIsSigned) {
  Status none = Issued({Role::kClient, "ops"});
  EXPECT_EQ(none.code(), Code::kNotFound);
  EXPECT_THAT(none.message(), HasSubstr("assentctl certs init " + directory_));
  Init();
  ASSERT_EQ(chmod(File("ca.key").c_str(), 0644), 0);
  EXPECT_THAT(Issued({Role::kClient, "ops"}).message(),
              AllOf(HasSubstr(File("ca.key")), HasSubstr("chmod 0600")));
  ASSERT_TRUE(WriteFile(File("ca.key"), "text").ok());
  ASSERT_EQ(chmod(File("ca.key").c_str(), 0600), 0);
  EXPECT_THAT(Issued({Role::kClient, "ops"}).message(),
              AllOf(HasSubstr(directory_), HasSubstr("ca.key"), HasSubstr("backup")));
  EXPECT_THAT(Names(), ElementsAre("ca.key", "ca.pem"));
}

TEST_F(StoreTest, APathIsNoName) {
  Init();
  ASSERT_TRUE(WriteFile(dir_.File("x.pem"), "outside").ok());
  EXPECT_EQ(Issued({Role::kClient, "../x"}, true).code(), Code::kInvalidArgument);
  EXPECT_EQ(ReadFile(dir_.File("x.pem")), "outside");
}

TEST_F(StoreTest, ADirectoryThatCannotBeMadeIsNamed) {
  auto nowhere = InitAuthority(dir_.File("a/b"), kNow);
  EXPECT_THAT(nowhere.status().message(), AllOf(HasSubstr(dir_.File("a/b")), HasSubstr("parent")));
  ASSERT_TRUE(WriteFile(dir_.File("file"), "").ok());
  auto file = InitAuthority(dir_.File("file"), kNow);
  EXPECT_THAT(file.status().message(), HasSubstr("Not a directory"));
}

TEST_F(StoreTest, ShowListsTheAuthorityFirstAndSaysWhatHoldsNothing) {
  Init();
  ASSERT_TRUE(Issued({Role::kAgent, "a"}).ok());
  ASSERT_TRUE(WriteFile(File("note.pem"), "text").ok());
  auto shown = Show(directory_);
  ASSERT_TRUE(shown.ok()) << shown.status().ToString();
  ASSERT_EQ(shown->size(), 3u);
  EXPECT_EQ(shown->at(0).file, File("ca.pem"));
  EXPECT_EQ(shown->at(1).file, File("a.pem"));
  EXPECT_TRUE(shown->at(2).certificates.empty());
  EXPECT_THAT(Show(File("note.pem")).status().message(), HasSubstr("no certificate"));
  EXPECT_EQ(Show(File("none.pem")).status().code(), Code::kNotFound);
  ASSERT_TRUE(dir_.MakeDir("empty").ok());
  EXPECT_THAT(Show(dir_.File("empty")).status().message(), HasSubstr("certs init"));
}

TEST_F(StoreTest, AFileThatAppearedMeanwhileIsKept) {
  const std::string path = dir_.File("one");
  ASSERT_TRUE(WriteWhole(path, "first", 0600, Write::kNew).ok());
  EXPECT_EQ(WriteWhole(path, "second", 0644, Write::kNew).code(), Code::kAlreadyExists);
  EXPECT_EQ(ReadFile(path), "first");
  ASSERT_TRUE(WriteWhole(path, "second", 0644, Write::kReplace).ok());
  EXPECT_EQ(ReadFile(path), "second");
  EXPECT_EQ(ModeOf(path), 0644u);
  EXPECT_THAT(WriteWhole(dir_.File("a/b"), "x", 0600, Write::kNew).message(),
              HasSubstr(dir_.File("a/b")));
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_.path()), {}), 1);
}

}  // namespace
}  // namespace assent::certs
