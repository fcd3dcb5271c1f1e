// What can be told about a statement from its first words. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace assent::adapters::postgres {

// The first `count` words in upper case, behind blanks, comments, ';' and '('. Fewer if something
// that is no word comes first.
std::vector<std::string> LeadingWords(std::string_view sql, size_t count);

// Why this statement may not run in a branch: it would end or nest the transaction, or open a copy
// stream. Empty: it may. One statement can't hide behind another: the extended protocol, which the
// adapter uses for all of them, takes a single one. Savepoints are allowed.
std::string WhyRefused(std::string_view sql);

// INSERT, UPDATE, DELETE, MERGE.
bool IsChange(std::string_view sql);
// Statements whose row count is the number of rows shown, not changed.
bool IsRead(std::string_view sql);

// Whether DECLARE CURSOR takes the statement, judged by its words.
enum class CursorFit {
  kNo,       // It gives no rows that could be many, or changes something first.
  kPerhaps,  // One of its words says that it may change something: only the server can tell.
  kYes,
};
CursorFit FitForCursor(std::string_view sql);

// True if the statement may take effect at COMMIT, or hold on to something until then, in a way
// that leaves no transaction id: locks by name, LISTEN, cursors WITH HOLD, or a change to the
// settings by which we watch.
bool MayHoldWithoutXid(std::string_view sql);

}  // namespace assent::adapters::postgres
