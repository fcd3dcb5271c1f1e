// The fuzzers' promises on a few thousand changed golden files, in every build.
#include <gtest/gtest.h>

#include <random>

#include "tests/fuzz/txlog/decoders.h"
#include "tests/txlog/golden_files.h"

namespace assent::txlog {
namespace {

std::string Change(std::string bytes, std::mt19937_64& random) {
  for (int changes = 1 + random() % 3; changes > 0 && !bytes.empty(); --changes) {
    // Mostly near the beginning, where the structure is.
    const size_t near = random() % 4 == 0 ? bytes.size() : std::min<size_t>(bytes.size(), 400);
    const size_t at = random() % near;
    switch (random() % 4) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ 1 << random() % 8);
        break;
      case 1:
        bytes[at] = static_cast<char>(random());
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3:
        bytes.insert(at, bytes.substr(random() % bytes.size(), random() % 64));
        break;
    }
  }
  return bytes;
}

TEST(Decoders, HoldTheirPromisesOnChangedGoldenFiles) {
  std::mt19937_64 random(20261120);
  int files = 0;
  for (const char* set : kGoldenSets) {
    for (const auto& [name, golden] : GoldenFiles(set)) {
      ++files;
      for (int i = 0; i < 3000; ++i) {
        const std::string bytes = Change(golden, random);
        if (name == "node") {
          CheckNodeFileDecoder(bytes);
          continue;
        }
        std::string mended = bytes;
        const bool segment = name.starts_with("segment-");
        segment ? MendSegmentChecksums(mended) : MendFileChecksums(mended);
        for (const std::string& input : {bytes, mended}) {
          CheckSegmentDecoder(input);
          CheckHardStateDecoder(input);
          CheckSnapshotDecoder(input);
        }
      }
    }
  }
  EXPECT_EQ(files, 10);
}

// A file that is damaged anywhere is noticed: one flipped bit, everywhere.
TEST(Decoders, NoticeEveryFlippedBitOfASmallFile) {
  const std::string state = EncodeHardState({.term = 7, .vote = 1, .log_floor = 9});
  const std::string snapshot = EncodeSnapshotHeader(4, 2, "state") + "state";
  const std::string node = EncodeNodeFile({"bank", "3f0c2f4e-7a51-4d0b-9d7e-1c2b3a495867", 1});
  auto flipped = [](std::string bytes, size_t bit) {
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
    return bytes;
  };
  for (size_t bit = 0; bit < state.size() * 8; ++bit) {
    EXPECT_EQ(DecodeHardState(flipped(state, bit), "f").status().code(), Code::kDataLoss) << bit;
  }
  for (size_t bit = 0; bit < snapshot.size() * 8; ++bit) {
    EXPECT_EQ(DecodeSnapshot(flipped(snapshot, bit), "f").status().code(), Code::kDataLoss) << bit;
  }
  for (size_t bit = 0; bit < node.size() * 8; ++bit) {
    EXPECT_EQ(DecodeNodeFile(flipped(node, bit), "f").status().code(), Code::kDataLoss) << bit;
  }
}

}  // namespace
}  // namespace assent::txlog
