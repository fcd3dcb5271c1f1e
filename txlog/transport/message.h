// What a node sends to another: bytes that nobody here looks into.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace assent::txlog {

// Of a node in its group; from 1, never used again for another node.
using MemberId = uint64_t;

// The payload is the parts, one behind the other. Parts are shared, so that what goes to several
// peers is not copied for each; nobody may change one afterwards.
struct Message {
  std::vector<std::shared_ptr<const std::string>> parts;

  Message() = default;
  explicit Message(std::string bytes)
      : parts{std::make_shared<const std::string>(std::move(bytes))} {}
  explicit Message(std::vector<std::shared_ptr<const std::string>> all) : parts(std::move(all)) {}

  size_t bytes() const {
    size_t sum = 0;
    for (const auto& part : parts) sum += part->size();
    return sum;
  }
  // What it counts for where memory is bounded: many small ones need memory too.
  size_t cost() const { return bytes() + 64 + 64 * parts.size(); }
};

}  // namespace assent::txlog
