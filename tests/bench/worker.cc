#include "tests/bench/worker.h"

namespace assent::bench {

Status ToStatus(const client::CommitResult& result, client::Acknowledgement ack) {
  if (result.aborted()) return Aborted(result.ToString());
  if (!result.committed()) return Internal(result.ToString());
  if (ack == client::Acknowledgement::kApplied && !result.applied) {
    return Internal("not applied: " + result.ToString());
  }
  return Ok();
}

const std::vector<Mode>& Modes() {
  static const std::vector<Mode> modes = {
      {kReferenceMode, MakeRawOverlapped},
      {"raw-seq", MakeRawSeq},
      {"app-held", MakeAppHeld},
      {"agent-held", MakeAgentHeld},
  };
  return modes;
}

Result<Mode> FindMode(const std::string& name) {
  std::string known;
  for (const Mode& mode : Modes()) {
    if (mode.name == name) return mode;
    known += (known.empty() ? "" : ", ") + mode.name;
  }
  return InvalidArgument("mode \"" + name + "\" is not known; give one of " + known);
}

}  // namespace assent::bench
