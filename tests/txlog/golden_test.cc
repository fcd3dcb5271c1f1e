// Files of format 1, as they were when it was new: read for ever. And docs/log-format.md, whose
// worked example must be these bytes. While format 1 is the one that is written, writing the same
// story must give the same bytes; ASSENT_REWRITE=1 makes them anew (a change of format: never).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "tests/support/paths.h"
#include "tests/txlog/recording_listener.h"
#include "tests/txlog/store_fixture.h"
#include "txlog/local_engine.h"

namespace assent::txlog {
namespace {

using testing::ElementsAre;

const std::string kGoldens = assent::tests::TestDataDir() + "/txlog/v1";

std::string ReadWhole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream bytes;
  bytes << in.rdbuf();
  return bytes.str();
}

std::map<std::string, std::string> Goldens() {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(kGoldens)) {
    files[entry.path().filename()] = ReadWhole(entry.path());
  }
  return files;
}

class Golden : public StoreTest {
 protected:
  Result<std::unique_ptr<LocalEngine>> Start(Listener& listener) {
    LocalLogOptions options{.directory = kDirectory,
                            .cluster = "bank",
                            .segment_bytes = 4096,
                            .disk = &disk_,
                            .on_death = [](const Status& s) { FAIL() << s.ToString(); }};
    return LocalEngine::Open(options, listener, executor_, executor_,
                             [this](Index index, Term term, const Status& s) {
                               engine_->SnapshotWritten(index, term, s);
                             });
  }
  void StartStory() {
    Result<std::unique_ptr<LocalEngine>> engine = Start(listener_);
    ASSERT_TRUE(engine.ok()) << engine.status().ToString();
    engine_ = std::move(*engine);
    engine_->Announce();
  }
  void Commit(const std::vector<std::string>& records) {
    std::vector<Proposal> proposals;
    for (const std::string& record : records) {
      proposals.push_back(
          {record, engine_->term(), [](Fate fate) { EXPECT_EQ(fate, Fate::kDurable); }});
    }
    engine_->Commit(std::move(proposals));
  }
  void Stop() {
    engine_->Close();
    engine_.reset();
    disk_.ProcessDeath();
  }
  // Two starts, a roll-over, a snapshot that covers the first segment's beginning.
  void TellStory() {
    Create();
    StartStory();
    Commit({"decide commit of transfer 1"});
    Commit({"decide commit of transfer 2", "end of transfer 1"});
    engine_->SaveSnapshot(4, "transfers 1 and 2 are committed");
    Stop();
    StartStory();
    Commit({std::string(3700, 'x'), "end of transfer 2"});
    Stop();
  }

  RecordingListener listener_;
  std::unique_ptr<LocalEngine> engine_;
};

TEST_F(Golden, WritingGivesTheSameBytes) {
  TellStory();
  std::map<std::string, std::string> written;
  Result<std::vector<std::string>> names = disk_.List(kDirectory);
  ASSERT_TRUE(names.ok());
  for (const std::string& name : *names) {
    if (!IsLeftover(name)) written[name] = disk_.Content(kDirectory + "/" + name);
  }
  if (std::getenv("ASSENT_REWRITE") != nullptr) {
    std::filesystem::create_directories(kGoldens);
    for (const auto& [name, bytes] : written) {
      std::ofstream(kGoldens + "/" + name, std::ios::binary) << bytes;
    }
  }
  const std::map<std::string, std::string> goldens = Goldens();
  ASSERT_EQ(goldens.size(), 5u);
  for (const auto& [name, bytes] : goldens) {
    EXPECT_TRUE(written[name] == bytes) << name << " is written differently now";
  }
  EXPECT_EQ(written.size(), goldens.size());
}

TEST_F(Golden, FilesOfFormatOneAreReadForEver) {
  for (const auto& [name, bytes] : Goldens()) disk_.SetContent(kDirectory + "/" + name, bytes);
  StartStory();
  EXPECT_EQ(engine_->identity(), kTestIdentity);
  EXPECT_THAT(listener_.story(), ElementsAre("snapshot 4 2 transfers 1 and 2 are committed",
                                             "apply 5 2 end of transfer 1", "apply 6 3",
                                             "apply 7 3 " + std::string(3700, 'x'),
                                             "apply 8 3 end of transfer 2", "lead 4", "apply 9 4"));
}

TEST_F(Golden, HardStateSaysHowFarTheLogWasDurable) {
  Result<HardState> state = DecodeHardState(Goldens()["hard_state"], "hard_state");
  ASSERT_TRUE(state.ok()) << state.status().ToString();
  EXPECT_EQ(*state, (HardState{.term = 3, .vote = 1, .log_floor = 8}));
}

// Blocks of docs/log-format.md that begin with ```hex <file>: lines of "offset  bytes  meaning".
TEST(LogFormatPage, WorkedExampleIsTheGoldenFiles) {
  std::ifstream page(assent::tests::SourceDir() + "/docs/log-format.md");
  const auto goldens = Goldens();
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
  EXPECT_EQ(shown["snapshot-00000000000000000004"],
            goldens.at("snapshot-00000000000000000004").size());
  EXPECT_GT(shown["segment-00000000000000000001"], 200u);
}

}  // namespace
}  // namespace assent::txlog
