// What peers send, cut in any pieces: half of the inputs are taken as the stream, the others as
// damage to a stream of right frames, which random bytes would hardly ever be.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "base/check.h"
#include "txlog/transport/frame.h"

namespace {

using namespace assent::txlog;

constexpr size_t kPayloadMax = 100'000;

// Whatever is found is, written again, what stood there.
void CheckStream(const std::string& stream, size_t piece) {
  FrameReader reader(kPayloadMax);
  std::string again;
  size_t at = 0;
  while (true) {
    Frame frame;
    const FrameReader::Found found = reader.Next(&frame);
    if (found == FrameReader::Found::kFrame) {
      ASSENT_CHECK(frame.payload.size() <= kPayloadMax);
      again += EncodeFrame(frame.type, frame.payload);
      continue;
    }
    if (found == FrameReader::Found::kBad) {
      ASSENT_CHECK(!reader.problem().empty());
      break;
    }
    if (at == stream.size()) break;
    const std::span<char> space = reader.Space();
    ASSENT_CHECK(!space.empty());
    const size_t n = std::min({space.size(), piece, stream.size() - at});
    std::memcpy(space.data(), stream.data() + at, n);
    reader.Filled(n);
    at += n;
  }
  ASSENT_CHECK(stream.starts_with(again));
}

std::string GoodStream() {
  std::string stream;
  for (size_t size : {0, 1, 12, 50, 300, 70'000, 7}) {
    stream += EncodeFrame(FrameType::kMessage, std::string(size, 'x'));
  }
  return stream;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const size_t piece = size_t{1} + data[1] * data[1];
  std::string input(reinterpret_cast<const char*>(data + 2), size - 2);
  if (data[0] % 2 == 0) {
    CheckStream(input, piece);
    return 0;
  }
  static const std::string good = GoodStream();
  std::string stream = good;
  for (size_t i = 0; i + 3 < input.size(); i += 4) {  // Where, in three bytes, and what.
    const size_t at = static_cast<uint8_t>(input[i]) << 16 |
                      static_cast<uint8_t>(input[i + 1]) << 8 | static_cast<uint8_t>(input[i + 2]);
    stream[at % stream.size()] ^= input[i + 3];
  }
  CheckStream(stream, piece + 64);
  return 0;
}
