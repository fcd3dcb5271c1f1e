// The messages are gRPC's own, as they came; tests/system/tls_test.cc provokes them.
#include "base/rpc/connect_hint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace assent::rpc {
namespace {

using testing::HasSubstr;

const std::string kFailed = "failed to connect to all addresses; last error: ";

TEST(ConnectHintTest, TheCauseIsNamed) {
  struct Case {
    const char* message;
    const char* hint;
  };
  for (const Case& c :
       {Case{"UNAVAILABLE: ipv4:127.0.0.1:7400: Socket closed", "certificate of its authority"},
        Case{
            "UNKNOWN: ipv4:127.0.0.1:7400: Ssl handshake failed: SSL_ERROR_SSL: error:0A00010B:SSL "
            "routines::wrong version number",
            "speaks no TLS"},
        Case{
            "UNKNOWN: ipv4:127.0.0.1:7400: Ssl handshake failed: SSL_ERROR_SSL: error:0A000086:SSL "
            "routines::certificate verify failed",
            "not of the authority"},
        Case{"UNKNOWN: ipv4:127.0.0.1:7400: Peer name localhost is not in peer certificate",
             "does not name the host"}}) {
    EXPECT_THAT(ConnectHint(kFailed + c.message), HasSubstr(c.hint)) << c.message;
  }
}

TEST(ConnectHintTest, WhatHasOtherCausesGetsNone) {
  EXPECT_EQ(ConnectHint(kFailed + "UNKNOWN: Failed to connect to remote host: Connection refused"),
            "");
  EXPECT_EQ(ConnectHint("Socket closed"), "") << "a server that died while it answered";
  EXPECT_EQ(ConnectHint(""), "");
}

}  // namespace
}  // namespace assent::rpc
