// Frames over one stream, in both directions: what the dialling and the accepting side share.
#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "txlog/transport/frame.h"
#include "txlog/transport/stream.h"

namespace assent::txlog {

// Not thread-safe.
class FrameLink {
 public:
  FrameLink(std::unique_ptr<Stream> stream, MonotonicTime now);

  // TLS's handshake. Nothing else before kDone.
  Stream::Io Shake() { return stream_->Shake(); }

  // What becomes of a frame that was read.
  enum class Take {
    kTaken,
    kFull,   // Not now. It is offered first next time.
    kClose,  // It should not have come; the taker knows why.
  };
  enum class Received {
    kAll,     // What had come; wait for the socket.
    kMore,    // There may be more, but others want their turn: call again soon.
    kFull,    // The taker was full.
    kClosed,  // Over. why() tells, unless the taker closed it.
  };
  // Hands every frame that has come to `take`, in order.
  Received Receive(MonotonicTime now, const std::function<Take(Frame&)>& take);

  void Queue(FrameType type, Message payload);
  // Writes what the socket takes. False: the connection is over.
  bool Flush(MonotonicTime now);
  // Messages (frames of that type), and what they cost.
  struct Count {
    size_t messages = 0;
    size_t cost = 0;
  };
  // Those that were written completely since the last call.
  Count TakeWritten() { return std::exchange(written_, {}); }
  // Those that were not.
  size_t unwritten_messages() const;

  void SetPayloadMax(size_t bytes) { reader_.SetPayloadMax(bytes); }
  bool wants_write() const { return stream_->wants_write() || !queue_.empty(); }
  bool idle() const { return !wants_write(); }
  MonotonicTime last_received() const { return last_received_; }
  MonotonicTime last_sent() const { return last_sent_; }
  uint64_t bytes_received() const { return bytes_received_; }
  uint64_t bytes_sent() const { return bytes_sent_; }
  const Stream& stream() const { return *stream_; }
  const std::string& why() const { return why_.empty() ? stream_->why() : why_; }

 private:
  struct Outgoing {
    FrameHeader header;
    FrameType type;
    Message payload;
    size_t bytes;  // With the header.
  };
  static constexpr size_t kPartsMax = 128;  // Of one call of the system.
  size_t Gather(std::array<iovec, kPartsMax>& parts) const;
  void Sent(size_t bytes);

  std::unique_ptr<Stream> stream_;
  FrameReader reader_;
  std::optional<Frame> held_;  // Read, and not taken yet.
  std::deque<Outgoing> queue_;
  size_t front_sent_ = 0;  // Bytes of the first one.
  Count written_;
  MonotonicTime last_received_;
  MonotonicTime last_sent_;
  uint64_t bytes_received_ = 0;
  uint64_t bytes_sent_ = 0;
  std::string why_;
};

}  // namespace assent::txlog
