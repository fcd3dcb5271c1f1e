#include "ctl/table.h"

#include <algorithm>

namespace assent::ctl {

std::string Clean(const std::string& text) {
  std::string clean;
  for (char c : text) clean += static_cast<unsigned char>(c) < 32 || c == 127 ? ' ' : c;
  return clean;
}

std::string Table(const std::vector<Cells>& rows, const std::string& indent) {
  std::vector<size_t> widths;
  for (const Cells& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const Cells& row : rows) {
    std::string line = indent;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line += std::string(widths[i] - row[i].size() + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace assent::ctl
