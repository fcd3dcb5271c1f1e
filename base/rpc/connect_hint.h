// What stands behind gRPC's words when a connection can't be made.
#pragma once

#include <string>
#include <string_view>

namespace assent::rpc {

// The cause in the operator's terms, from the message of an UNAVAILABLE status: ": the server ...".
// Empty where the message says it well enough, as "Connection refused" does. A server that refuses
// a certificate just closes the connection: only its own log knows why.
std::string ConnectHint(std::string_view grpc_message);

// Whether the message of an UNAVAILABLE status says that the call never left: it may be made again,
// here or elsewhere.
bool NeverConnected(std::string_view grpc_message);

}  // namespace assent::rpc
