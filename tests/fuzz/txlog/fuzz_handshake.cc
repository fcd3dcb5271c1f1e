// The first words of whoever connects, before anything is known of them. What is accepted is
// written again as it was, but for what cannot be printed.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "txlog/transport/handshake.h"

namespace {

using namespace assent::txlog;

bool Printable(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

void Check(std::string_view bytes) {
  const LocalNode us = {"cluster", 1, 5};
  if (const auto hello = DecodeHello(bytes); hello.ok()) {
    ASSENT_CHECK(Printable(hello->cluster_uuid) && Printable(hello->address));
    if (hello->version == kTransportVersion) {
      ASSENT_CHECK(EncodeHello(*hello).size() == bytes.size());
      ASSENT_CHECK(*DecodeHello(EncodeHello(*hello)) == *hello);
    }
    if (const auto refusal = JudgeHello(*hello, us, true)) {
      ASSENT_CHECK(DecodeRefusal(EncodeRefusal(*refusal)).ok());
      ASSENT_CHECK(EncodeRefusal(*refusal).size() <= kHandshakeBytesMax);
    } else {
      ASSENT_CHECK(hello->cluster_uuid == us.cluster_uuid && hello->to == us.member);
    }
  }
  if (const auto welcome = DecodeWelcome(bytes); welcome.ok()) {
    if (welcome->version == kTransportVersion) {
      ASSENT_CHECK(EncodeWelcome(*welcome).size() == bytes.size());
    }
    if (!JudgeWelcome(*welcome, us, 2)) ASSENT_CHECK(welcome->from == 2);
  }
  if (const auto refusal = DecodeRefusal(bytes); refusal.ok()) {
    ASSENT_CHECK(Printable(refusal->text) && !RefusalName(refusal->reason).empty());
    ASSENT_CHECK(EncodeRefusal(*refusal).size() == bytes.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  Check(input);
  // Past the magic and the version, which are seldom guessed.
  Check(EncodeHello(Hello{}).substr(0, 12) + input);
  return 0;
}
