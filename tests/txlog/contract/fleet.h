// The processes of one group, on whichever engine: what the contract suite needs to know of one.
#pragma once

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "base/status.h"
#include "txlog/decision_log.h"

namespace assent::txlog {

inline constexpr char kFirstRecord[] = "first";

// A group whose log begins with kFirstRecord. Destroy its logs first.
class Fleet {
 public:
  virtual ~Fleet() = default;
  // How many processes there may be, from 0.
  virtual size_t size() const = 0;
  // Process `which`; at most one log of each at a time.
  virtual Result<std::unique_ptr<DecisionLog>> Open(size_t which, Listener& listener,
                                                    uint64_t snapshot_after_bytes) = 0;
};

struct EngineUnderTest {
  std::string name;  // Letters, digits and underscores.
  size_t processes = 1;
  // Only the leader writes snapshots, for all.
  bool shared_snapshots = false;
  // NOT_FOUND: it can't be had here.
  std::function<Result<std::unique_ptr<Fleet>>()> make;

  friend void PrintTo(const EngineUnderTest& engine, std::ostream* out) { *out << engine.name; }
};

// Those that this test binary is built with.
std::vector<EngineUnderTest> Engines();

}  // namespace assent::txlog
