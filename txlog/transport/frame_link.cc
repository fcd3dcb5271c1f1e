#include "txlog/transport/frame_link.h"

#include <algorithm>
#include <utility>

#include "txlog/transport/handshake.h"

namespace assent::txlog {
namespace {

// Then others have their turn.
constexpr size_t kReceiveBytesAtOnce = 1 << 20;

}  // namespace

FrameLink::FrameLink(std::unique_ptr<Stream> stream, MonotonicTime now)
    : stream_(std::move(stream)),
      reader_(kHandshakeBytesMax),
      last_received_(now),
      last_sent_(now) {}

FrameLink::Received FrameLink::Receive(MonotonicTime now, const std::function<Take(Frame&)>& take) {
  size_t read = 0;
  bool drained = false;
  while (true) {
    while (true) {
      if (!held_) {
        Frame frame;
        const FrameReader::Found found = reader_.Next(&frame);
        if (found == FrameReader::Found::kNone) break;
        if (found == FrameReader::Found::kBad) {
          why_ = reader_.problem();
          return Received::kClosed;
        }
        held_ = std::move(frame);
      }
      switch (take(*held_)) {
        case Take::kTaken:
          held_.reset();
          break;
        case Take::kFull:
          return Received::kFull;
        case Take::kClose:
          return Received::kClosed;
      }
    }
    if (drained) return Received::kAll;
    if (read >= kReceiveBytesAtOnce) return Received::kMore;
    const Stream::Progress progress = stream_->Read(reader_.Space());
    if (progress.io == Stream::Io::kBlocked) return Received::kAll;
    if (progress.io == Stream::Io::kClosed) return Received::kClosed;
    reader_.Filled(progress.bytes);
    read += progress.bytes;
    bytes_received_ += progress.bytes;
    last_received_ = now;
    drained = progress.drained;
  }
}

void FrameLink::Queue(FrameType type, Message payload) {
  const size_t bytes = kFrameHeaderBytes + payload.bytes();
  const FrameHeader header = EncodeFrameHeader(type, payload);
  queue_.push_back({header, type, std::move(payload), bytes});
}

size_t FrameLink::Gather(std::array<iovec, kPartsMax>& parts) const {
  size_t count = 0;
  size_t skip = front_sent_;
  const auto add = [&](const char* data, size_t bytes) {
    const size_t skipped = std::min(skip, bytes);
    skip -= skipped;
    if (skipped == bytes || count == parts.size()) return;
    parts[count++] = {const_cast<char*>(data) + skipped, bytes - skipped};
  };
  for (const Outgoing& frame : queue_) {
    if (count == parts.size()) break;
    add(frame.header.data(), frame.header.size());
    for (const auto& part : frame.payload.parts) add(part->data(), part->size());
  }
  return count;
}

void FrameLink::Sent(size_t bytes) {
  bytes_sent_ += bytes;
  front_sent_ += bytes;
  while (!queue_.empty() && front_sent_ >= queue_.front().bytes) {
    const Outgoing& done = queue_.front();
    front_sent_ -= done.bytes;
    if (done.type == FrameType::kMessage) {
      ++written_.messages;
      written_.cost += done.payload.cost();
    }
    queue_.pop_front();
  }
}

size_t FrameLink::unwritten_messages() const {
  return static_cast<size_t>(std::count_if(queue_.begin(), queue_.end(), [](const Outgoing& frame) {
    return frame.type == FrameType::kMessage;
  }));
}

bool FrameLink::Flush(MonotonicTime now) {
  std::array<iovec, kPartsMax> parts;
  while (wants_write()) {
    const size_t count = Gather(parts);
    const Stream::Progress progress = stream_->Write({parts.data(), count});
    if (progress.bytes > 0) {
      Sent(progress.bytes);
      last_sent_ = now;
    }
    if (progress.io == Stream::Io::kClosed) return false;
    if (progress.io == Stream::Io::kBlocked || stream_->wants_write()) return true;
  }
  return true;
}

}  // namespace assent::txlog
