#include "adapters/postgres/values.h"

#include <charconv>
#include <type_traits>

namespace assent::adapters::postgres {
namespace {

// OIDs of built-in types are fixed for ever (pg_type.dat).
enum : pqxx::oid {
  kBool = 16,
  kBytea = 17,
  kInt8 = 20,
  kInt2 = 21,
  kInt4 = 23,
  kFloat4 = 700,
  kFloat8 = 701,
};

struct TypeName {
  pqxx::oid oid;
  const char* name;
};
constexpr TypeName kTypeNames[] = {
    {kBool, "bool"},     {kBytea, "bytea"},   {18, "char"},          {19, "name"},
    {kInt8, "int8"},     {kInt2, "int2"},     {kInt4, "int4"},       {25, "text"},
    {26, "oid"},         {28, "xid"},         {114, "json"},         {142, "xml"},
    {kFloat4, "float4"}, {kFloat8, "float8"}, {705, "unknown"},      {790, "money"},
    {869, "inet"},       {1042, "bpchar"},    {1043, "varchar"},     {1082, "date"},
    {1083, "time"},      {1114, "timestamp"}, {1184, "timestamptz"}, {1186, "interval"},
    {1266, "timetz"},    {1560, "bit"},       {1562, "varbit"},      {1700, "numeric"},
    {2278, "void"},      {2950, "uuid"},      {3802, "jsonb"},       {5069, "xid8"},
};

std::string NameOf(pqxx::oid oid) {
  for (const TypeName& type : kTypeNames) {
    if (type.oid == oid) return type.name;
  }
  return "oid " + std::to_string(oid);
}

std::string Hex(const std::string& bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "\\x";
  text.reserve(2 + bytes.size() * 2);
  for (char c : bytes) {
    text += kDigits[static_cast<uint8_t>(c) >> 4];
    text += kDigits[static_cast<uint8_t>(c) & 15];
  }
  return text;
}

// The shortest text that reads back as the same number.
std::string ToText(double number) {
  char buffer[64];
  auto written = std::to_chars(buffer, buffer + sizeof(buffer), number);
  return {buffer, written.ptr};
}

std::string ToText(const Value& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::monostate>) return "";
        if constexpr (std::is_same_v<T, bool>) return v ? "true" : "false";
        if constexpr (std::is_same_v<T, int64_t>) return std::to_string(v);
        if constexpr (std::is_same_v<T, double>) return ToText(v);
        if constexpr (std::is_same_v<T, std::string>) return v;
        if constexpr (std::is_same_v<T, Bytes>) return Hex(v.value);
      },
      value);
}

template <typename Number>
Value ToNumber(std::string_view text) {
  Number number{};
  auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc{}) return std::string(text);  // Never drop what the server said.
  return number;
}

Value ToValue(const pqxx::field& field, pqxx::oid type) {
  if (field.is_null()) return std::monostate{};
  std::string_view text(field.c_str(), field.size());
  switch (type) {
    case kBool:
      return text == "t";
    case kInt2:
    case kInt4:
    case kInt8:
      return ToNumber<int64_t>(text);
    case kFloat4:
    case kFloat8:
      return ToNumber<double>(text);
    case kBytea:
      return Bytes{pqxx::binarystring(field).str()};
  }
  return std::string(text);
}

}  // namespace

Parameters::Parameters(const std::vector<Value>& values) {
  texts_.reserve(values.size());
  pointers_.reserve(values.size());
  for (const Value& value : values) {
    texts_.push_back(ToText(value));
    const std::string& text = texts_.back();
    if (number_with_nul_ == 0 && text.find('\0') != std::string::npos) {
      number_with_nul_ = texts_.size();
    }
    pointers_.push_back(std::holds_alternative<std::monostate>(value) ? nullptr : text.c_str());
  }
}

std::vector<Column> ColumnsOf(const pqxx::result& result) {
  std::vector<Column> columns;
  for (pqxx::row_size_type i = 0; i < result.columns(); ++i) {
    columns.push_back({.name = result.column_name(i), .type = NameOf(result.column_type(i))});
  }
  return columns;
}

std::vector<Value> ValuesOf(const pqxx::row& row) {
  std::vector<Value> values;
  values.reserve(row.size());
  for (const pqxx::field& field : row) values.push_back(ToValue(field, field.type()));
  return values;
}

size_t BytesOf(const pqxx::row& row) {
  size_t bytes = 0;
  for (const pqxx::field& field : row) bytes += field.size();
  return bytes;
}

std::optional<ResultSet> ToResultSet(const pqxx::result& result, bool count_rows) {
  if (result.size() > kResultRowsMax) return std::nullopt;
  ResultSet set{.columns = ColumnsOf(result)};
  size_t bytes = 0;
  set.rows.reserve(result.size());
  for (const pqxx::row& row : result) {
    bytes += BytesOf(row);
    if (bytes > kResultBytesMax) return std::nullopt;
    set.rows.push_back(ValuesOf(row));
  }
  if (count_rows) set.rows_affected = result.affected_rows();
  return set;
}

}  // namespace assent::adapters::postgres
