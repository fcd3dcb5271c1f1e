#include "base/rpc/status.h"

namespace assent::rpc {

grpc::Status ToGrpc(const Status& status, const v1::ErrorDetail& detail) {
  if (status.ok()) return grpc::Status::OK;
  std::string message = status.message();
  if (message.size() > kMessageBytesMax) {
    size_t end = kMessageBytesMax - 3;
    // Not in the middle of a character: UTF-8 continues with 10xxxxxx.
    while (end > 0 && (static_cast<unsigned char>(message[end]) & 0xC0) == 0x80) --end;
    message = message.substr(0, end) + "...";
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), message,
                      detail.SerializeAsString());
}

Status FromGrpc(const grpc::Status& status, v1::ErrorDetail* detail) {
  // What other programs put into the details is not ours to read, and need not parse.
  if (detail != nullptr && !detail->ParseFromString(status.error_details())) detail->Clear();
  if (status.ok()) return Ok();
  int code = status.error_code();
  bool known = code > 0 && code <= static_cast<int>(Code::kUnauthenticated);
  return {known ? static_cast<Code>(code) : Code::kUnknown, status.error_message()};
}

}  // namespace assent::rpc
