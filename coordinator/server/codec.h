// Between the core's records and the bytes of the log, as the driver sees it; record_codec.h is the
// one that is shipped.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "coordinator/core/decision_table.h"

namespace assent::coordinator {

// Stateless, so thread-safe.
class Codec {
 public:
  virtual ~Codec() = default;

  virtual std::string Encode(const Record& record) const = 0;
  // FAILED_PRECONDITION: a kind or field that this version does not know: the node is older than
  // its log, run the newer program. DATA_LOSS: the bytes make no record. Either stops the node: a
  // record that is skipped would be a decision forgotten.
  virtual Result<Record> Decode(std::string_view bytes) const = 0;

  virtual std::string EncodeState(const DecisionTable::State& state) const = 0;
  // Errors as Decode.
  virtual Result<DecisionTable::State> DecodeState(std::string_view bytes) const = 0;
};

}  // namespace assent::coordinator
