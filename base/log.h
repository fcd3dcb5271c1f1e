// Logging: one line an event, to standard error. A line begins with the event's name; fields follow
// as key=value. A plain function in front of spdlog, so that only one file pays for its headers.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace assent {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// A field of a log line. A value with spaces or quotes is quoted.
struct LogField {
  LogField(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  LogField(std::string_view k, bool v) : key(k), value(v ? "true" : "false") {}
  template <typename Number>
  LogField(std::string_view k, Number v) : key(k), value(std::to_string(v)) {}

  std::string_view key;
  std::string value;
};

// Thread-safe. Levels below the current one cost a load and a compare, plus building the fields:
// on hot paths ask LogEnabled first.
void Log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields = {});
bool LogEnabled(LogLevel level);

void SetLogLevel(LogLevel level);
// "debug", "info", "warning" or "error"; false for anything else.
bool ParseLogLevel(std::string_view text, LogLevel* level);

inline void LogDebug(std::string_view event, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kDebug, event, fields);
}
inline void LogInfo(std::string_view event, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kInfo, event, fields);
}
inline void LogWarning(std::string_view event, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kWarning, event, fields);
}
inline void LogError(std::string_view event, std::initializer_list<LogField> fields = {}) {
  Log(LogLevel::kError, event, fields);
}

}  // namespace assent
