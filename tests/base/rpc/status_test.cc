#include "base/rpc/status.h"

#include <gtest/gtest.h>

namespace assent::rpc {
namespace {

TEST(RpcStatusTest, EveryCodeMessageAndDetailSurvivesTheWire) {
  for (int code = 1; code <= static_cast<int>(Code::kUnauthenticated); ++code) {
    Status before(static_cast<Code>(code), "what happened");
    v1::ErrorDetail detail;
    detail.set_reason(v1::REASON_NOT_LEADER);
    detail.set_leader("node-2:7400");
    grpc::Status wire = ToGrpc(before, detail);
    v1::ErrorDetail after;
    EXPECT_EQ(FromGrpc(wire, &after), before) << code;
    EXPECT_EQ(after.leader(), "node-2:7400");
    EXPECT_EQ(after.reason(), v1::REASON_NOT_LEADER);
  }
  EXPECT_TRUE(ToGrpc(Ok()).ok());
  EXPECT_TRUE(FromGrpc(grpc::Status::OK).ok());
}

TEST(RpcStatusTest, ForeignCodesAndDetailsAreNotTrusted) {
  v1::ErrorDetail detail;
  detail.set_gtrid("stale");
  // Past the last code, and still a value that the enum can hold.
  grpc::Status foreign(static_cast<grpc::StatusCode>(17), "?", "\xff\xff not a proto");
  EXPECT_EQ(FromGrpc(foreign, &detail).code(), Code::kUnknown);
  EXPECT_EQ(detail.ByteSizeLong(), 0u);
}

TEST(RpcStatusTest, LongMessagesAreCutBetweenCharacters) {
  std::string text = std::string(kMessageBytesMax - 4, 'a') + "\u20ac\u20ac";
  std::string cut = ToGrpc(Internal(text)).error_message();
  EXPECT_EQ(cut, std::string(kMessageBytesMax - 4, 'a') + "...");
}

}  // namespace
}  // namespace assent::rpc
