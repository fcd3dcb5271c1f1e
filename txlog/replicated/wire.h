// What cores say to each other, as bytes. Who sent it and to whom is the transport's to say.
//
//   version u8 (1), kind u8 (the body's place in raft::Body), term u64, then the body's fields in
//   their order: numbers little-endian, flags u8, bytes behind a length u32
//
// Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "txlog/raft/messages.h"

namespace assent::txlog {

inline constexpr uint8_t kWireVersion = 1;

// Without from and to.
std::string EncodeMessage(const raft::Message& message);

// INVALID_ARGUMENT: not what EncodeMessage makes; says what is wrong.
Result<raft::Message> DecodeMessage(std::string_view bytes);

}  // namespace assent::txlog
