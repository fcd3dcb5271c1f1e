// A flag's and a variable's value, whatever they hold: read or refused, and what is accepted is
// written back as TOML that means the same.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "base/options.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string text(reinterpret_cast<const char*>(data), size);
  std::string name;
  uint64_t number = 1;
  std::vector<std::string> list;
  assent::OptionSet set("fuzz", "fuzz");
  set.Add("name", &name, "A name.");
  set.Add("number", &number, "A number.").Between(1, 1000);
  set.Add("list", &list, "A list.");
  auto result = set.Parse({"--name=" + text, "--list", "x" + text},
                          {"ASSENT_NUMBER=" + text, "ASSENT_LIST=" + text});
  ASSENT_CHECK(number >= 1 && number <= 1000);
  ASSENT_CHECK(result.problems.size() <= 1);
  ASSENT_CHECK(name == text);
  ASSENT_CHECK(set.Effective().size() == 3);
  return 0;
}
