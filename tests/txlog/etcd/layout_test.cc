// What is written comes back, and nothing else is taken for it.
#include "txlog/etcd/core/layout.h"

#include <gtest/gtest.h>

#include "txlog/etcd/core/batch.h"

namespace assent::txlog::etcd {
namespace {

TEST(Layout, KeysStandWhereTheyAreExpected) {
  const Layout layout("assent/shop");
  EXPECT_EQ(layout.leader(), "assent/shop/group/leader");
  EXPECT_EQ(layout.Log(26), "assent/shop/group/log/000000000000001a");
  EXPECT_EQ(layout.Chunk(SnapshotName(2, 16), 3),
            "assent/shop/snapshots/0000000000000002-0000000000000010/0000000000000003");
}

TEST(Layout, OrderOfKeysIsOrderOfNumbers) {
  const Layout layout("p");
  EXPECT_LT(layout.Log(9), layout.Log(16));
  EXPECT_LT(layout.Log(~uint64_t{0}), layout.log_end());
  EXPECT_LT(SnapshotName(1, 300), SnapshotName(2, 1));
  EXPECT_LT(SnapshotName(2, 9), SnapshotName(2, 10));
}

TEST(Layout, WatchedIsAllOfTheGroupAndNoSnapshot) {
  const Layout layout("p");
  for (const std::string& key :
       {layout.identity(), layout.term(), layout.leader(), layout.snapshot(), layout.lineage(),
        layout.Log(1), layout.Log(~uint64_t{0})}) {
    EXPECT_GE(key, layout.group_begin());
    EXPECT_LT(key, layout.group_end());
  }
  EXPECT_GE(layout.Chunk("n", 0), layout.group_end());
}

TEST(Layout, SlotsComeBack) {
  const Layout layout("p");
  for (Slot slot : {uint64_t{1}, uint64_t{255}, ~uint64_t{0}}) {
    EXPECT_EQ(layout.SlotOf(layout.Log(slot)), slot);
  }
  for (const char* key : {"p/group/log/", "p/group/log/1", "p/group/leader", "",
                          "p/group/log/00000000000000zz", "q/group/log/0000000000000001"}) {
    EXPECT_EQ(layout.SlotOf(key), std::nullopt) << key;
  }
}

TEST(Values, ComeBack) {
  const Identity identity{"3f0c2f4e-7a51-4d0b-9d7e-1c2b3a495867", "shop"};
  EXPECT_EQ(ParseIdentity(Text(identity)), identity);
  const LeaderValue leader{7, ~uint64_t{0}, "10.0.0.1:7400"};
  EXPECT_EQ(ParseLeader(Text(leader)), leader);
  const SnapshotValue snapshot{"2-10", 16, 2, 9, 3, 123456789012, 0xffffffff};
  EXPECT_EQ(ParseSnapshot(Text(snapshot)), snapshot);
  EXPECT_EQ(ParseTerm(TermText(12)), Term{12});
  const PresenceValue presence{~uint64_t{0}, "10.0.0.1:7400"};
  EXPECT_EQ(ParsePresence(Text(presence)), presence);
  const Lineage lineage{~uint64_t{0}, 3, 123456};
  EXPECT_EQ(ParseLineage(Text(lineage)), lineage);
}

TEST(Lineages, ContinueForwardsAndInTheSameEtcd) {
  const Lineage before{7, 3, 100};
  for (const Lineage& now : {before, Lineage{7, 3, 101}, Lineage{7, 4, 100}}) {
    EXPECT_TRUE(Continues(before, now)) << Text(now);
  }
  for (const Lineage& now : {Lineage{8, 9, 999}, Lineage{7, 2, 999}, Lineage{7, 9, 99}}) {
    EXPECT_FALSE(Continues(before, now)) << Text(now);
  }
}

TEST(Values, NothingElseIsTakenForThem) {
  for (const char* text : {"", " ", "uuid", "uuid ", " shop", "a b c"}) {
    EXPECT_EQ(ParseIdentity(text), std::nullopt) << text;
  }
  for (const char* text : {"", "1 2", "1 2 a b", "x 2 a", "1 -2 a", "18446744073709551616 2 a"}) {
    EXPECT_EQ(ParseLeader(text), std::nullopt) << text;
  }
  for (const char* text : {"", "n 1 2 3 4 5", "n 1 2 3 4 5 4294967296", "n 1 2 3 4 5 6 7",
                           " 1 2 3 4 5 6", "n 01 2 3 4 5 6"}) {
    EXPECT_EQ(ParseSnapshot(text), std::nullopt) << text;
  }
  for (const char* text : {"", "1 2", "1 2 3 4", "1 2 x", "1 02 3"}) {
    EXPECT_EQ(ParseLineage(text), std::nullopt) << text;
  }
  for (const char* text : {"", "01", "1 ", "-1"}) EXPECT_EQ(ParseTerm(text), std::nullopt) << text;
}

TEST(BatchBytes, ComeBack) {
  const Batch batch{7, 41, {"", std::string("\0binary\xff", 8), std::string(3000, 'x')}};
  const std::string bytes = Encode(batch);
  EXPECT_EQ(bytes.size(), kBatchBytes + 3 * kRecordBytes + 8 + 3000);
  EXPECT_EQ(DecodeBatch(bytes), batch);
}

TEST(BatchBytes, NoPieceAndNothingMoreIsABatch) {
  const std::string bytes = Encode({7, 41, {"a", "bc"}});
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_EQ(DecodeBatch(bytes.substr(0, length)), std::nullopt) << length;
  }
  EXPECT_EQ(DecodeBatch(bytes + "x"), std::nullopt);
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    EXPECT_EQ(DecodeBatch(damaged), std::nullopt) << at;
  }
}

}  // namespace
}  // namespace assent::txlog::etcd
