#include "txlog/transport/frame.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/crc32c.h"
#include "base/mutant.h"
#include "txlog/storage/bytes.h"

namespace assent::txlog {
namespace {

constexpr size_t kBufferBytes = 64 << 10;
constexpr size_t kChecksumBytes = 4;

std::string_view View(const FrameHeader& header) { return {header.data(), header.size()}; }

}  // namespace

FrameHeader EncodeFrameHeader(FrameType type, const Message& payload) {
  std::string rest;
  PutNumber<uint32_t>(rest, static_cast<uint32_t>(payload.bytes()));
  PutNumber<uint8_t>(rest, static_cast<uint8_t>(type));
  PutNumber<uint8_t>(rest, 0);
  PutNumber<uint16_t>(rest, 0);
  uint32_t checksum = Crc32c(rest);
  for (const auto& part : payload.parts) checksum = Crc32c(*part, checksum);
  std::string all;
  PutNumber(all, checksum);
  all += rest;
  FrameHeader header;
  std::copy(all.begin(), all.end(), header.begin());
  return header;
}

std::string EncodeFrame(FrameType type, const std::string& payload) {
  const FrameHeader header = EncodeFrameHeader(type, Message(payload));
  return std::string(View(header)) + payload;
}

FrameReader::FrameReader(size_t payload_max)
    : payload_max_(payload_max), buffer_(kBufferBytes, '\0') {}

std::span<char> FrameReader::Space() {
  // What is large goes where it belongs, without a stop in the buffer.
  if (in_payload_ && frame_.payload.size() - filled_ >= kBufferBytes) {
    return {frame_.payload.data() + filled_, frame_.payload.size() - filled_};
  }
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  return {buffer_.data() + end_, buffer_.size() - end_};
}

void FrameReader::Filled(size_t bytes) {
  if (in_payload_ && frame_.payload.size() - filled_ >= kBufferBytes) {
    filled_ += bytes;
  } else {
    end_ += bytes;
  }
}

FrameReader::Found FrameReader::Next(Frame* frame) {
  if (!problem_.empty()) return Found::kBad;
  if (!in_payload_) {
    if (end_ - begin_ < kFrameHeaderBytes) return Found::kNone;
    if (!ReadHeader()) return Found::kBad;
  }
  const size_t more = std::min(frame_.payload.size() - filled_, end_ - begin_);
  std::memcpy(frame_.payload.data() + filled_, buffer_.data() + begin_, more);
  filled_ += more;
  begin_ += more;
  if (filled_ < frame_.payload.size()) return Found::kNone;
  const uint32_t checksum = Crc32c(frame_.payload, Crc32c(View(header_).substr(kChecksumBytes)));
  if (checksum != GetNumber<uint32_t>(View(header_), 0) &&
      !MutantOn(Mutant::kFrameChecksumIgnored)) {
    return Bad("a frame of " + std::to_string(frame_.payload.size()) +
               " bytes has a wrong checksum");
  }
  in_payload_ = false;
  *frame = std::exchange(frame_, {});
  return Found::kFrame;
}

bool FrameReader::ReadHeader() {
  std::memcpy(header_.data(), buffer_.data() + begin_, kFrameHeaderBytes);
  begin_ += kFrameHeaderBytes;
  const std::string_view header = View(header_);
  const auto length = GetNumber<uint32_t>(header, 4);
  const auto type = GetNumber<uint8_t>(header, 8);
  if (type < static_cast<uint8_t>(FrameType::kHello) ||
      type > static_cast<uint8_t>(FrameType::kHeartbeat) || GetNumber<uint8_t>(header, 9) != 0 ||
      GetNumber<uint16_t>(header, 10) != 0) {
    Bad("what came is no frame");
    return false;
  }
  if (length > payload_max_) {
    Bad("a frame of " + std::to_string(length) + " bytes, of at most " +
        std::to_string(payload_max_));
    return false;
  }
  frame_ = {static_cast<FrameType>(type), std::string(length, '\0')};
  filled_ = 0;
  in_payload_ = true;
  return true;
}

FrameReader::Found FrameReader::Bad(std::string problem) {
  problem_ = std::move(problem);
  return Found::kBad;
}

}  // namespace assent::txlog
