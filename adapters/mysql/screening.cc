#include "adapters/mysql/screening.h"

#include <algorithm>
#include <cctype>
#include <vector>

namespace assent::adapters::mysql {
namespace {

constexpr size_t kWordsMax = 5;  // As many as the rules below look at.

bool IsWordByte(char c) {
  auto u = static_cast<unsigned char>(c);
  return std::isalnum(u) != 0 || c == '_' || c == '$' || u >= 0x80;
}

// Cuts off white space and comments. The inside of an executable comment (/*!50700 ... */) is SQL.
std::string_view SkipBlank(std::string_view sql) {
  auto skip_past = [&sql](std::string_view end) {
    size_t at = sql.find(end);
    sql.remove_prefix(at == std::string_view::npos ? sql.size() : at + end.size());
  };
  while (!sql.empty()) {
    if (std::isspace(static_cast<unsigned char>(sql[0])) != 0 || sql.starts_with("*/")) {
      sql.remove_prefix(sql[0] == '*' ? 2 : 1);
    } else if (sql.starts_with("/*!") || sql.starts_with("/*M!")) {
      sql.remove_prefix(sql[2] == '!' ? 3 : 4);
      while (!sql.empty() && std::isdigit(static_cast<unsigned char>(sql[0])) != 0) {
        sql.remove_prefix(1);
      }
    } else if (sql.starts_with("/*")) {
      sql.remove_prefix(2);
      skip_past("*/");
    } else if (sql[0] == '#' || sql == "--" ||
               (sql.starts_with("--") && std::isspace(static_cast<unsigned char>(sql[2])) != 0)) {
      skip_past("\n");
    } else {
      break;
    }
  }
  return sql;
}

// The first words in upper case; any other byte is a word of its own.
std::vector<std::string> FirstWords(std::string_view sql, size_t count) {
  std::vector<std::string> words;
  for (sql = SkipBlank(sql); !sql.empty() && words.size() < count; sql = SkipBlank(sql)) {
    size_t length = 0;
    while (length < sql.size() && IsWordByte(sql[length])) ++length;
    length = std::max<size_t>(length, 1);
    std::string word(sql.substr(0, length));
    for (char& c : word) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    words.push_back(std::move(word));
    sql.remove_prefix(length);
  }
  words.resize(count);
  return words;
}

bool OneOf(std::string_view word, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

Refusal Ends(const std::string& what) {
  return {.why = what +
                 " would end or nest the transaction; commit and roll back through the "
                 "coordinator, and keep such statements out of distributed transactions"};
}

Refusal Outlives(const std::string& what) {
  return {.why = what +
                 " would outlive the branch and change the session for the next one; use user "
                 "variables, or the options of Open"};
}

}  // namespace

std::string FirstWord(std::string_view sql) { return FirstWords(sql, 1)[0]; }

bool Mentions(std::string_view sql, std::string_view word) {
  return std::search(sql.begin(), sql.end(), word.begin(), word.end(),
                     [](unsigned char a, char b) { return std::tolower(a) == b; }) != sql.end();
}

std::optional<Refusal> Screen(std::string_view sql) {
  std::vector<std::string> w = FirstWords(sql, kWordsMax);
  const std::string& first = w[0];
  if (first.empty()) return Refusal{.why = "the statement is empty"};

  // BEGIN ... also opens MariaDB's compound statements; none of them is needed inside a branch.
  if (OneOf(first, {"BEGIN", "COMMIT", "START", "XA", "LOCK", "UNLOCK"})) return Ends(first);
  if (first == "ROLLBACK") {
    size_t to = w[1] == "WORK" ? 2 : 1;
    if (w[to] != "TO") return Ends(first);
    return std::nullopt;
  }
  // What these run can't be seen from here.
  if (OneOf(first, {"PREPARE", "EXECUTE", "DEALLOCATE"})) return Ends(first);
  if (first == "SET") {
    // SET @x = ... is harmless; everything else is a system variable, or SET TRANSACTION, PASSWORD,
    // ROLE, STATEMENT.
    if (w[1] == "@" && w[2] != "@") return std::nullopt;
    return Outlives("SET " + w[1]);
  }
  if (OneOf(first, {"USE", "RESET", "FLUSH", "CHANGE", "HANDLER"})) return Outlives(first);

  // Implicit commits.
  if (first == "CREATE" || first == "DROP") {
    size_t at = w[1] == "OR" ? 3 : 1;  // OR REPLACE
    if (w[at] == "TEMPORARY") {
      return Refusal{.cause = Cause::kNotPreparable,
                     .why = first +
                            " TEMPORARY: a branch with temporary tables can't be prepared on every "
                            "database; use an ordinary table or a subquery"};
    }
    return Ends(first + " " + w[1]);
  }
  if (OneOf(first, {"ALTER", "TRUNCATE", "RENAME", "GRANT", "REVOKE", "INSTALL", "UNINSTALL",
                    "OPTIMIZE", "REPAIR", "CACHE", "IMPORT"})) {
    return Ends(first);
  }
  if (first == "ANALYZE" && OneOf(w[1], {"TABLE", "LOCAL", "NO_WRITE_TO_BINLOG"})) {
    return Ends(first + " TABLE");
  }
  if (first == "CHECK" && OneOf(w[1], {"TABLE", "VIEW"})) return Ends(first + " " + w[1]);
  if (first == "LOAD" && w[1] == "INDEX") return Ends("LOAD INDEX");
  return std::nullopt;
}

}  // namespace assent::adapters::mysql
