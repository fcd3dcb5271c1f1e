// Which branches of Begin this agent has opened already, and may therefore never open again.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>

#include "base/ids.h"

namespace assent::agent {

// A gid is never prepared twice (docs/protocols.md 16.3), but a gid of Begin is opened without
// asking the coordinator, and a request may come twice: retried by its sender, or held up for as
// long as it likes. While the branch lives, the agent sees that by itself. Afterwards this memory
// tells, as the anti-replay window of IPsec does (RFC 4303, section 3.4.3): the newest kRemembered
// gids of an epoch are known one by one, and what is older than all of those is refused unseen.
//
// It is lost with the process. So the coordinator names, with each gid, the incarnation of the
// agent that may open it, and every later incarnation refuses.
//
// Not thread-safe.
class OpenedGids {
 public:
  // Of one epoch; at most 8 MiB.
  static constexpr size_t kRemembered = 1 << 17;

  enum class Verdict : uint8_t {
    kFresh,        // Not opened yet, and now taken for opened.
    kOtherHolder,  // Meant for another incarnation: that one may have opened it.
    kRepeated,     // Opened before.
    kTooOld,       // May have been: it is older than everything that is remembered.
  };

  explicit OpenedGids(uint64_t incarnation, size_t remembered = kRemembered)
      : incarnation_(incarnation), remembered_(remembered) {}

  // `holder`: the incarnation of the agent that the coordinator meant.
  Verdict Open(const Gid& gid, uint64_t holder);

  // Epochs before `epoch` are over: whoever calls this opens no branch of theirs any more.
  void EpochBegan(uint64_t epoch) { epochs_.erase(epochs_.begin(), epochs_.lower_bound(epoch)); }

 private:
  // What tells gids of one epoch apart.
  struct Key {
    uint64_t seq = 0;
    uint32_t branch = 0;
    uint32_t attempt = 0;
    auto operator<=>(const Key&) const = default;
  };
  struct Epoch {
    std::set<Key> opened;
    Key forgotten;  // Nothing up to here is known any more.
    bool forgot = false;
  };

  uint64_t incarnation_;
  size_t remembered_;
  std::map<uint64_t, Epoch> epochs_;
};

}  // namespace assent::agent
