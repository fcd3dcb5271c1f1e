// The files of format 1, read for ever: those of a log of one node, from before there were groups,
// and those of a group. And docs/log-format.md, whose worked example must be the latter. While
// format 1 is the one that is written, a group's story must give the same bytes; ASSENT_REWRITE=1
// makes them anew (a change of format: never).
#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/support/paths.h"
#include "tests/txlog/golden_files.h"
#include "tests/txlog/replicated/group_fixture.h"
#include "txlog/storage/files.h"
#include "txlog/storage/format.h"

namespace assent::txlog {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::SizeIs;

const std::string kDirectory = "/sim";

class Golden : public GroupFixture {
 protected:
  Golden() { options_.segment_bytes = 4096; }

  void Open(const std::string& set) {
    auto node = std::make_unique<Node>(*this, 1);
    for (const auto& [name, bytes] : GoldenFiles(set)) {
      node->disk.SetContent(kDirectory + "/" + name, bytes);
    }
    nodes_.emplace(1, std::move(node));
    StartStory();
    EXPECT_EQ(At(1).engine->identity(), (NodeIdentity{"bank", kUuid, 1}));
  }
  void StartStory() {
    Status s = Start(1);
    ASSERT_TRUE(s.ok()) << s.ToString();
    Settle();
  }
  void Commit(const std::vector<std::string>& records) {
    auto fates = Propose(1, records);
    Settle();
    EXPECT_THAT(*fates, SizeIs(records.size()));
    EXPECT_THAT(*fates, Each(Fate::kDurable));
  }
  void Stop() {
    At(1).engine->Close();
    Kill(1, /*power_loss=*/false);
  }
  // Two starts, a roll-over, a snapshot that covers the first segment's beginning.
  void TellStory() {
    Bootstrap(1);
    StartStory();
    Commit({"decide commit of transfer 1"});
    Commit({"decide commit of transfer 2", "end of transfer 1"});
    At(1).inputs.push_back(SnapshotGiven{5, "transfers 1 and 2 are committed"});
    Settle();
    Stop();
    StartStory();
    Commit({std::string(3700, 'x'), "end of transfer 2"});
    Stop();
    EXPECT_THAT(At(1).deaths, SizeIs(0));
  }
};

TEST_F(Golden, WritingGivesTheSameBytes) {
  TellStory();
  std::map<std::string, std::string> written;
  Result<std::vector<std::string>> names = At(1).disk.List(kDirectory);
  ASSERT_TRUE(names.ok());
  for (const std::string& name : *names) {
    if (!IsLeftover(name)) written[name] = At(1).disk.Content(kDirectory + "/" + name);
  }
  if (std::getenv("ASSENT_REWRITE") != nullptr) {
    std::filesystem::create_directories(GoldenDirectory("v1-group"));
    for (const auto& [name, bytes] : written) {
      std::ofstream(GoldenDirectory("v1-group") + "/" + name, std::ios::binary) << bytes;
    }
  }
  const std::map<std::string, std::string> goldens = GoldenFiles("v1-group");
  ASSERT_EQ(goldens.size(), 5u);
  for (const auto& [name, bytes] : goldens) {
    EXPECT_TRUE(written[name] == bytes) << name << " is written differently now";
  }
  EXPECT_EQ(written.size(), goldens.size());
}

TEST_F(Golden, FilesOfAGroupAreReadForEver) {
  Open("v1-group");
  EXPECT_THAT(
      At(1).listener->story(),
      ElementsAre("snapshot 5 2 transfers 1 and 2 are committed", "lead 4",
                  "apply 6 2 end of transfer 1", "apply 7 3", "apply 8 3 " + std::string(3700, 'x'),
                  "apply 9 3 end of transfer 2", "apply 10 4"));
  EXPECT_THAT(Members(1).group.members,
              ElementsAre(Member{.id = 1, .peer_address = "node1:7401", .address = "node1:7400"}));
}

TEST_F(Golden, FilesOfALogBeforeGroupsAreReadForEver) {
  Open("v1");
  EXPECT_THAT(
      At(1).listener->story(),
      ElementsAre("snapshot 4 2 transfers 1 and 2 are committed", "lead 4",
                  "apply 5 2 end of transfer 1", "apply 6 3", "apply 7 3 " + std::string(3700, 'x'),
                  "apply 8 3 end of transfer 2", "apply 9 4"));
  EXPECT_THAT(Members(1).group.members, ElementsAre(Member{.id = 1}));
}

TEST_F(Golden, HardStateSaysHowFarTheLogWasDurable) {
  for (const auto& [set, floor] : {std::pair{"v1", 8}, {"v1-group", 9}}) {
    Result<HardState> state = DecodeHardState(GoldenFiles(set)["hard_state"], "hard_state");
    ASSERT_TRUE(state.ok()) << state.status().ToString();
    EXPECT_EQ(*state, (HardState{.term = 3, .vote = 1, .log_floor = static_cast<Index>(floor)}));
  }
}

// Blocks of docs/log-format.md that begin with ```hex <file>: lines of "offset  bytes  meaning".
TEST(LogFormatPage, WorkedExampleIsTheGoldenFiles) {
  std::ifstream page(assent::tests::SourceDir() + "/docs/log-format.md");
  const auto goldens = GoldenFiles("v1-group");
  std::map<std::string, uint64_t> shown;
  std::string line, file;
  while (std::getline(page, line)) {
    if (line.starts_with("```hex ")) {
      file = line.substr(7);
      ASSERT_TRUE(goldens.contains(file)) << file;
      continue;
    }
    if (line.starts_with("```")) file.clear();
    if (file.empty()) continue;
    const size_t bytes_at = 8;
    ASSERT_GT(line.size(), bytes_at) << line;
    const uint64_t offset = std::stoull(line.substr(0, 6), nullptr, 16);
    EXPECT_EQ(offset, shown[file]) << "a byte of " << file << " is left out before: " << line;
    std::string bytes;
    for (size_t at = bytes_at; at + 2 <= line.size() && line[at] != ' '; at += 3) {
      bytes.push_back(static_cast<char>(std::stoi(line.substr(at, 2), nullptr, 16)));
    }
    EXPECT_EQ(goldens.at(file).substr(offset, bytes.size()), bytes) << file << ": " << line;
    shown[file] = offset + bytes.size();
  }
  EXPECT_EQ(shown["hard_state"], 40u);
  EXPECT_EQ(shown["snapshot-00000000000000000005"],
            goldens.at("snapshot-00000000000000000005").size());
  EXPECT_GT(shown["segment-00000000000000000001"], 200u);
}

}  // namespace
}  // namespace assent::txlog
