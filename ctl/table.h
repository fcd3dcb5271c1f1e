// Aligned text for people: plain, nothing that depends on a terminal.
#pragma once

#include <string>
#include <vector>

namespace assent::ctl {

// What comes from elsewhere must not be able to move the cursor or break a line.
std::string Clean(const std::string& text);

using Cells = std::vector<std::string>;
// Columns as wide as their widest cell, two spaces apart; the last one is not padded.
std::string Table(const std::vector<Cells>& rows, const std::string& indent = "");

}  // namespace assent::ctl
