#include "tests/bench/worker.h"

namespace assent::bench {

const std::vector<Mode>& Modes() {
  static const std::vector<Mode> modes = {
      {"raw-overlapped", MakeRawOverlapped},
      {"raw-seq", MakeRawSeq},
      {"agent-held", MakeAgentHeld},
      {"app-held", nullptr},
  };
  return modes;
}

Result<Mode> FindMode(const std::string& name) {
  std::string built;
  bool planned = false;
  for (const Mode& mode : Modes()) {
    if (mode.name == name && mode.make != nullptr) return mode;
    if (mode.name == name) planned = true;
    if (mode.make != nullptr) built += (built.empty() ? "" : ", ") + mode.name;
  }
  return InvalidArgument("mode \"" + name + "\" " +
                         (planned ? "is not built yet" : "is not known") + "; give one of " +
                         built);
}

}  // namespace assent::bench
