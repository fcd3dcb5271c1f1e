// A log that begins with a state: LogStore::CreateFromState, and what the node file says of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/txlog/store_fixture.h"

namespace assent::txlog {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

const NodeIdentity kRestored{"bank", kTestIdentity.cluster_uuid, 1, 18'000'000'000'000'000'001u};
// More than ReplaceFile forces at once.
const std::string kState(300'000, 's');

class RestoredStore : public StoreTest {
 protected:
  void CreateRestored() {
    Status s = LogStore::CreateFromState(disk_, kDirectory, kRestored, kState);
    ASSERT_TRUE(s.ok()) << s.ToString();
  }
};

TEST_F(RestoredStore, BeginsBehindASnapshotOfEntryOne) {
  CreateRestored();
  Open();
  EXPECT_EQ(recovered_.identity, kRestored);
  EXPECT_EQ(recovered_.hard_state, (HardState{.term = 1, .vote = 1, .log_floor = 1}));
  EXPECT_EQ(recovered_.snapshot, (Snapshot{.index = 1, .term = 1, .state = kState}));
  EXPECT_THAT(recovered_.entries, IsEmpty());
  EXPECT_EQ(store_->last_index(), 1u);
  EXPECT_EQ(store_->last_term(), 1u);

  SetTerm(2);
  ASSERT_TRUE(Append({"a"}).ok());
  Open();
  EXPECT_EQ(recovered_.snapshot->state, kState);
  ASSERT_EQ(recovered_.entries.size(), 1u);
  EXPECT_EQ(recovered_.entries[0].index, 2u);
}

TEST_F(RestoredStore, NeedsAnEmptyDirectory) {
  CreateRestored();
  Status again = LogStore::CreateFromState(disk_, kDirectory, kRestored, kState);
  EXPECT_EQ(again.code(), Code::kFailedPrecondition);
  EXPECT_THAT(again.message(), HasSubstr("it belongs to a node already; start that node without"));
}

TEST_F(RestoredStore, CutShortAnywhereRefusesToServeAndToStartAnew) {
  int cut = 0;
  for (int n = 1;; ++n) {
    SimDisk disk(n);
    disk.CrashAt(n);
    if (LogStore::CreateFromState(disk, kDirectory, kRestored, kState).ok()) break;
    ++cut;
    disk.PowerLoss();
    Recovered recovered;
    Result<std::unique_ptr<LogStore>> store = LogStore::Open(
        disk, Options(), executor_, [](const Status&) {}, &recovered);
    if (store.ok()) {
      // Only the last call's effect came through: the directory is whole.
      ASSERT_TRUE(recovered.snapshot);
      EXPECT_EQ(recovered.snapshot->state, kState);
      continue;
    }
    EXPECT_EQ(store.status().code(), Code::kFailedPrecondition) << store.status().ToString();
    EXPECT_THAT(store.status().message(), HasSubstr("restore"));
    auto names = disk.List(kDirectory);
    std::erase_if(*names, [](const std::string& name) { return name == kLockFile; });
    if (!names.ok() || names->empty()) continue;  // Nothing came of it.
    Status again = LogStore::CreateFromState(disk, kDirectory, kRestored, kState);
    EXPECT_EQ(again.code(), Code::kFailedPrecondition) << again.ToString();
    EXPECT_THAT(again.message(), HasSubstr("delete the directory and repeat it"));
  }
  EXPECT_GT(cut, 12);
}

TEST_F(RestoredStore, ADirectoryOfTheGroupBeforeIsRefused) {
  Create();
  LogStoreOptions options = Options();
  options.group_incarnation = 5;
  Status s = TryOpen(options).status();
  EXPECT_EQ(s.code(), Code::kFailedPrecondition);
  EXPECT_THAT(s.message(),
              HasSubstr("belongs to group incarnation 0, this node is configured as 5"));
}

TEST(RestoredNodeFile, NamesTheIncarnation) {
  const std::string text = EncodeNodeFile(kRestored);
  EXPECT_THAT(text, HasSubstr("\ngroup_incarnation=18000000000000000001\n"));
  Result<NodeIdentity> back = DecodeNodeFile(text, "node");
  ASSERT_TRUE(back.ok()) << back.status().ToString();
  EXPECT_EQ(*back, kRestored);
  EXPECT_EQ(EncodeNodeFile(kTestIdentity).find("incarnation"), std::string::npos);
}

TEST(NodeFile, TellsWhereANodeComesFrom) {
  NodeIdentity identity = kTestIdentity;
  EXPECT_EQ(EncodeNodeFile(identity).find("directory"), std::string::npos);
  identity.first_members = 0xffff'ffff;
  identity.directory = 18'000'000'000'000'000'002u;
  const std::string text = EncodeNodeFile(identity);
  EXPECT_THAT(text, HasSubstr("\nfirst_members=4294967295\ndirectory=18000000000000000002\n"));
  Result<NodeIdentity> back = DecodeNodeFile(text, "node");
  ASSERT_TRUE(back.ok()) << back.status().ToString();
  EXPECT_EQ(*back, identity);
}

}  // namespace
}  // namespace assent::txlog
