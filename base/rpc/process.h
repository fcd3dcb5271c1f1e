// What a server process of ours sets once for the libraries below gRPC.
#pragma once

namespace assent::rpc {

// Call it first in main. The distribution builds Abseil as for debugging: each of gRPC's locks is
// then entered into a graph, to find locks taken in two orders. That looks for bugs of gRPC's, not
// of ours, at every lock of every call. Not for libraries: it is the whole process that is set.
void PrepareProcess();

}  // namespace assent::rpc
