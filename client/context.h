// How a transaction travels from one service to another.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/status.h"

namespace assent::client {

// The key under which it goes in gRPC metadata, or in any header: with grpc++,
//   context.AddMetadata(kTransactionMetadataKey, transaction.context().ToString());
inline constexpr char kTransactionMetadataKey[] = "assent-transaction";

// Names a live transaction for those who are to work in it. It is no secret, and no permission: who
// may speak with coordinator and agents decides that.
class TransactionContext {
 public:
  // Reads what ToString wrote, here or in another language. What a newer version may add is
  // skipped. INVALID_ARGUMENT: it is no context; the message says what is wrong.
  static Result<TransactionContext> Parse(std::string_view text);

  TransactionContext(std::string gtrid, std::chrono::milliseconds remaining)
      : gtrid_(std::move(gtrid)), remaining_(remaining) {}

  // Printable ASCII without spaces or quotes, at most 256 bytes: "<gtrid>;remaining-ms=<number>".
  std::string ToString() const;

  const std::string& gtrid() const { return gtrid_; }
  // Until the deadline, when it was made: a duration, since clocks differ.
  std::chrono::milliseconds remaining() const { return remaining_; }

 private:
  std::string gtrid_;
  std::chrono::milliseconds remaining_;
};

}  // namespace assent::client
