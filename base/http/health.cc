#include "base/http/health.h"

#include <cstdio>
#include <string_view>

namespace assent::http {
namespace {

std::string JsonString(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned char>(c));
      quoted += escape;
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace

Reply HealthReply(const std::vector<std::string>& reasons) {
  Reply reply{
      .status = reasons.empty() ? 200 : 503, .content_type = "application/json", .body = {}};
  if (reasons.empty()) {
    reply.body = "{\"status\":\"serving\"}\n";
    return reply;
  }
  std::string list;
  for (const std::string& reason : reasons) {
    list += (list.empty() ? "" : ",") + JsonString(reason);
  }
  reply.body = "{\"status\":\"not serving\",\"reasons\":[" + list + "]}\n";
  return reply;
}

}  // namespace assent::http
