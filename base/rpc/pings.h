// Pings on connections over which a call waits: both ends must agree how many are too many.
#pragma once

namespace assent::rpc {

// A silent host is noticed after the sum of both at the latest.
inline constexpr int kPingEveryMs = 1'000;
// Generous: an answer needs nothing but a thread of the other process.
inline constexpr int kPingAnswerMs = 1'500;
// What a server allows; more often, it closes the connection.
inline constexpr int kPingAllowedMs = kPingEveryMs / 2;

}  // namespace assent::rpc
