#include "txlog/transport/frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/mutant.h"

namespace assent::txlog {
namespace {

using ::testing::HasSubstr;

constexpr size_t kMax = 1 << 20;

struct Outcome {
  std::vector<Frame> frames;
  std::string problem;
};

// Reads `stream` in pieces of at most `piece` bytes.
Outcome ReadAll(const std::string& stream, size_t piece, size_t payload_max = kMax) {
  FrameReader reader(payload_max);
  Outcome out;
  size_t at = 0;
  while (true) {
    Frame frame;
    switch (reader.Next(&frame)) {
      case FrameReader::Found::kFrame:
        out.frames.push_back(std::move(frame));
        continue;
      case FrameReader::Found::kBad:
        out.problem = reader.problem();
        return out;
      case FrameReader::Found::kNone:
        break;
    }
    if (at == stream.size()) return out;
    const std::span<char> space = reader.Space();
    const size_t n = std::min({space.size(), piece, stream.size() - at});
    std::memcpy(space.data(), stream.data() + at, n);
    reader.Filled(n);
    at += n;
  }
}

std::string Payload(size_t bytes) {
  std::string payload(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i) payload[i] = static_cast<char>(i * 131 + bytes);
  return payload;
}

TEST(FrameTest, FramesComeOutAsTheyWentInHoweverTheStreamIsCut) {
  const std::vector<size_t> sizes = {0, 1, 11, 12, 13, 4096, 65535, 65536, 200'000, 3, kMax, 0};
  std::string stream;
  for (size_t size : sizes) stream += EncodeFrame(FrameType::kMessage, Payload(size));
  for (size_t piece : {size_t{1}, size_t{7}, size_t{12}, size_t{4096}, stream.size()}) {
    Outcome outcome = ReadAll(stream, piece);
    ASSERT_EQ(outcome.problem, "") << piece;
    ASSERT_EQ(outcome.frames.size(), sizes.size()) << piece;
    for (size_t i = 0; i < sizes.size(); ++i) {
      EXPECT_EQ(outcome.frames[i].type, FrameType::kMessage);
      ASSERT_EQ(outcome.frames[i].payload, Payload(sizes[i])) << piece << " " << i;
    }
  }
}

TEST(FrameTest, PartsAreOnePayload) {
  const Message parts({std::make_shared<const std::string>("ab"),
                       std::make_shared<const std::string>(""),
                       std::make_shared<const std::string>("c")});
  EXPECT_EQ(EncodeFrameHeader(FrameType::kMessage, parts),
            EncodeFrameHeader(FrameType::kMessage, Message("abc")));
}

// Returns the number of changed bits that went unnoticed.
int UnnoticedChanges() {
  const std::string frame = EncodeFrame(FrameType::kMessage, "payload");
  int unnoticed = 0;
  for (size_t bit = 0; bit < 8 * frame.size(); ++bit) {
    std::string changed = frame;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    // A longer length is noticed when what follows arrives.
    Outcome outcome = ReadAll(changed + std::string(70'000, '\0'), 1 << 16, 64'000);
    if (!outcome.frames.empty()) ++unnoticed;
  }
  return unnoticed;
}

TEST(FrameTest, EveryChangedBitIsNoticed) { EXPECT_EQ(UnnoticedChanges(), 0); }

#if defined(ASSENT_FAILPOINTS)
TEST(FrameTest, ASeededBugInTheChecksumIsCaught) {
  ScopedMutant mutant(Mutant::kFrameChecksumIgnored);
  EXPECT_GT(UnnoticedChanges(), 0);
}
#endif

TEST(FrameTest, TheLimitIsExact) {
  const std::string stream = EncodeFrame(FrameType::kMessage, Payload(1000));
  EXPECT_EQ(ReadAll(stream, 100, 1000).frames.size(), 1u);
  Outcome outcome = ReadAll(stream, 100, 999);
  EXPECT_TRUE(outcome.frames.empty());
  EXPECT_THAT(outcome.problem, HasSubstr("1000 bytes, of at most 999"));
}

TEST(FrameTest, WhatIsNoFrameIsNoticedAtItsHeader) {
  EXPECT_THAT(ReadAll("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 100).problem, HasSubstr("no frame"));
  for (uint8_t type : {0, 6, 255}) {
    std::string frame = EncodeFrame(FrameType::kMessage, "x");
    frame[8] = static_cast<char>(type);
    EXPECT_THAT(ReadAll(frame, 100).problem, HasSubstr("no frame")) << int{type};
  }
}

TEST(FrameTest, ABadStreamStaysBad) {
  FrameReader reader(kMax);
  const std::string garbage(64, '\xff');
  std::memcpy(reader.Space().data(), garbage.data(), garbage.size());
  reader.Filled(garbage.size());
  Frame frame;
  EXPECT_EQ(reader.Next(&frame), FrameReader::Found::kBad);
  EXPECT_EQ(reader.Next(&frame), FrameReader::Found::kBad);
}

}  // namespace
}  // namespace assent::txlog
