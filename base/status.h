// Status and Result<T>: errors as values, for every room. Standard library only, so that the pure
// cores and ThreadSanitizer builds may use it; the gRPC shells convert at the edge (base/rpc).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace assent {

// The well-known codes, with the numbers of gRPC, so that conversion is a cast. A code exists
// because a caller reacts to it; what the caller does stands beside it.
enum class Code : uint8_t {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,   // Mend the request; retrying the same one cannot succeed.
  kDeadlineExceeded = 4,  // The work may or may not have happened: ask, or retry idempotently.
  kNotFound = 5,          // The named thing does not exist (here).
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,   // A named maximum is reached: retry after the delay that is given.
  kFailedPrecondition = 9,  // An operator or the caller must change something first.
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,     // A bug: please report it.
  kUnavailable = 14,  // Retry, here or elsewhere; nothing was done unless stated.
  kDataLoss = 15,     // Stored bytes are damaged.
  kUnauthenticated = 16,
};

// "INVALID_ARGUMENT" and so on, as gRPC spells it.
std::string_view CodeName(Code code);

// A code and a message for people: what was tried, on what, what came back, what to do.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }
  // "OK", or "CODE_NAME: message".
  std::string ToString() const;

  bool operator==(const Status&) const = default;

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

inline Status Ok() { return {}; }
Status InvalidArgument(std::string message);
Status DeadlineExceeded(std::string message);
Status NotFound(std::string message);
Status AlreadyExists(std::string message);
Status PermissionDenied(std::string message);
Status ResourceExhausted(std::string message);
Status FailedPrecondition(std::string message);
Status Aborted(std::string message);
Status Internal(std::string message);
Status Unavailable(std::string message);
Status DataLoss(std::string message);
Status Unimplemented(std::string message);

// Either a value or a Status that is not OK.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}
  Result(Status status) : status_(std::move(status)) { ASSENT_CHECK(!status_.ok()); }

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }

  T& value() & {
    ASSENT_CHECK(ok());
    return *value_;
  }
  const T& value() const& {
    ASSENT_CHECK(ok());
    return *value_;
  }
  T&& value() && {
    ASSENT_CHECK(ok());
    return std::move(*value_);
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace assent
