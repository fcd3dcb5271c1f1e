// What waits to be sent, for each peer, bounded in bytes: many threads put in, one takes out.
#pragma once

#include <cstddef>
#include <map>
#include <vector>

#include "base/mutex.h"
#include "txlog/transport/message.h"
#include "txlog/transport/metrics.h"

namespace assent::txlog {

// What became of a message that was to be sent. All but kQueued: it is dropped and counted.
enum class SendResult {
  kQueued,    // It leaves soon, unless the connection breaks.
  kDown,      // There is no connection to that member, or it is no peer.
  kFull,      // The peer is slow: as many bytes as allowed wait already.
  kTooLarge,  // More than a frame may hold: sending it again is in vain.
};

// Thread-safe.
class Outboxes {
 public:
  Outboxes(size_t message_bytes_max, size_t queue_bytes_max)
      : message_bytes_max_(message_bytes_max), queue_bytes_max_(queue_bytes_max) {}

  // `wake` is set if the taker sleeps and must be woken.
  SendResult Push(MemberId to, Message message, bool* wake) EXCLUDES(mutex_);

  // The rest is the taker's.

  // The peer can be sent to from now on. `counters` must outlive it.
  void Open(MemberId to, PeerCounters& counters) EXCLUDES(mutex_);
  // No more; what waits is dropped and counted.
  void Close(MemberId to) EXCLUDES(mutex_);

  struct Batch {
    MemberId to;
    std::vector<Message> messages;
  };
  // All that waits, in the order it was pushed. It counts for the bound until Written.
  std::vector<Batch> Take() EXCLUDES(mutex_);
  void Written(MemberId to, size_t cost) EXCLUDES(mutex_);

  // False if something waits. True: Push says when to wake, until Awake.
  bool MaySleep() EXCLUDES(mutex_);
  void Awake() EXCLUDES(mutex_);

 private:
  struct Outbox {
    PeerCounters* counters = nullptr;
    bool open = false;
    std::vector<Message> waiting;
    size_t cost = 0;  // Of what waits, and of what was taken and is not written yet.
  };

  const size_t message_bytes_max_;
  const size_t queue_bytes_max_;
  Mutex mutex_;
  std::map<MemberId, Outbox> outboxes_ GUARDED_BY(mutex_);
  bool any_ GUARDED_BY(mutex_) = false;       // Something waits.
  bool sleeping_ GUARDED_BY(mutex_) = false;  // The taker.
};

}  // namespace assent::txlog
