// The records of the log as proto/assent/v1/log_records.proto: the bytes that are kept for ever.
#pragma once

#include "coordinator/server/codec.h"

namespace assent::coordinator {

class RecordCodec final : public Codec {
 public:
  std::string Encode(const Record& record) const override;
  Result<Record> Decode(std::string_view bytes) const override;
  std::string EncodeState(const DecisionTable::State& state) const override;
  Result<DecisionTable::State> DecodeState(std::string_view bytes) const override;
};

}  // namespace assent::coordinator
