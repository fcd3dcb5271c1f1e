// Which statements a branch must not run: those that would end or nest its transaction, and those
// whose effect would outlive it in a session that serves the next branch. Pure.
//
// This is courtesy and defence in depth, by the first words only: inside a branch the server itself
// refuses with XAER_RMFAIL what would commit it, also from procedures and compound statements.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "adapters/resource_manager.h"

namespace assent::adapters::mysql {

struct Refusal {
  Cause cause = Cause::kMisuse;
  std::string why;
};
// Nothing if the statement may be sent.
std::optional<Refusal> Screen(std::string_view sql);

// The first word in upper case, behind comments; empty if there is none.
std::string FirstWord(std::string_view sql);

// Whether this lower-case word occurs anywhere, in whatever case, be it in a string.
bool Mentions(std::string_view sql, std::string_view word);

}  // namespace assent::adapters::mysql
