#include "adapters/postgres/statement.h"

#include <algorithm>
#include <cctype>

namespace assent::adapters::postgres {
namespace {

// Position of the first character that is no blank, comment, ';' or '('.
size_t SkipToWord(std::string_view sql, size_t at) {
  while (at < sql.size()) {
    char c = sql[at];
    if (std::isspace(static_cast<unsigned char>(c)) != 0 || c == ';' || c == '(') {
      ++at;
    } else if (sql.substr(at, 2) == "--") {
      at = std::min(sql.find_first_of("\r\n", at), sql.size());
    } else if (sql.substr(at, 2) == "/*") {
      // Comments nest in PostgreSQL.
      int depth = 0;
      do {
        if (sql.substr(at, 2) == "/*") {
          ++depth;
          at += 2;
        } else if (sql.substr(at, 2) == "*/") {
          --depth;
          at += 2;
        } else {
          ++at;
        }
      } while (depth > 0 && at < sql.size());
    } else {
      break;
    }
  }
  return at;
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

bool IsWordByte(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// Whether `word` stands anywhere in `text`, be it in a string.
bool HasWord(std::string_view text, std::string_view word) {
  for (size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) {
    const size_t end = at + word.size();
    const bool begins = at == 0 || !IsWordByte(text[at - 1]);
    if (begins && (end == text.size() || !IsWordByte(text[end]))) return true;
  }
  return false;
}

std::string FirstWord(std::string_view sql) {
  auto words = LeadingWords(sql, 1);
  return words.empty() ? "" : words[0];
}

}  // namespace

std::vector<std::string> LeadingWords(std::string_view sql, size_t count) {
  std::vector<std::string> words;
  size_t at = 0;
  while (words.size() < count) {
    at = SkipToWord(sql, at);
    std::string word;
    while (at < sql.size() && IsWordByte(sql[at])) {
      word += static_cast<char>(std::toupper(static_cast<unsigned char>(sql[at++])));
    }
    if (word.empty()) break;
    words.push_back(word);
  }
  return words;
}

std::string WhyRefused(std::string_view sql) {
  std::vector<std::string> words = LeadingWords(sql, 3);
  words.resize(3);
  const std::string& first = words[0];
  if (first == "ROLLBACK") {
    bool noise = words[1] == "WORK" || words[1] == "TRANSACTION";
    if (words[noise ? 2 : 1] == "TO") return "";
  }
  if (first == "BEGIN" || first == "START" || first == "COMMIT" || first == "END" ||
      first == "ABORT" || first == "ROLLBACK" ||
      (first == "PREPARE" && words[1] == "TRANSACTION")) {
    return first +
           " is not for a branch to say: the global transaction ends by its own Commit or "
           "Rollback";
  }
  if (first == "COPY") return "COPY needs a stream, which this interface lacks: use INSERT";
  return "";
}

bool IsChange(std::string_view sql) {
  std::string word = FirstWord(sql);
  return word == "INSERT" || word == "UPDATE" || word == "DELETE" || word == "MERGE";
}

bool IsRead(std::string_view sql) {
  std::string word = FirstWord(sql);
  return word == "SELECT" || word == "VALUES" || word == "TABLE" || word == "SHOW" ||
         word == "FETCH" || word == "EXPLAIN" || word == "MOVE";
}

CursorFit FitForCursor(std::string_view sql) {
  const size_t begin = SkipToWord(sql, 0);
  // A ';' before it, or in a comment before it: rare enough not to look closer.
  if (sql.substr(0, begin).find(';') != sql.npos) return CursorFit::kNo;
  const std::string word = FirstWord(sql);
  if (word == "VALUES" || word == "TABLE") return CursorFit::kYes;
  if (word != "SELECT" && word != "WITH") return CursorFit::kNo;
  const std::string text = Lower(sql);
  // SELECT INTO makes a table.
  if (HasWord(text, "into")) return CursorFit::kPerhaps;
  // FOR UPDATE is no change, so only WITH is suspected.
  for (std::string_view change : {"insert", "update", "delete", "merge"}) {
    if (word == "WITH" && HasWord(text, change)) return CursorFit::kPerhaps;
  }
  return CursorFit::kYes;
}

bool MayHoldWithoutXid(std::string_view sql) {
  if (FirstWord(sql) == "LOCK") return true;
  std::string text = Lower(sql);
  for (std::string_view part : {"advisory", "listen", "notify", "hold", "client_min_messages",
                                "trace_notify", "reset", "discard"}) {
    if (text.find(part) != std::string::npos) return true;
  }
  return false;
}

}  // namespace assent::adapters::postgres
