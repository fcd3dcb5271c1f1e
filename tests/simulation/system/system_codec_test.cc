// The same stories with the records and states that are kept for ever in between.
#include <gtest/gtest.h>

#include <utility>

#include "coordinator/server/record_codec.h"
#include "tests/simulation/system/system_story.h"

namespace assent::simulation {
namespace {

using coordinator::Record;

TEST(SystemCodecTest, LivesComeRightThroughTheRealCodec) {
  const coordinator::RecordCodec codec;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SystemStory plain(seed);
    SystemStory story(seed, Tracing::kNone, &codec);
    EXPECT_EQ(story.Run(), plain.Run()) << "seed " << seed;
    EXPECT_EQ(story.met().steps, plain.met().steps) << "seed " << seed;
  }
}

// A codec that loses something.
class Forgetful final : public coordinator::Codec {
 public:
  std::string Encode(const Record& record) const override { return real_.Encode(record); }
  Result<Record> Decode(std::string_view bytes) const override {
    Result<Record> record = real_.Decode(bytes);
    if (auto* decision = std::get_if<coordinator::Decision>(&*record)) decision->client_key.clear();
    return record;
  }
  std::string EncodeState(const coordinator::DecisionTable::State& state) const override {
    return real_.EncodeState(state);
  }
  Result<coordinator::DecisionTable::State> DecodeState(std::string_view bytes) const override {
    return real_.DecodeState(bytes);
  }

 private:
  coordinator::RecordCodec real_;
};

TEST(SystemCodecTest, WhatACodecLosesIsSeen) {
  const Forgetful codec;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SystemStory plain(seed);
    SystemStory story(seed, Tracing::kNone, &codec);
    if (story.Run() != plain.Run() || story.met().steps != plain.met().steps) return;
  }
  ADD_FAILURE() << "60 seeds do not miss it";
}

}  // namespace
}  // namespace assent::simulation
