#include "base/http/health.h"

#include <gtest/gtest.h>

namespace assent::http {
namespace {

TEST(HealthReplyTest, ServingIsOk) {
  const Reply reply = HealthReply({});
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.content_type, "application/json");
  EXPECT_EQ(reply.body, "{\"status\":\"serving\"}\n");
}

TEST(HealthReplyTest, EveryReasonIsGivenAndEscaped) {
  const Reply reply = HealthReply({"set \"fsync\" on", "a\\b\n\x01"});
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.body,
            "{\"status\":\"not serving\",\"reasons\":[\"set \\\"fsync\\\" on\","
            "\"a\\\\b\\u000a\\u0001\"]}\n");
}

}  // namespace
}  // namespace assent::http
