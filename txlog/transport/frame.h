// The frames that peers exchange, as bytes. Pure: who reads and writes them is elsewhere.
//
//   checksum u32   CRC-32C of everything behind it
//   length   u32   of the payload
//   type     u8
//   flags    u8    0
//   zero     u16   0
//   payload
//
// Numbers are little-endian. These twelve bytes stay as they are in every version, and so do the
// first bytes of the handshake, so that two versions can tell each other that they differ.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "txlog/transport/message.h"

namespace assent::txlog {

enum class FrameType : uint8_t {
  kHello = 1,      // First of who dialled.
  kWelcome = 2,    // The answer: messages may follow.
  kRefusal = 3,    // The other answer; the connection ends.
  kMessage = 4,    // Who dialled sends it, and nobody else.
  kHeartbeat = 5,  // Empty: "I am here", both ways.
};

struct Frame {
  FrameType type = FrameType::kHeartbeat;
  std::string payload;
};

inline constexpr size_t kFrameHeaderBytes = 12;
using FrameHeader = std::array<char, kFrameHeaderBytes>;

// The header of a frame with this payload (less than 4 GiB).
FrameHeader EncodeFrameHeader(FrameType type, const Message& payload);
// All of a small frame.
std::string EncodeFrame(FrameType type, const std::string& payload);

// Finds frames in a stream of bytes, however it is cut. Memory: a buffer and one payload.
//
//   do { fill Space(); Filled(n); while (Next(&frame) == kFrame) ...; } while not kBad
class FrameReader {
 public:
  explicit FrameReader(size_t payload_max);

  // From the next header on.
  void SetPayloadMax(size_t payload_max) { payload_max_ = payload_max; }

  // Where the next bytes of the stream go, never empty. Only after Next said kNone, or at first.
  std::span<char> Space();
  // So many came, from the start of Space().
  void Filled(size_t bytes);

  enum class Found {
    kFrame,
    kNone,  // Not enough bytes.
    kBad,   // The stream makes no sense from here on: close it. problem() says why. For ever.
  };
  Found Next(Frame* frame);
  const std::string& problem() const { return problem_; }

 private:
  bool ReadHeader();
  Found Bad(std::string problem);

  size_t payload_max_;
  std::string buffer_;
  size_t begin_ = 0;  // Of what is in the buffer and not taken yet.
  size_t end_ = 0;
  bool in_payload_ = false;
  FrameHeader header_{};
  Frame frame_;        // In the making.
  size_t filled_ = 0;  // Of its payload.
  std::string problem_;
};

}  // namespace assent::txlog
