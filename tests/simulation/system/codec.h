// Records and states as short texts that name them; what they stand for is kept here, outside of
// every node, and outlives crashes. Padding gives them a size. With the real codec behind it, what
// is kept is what that makes of its own bytes.
#pragma once

#include <cstdlib>
#include <deque>
#include <string>
#include <string_view>

#include "base/check.h"
#include "coordinator/server/codec.h"

namespace assent::simulation {

class SimCodec final : public coordinator::Codec {
 public:
  // `real` may be null.
  explicit SimCodec(const coordinator::Codec* real = nullptr) : real_(real) {}

  std::string Encode(const coordinator::Record& record) const override {
    records_.push_back(real_ == nullptr ? record : ThroughReal(record));
    const size_t number = records_.size() - 1;
    return "r" + std::to_string(number) + ":" + std::string(number * 37 % padding_max, '.');
  }
  Result<coordinator::Record> Decode(std::string_view bytes) const override {
    const size_t number = Number(bytes, 'r');
    if (number >= records_.size()) return DataLoss("no record: " + std::string(bytes));
    return records_[number];
  }
  std::string EncodeState(const coordinator::DecisionTable::State& state) const override {
    states_.push_back(real_ == nullptr ? state : ThroughReal(state));
    const size_t number = states_.size() - 1;
    return "s" + std::to_string(number) + ":" + std::string(number * 101 % 3'000, '.');
  }
  Result<coordinator::DecisionTable::State> DecodeState(std::string_view bytes) const override {
    const size_t number = Number(bytes, 's');
    if (number >= states_.size()) return DataLoss("no state: " + std::string(bytes));
    return states_[number];
  }

  // Of records, in bytes; not 0.
  size_t padding_max = 160;

 private:
  static size_t Number(std::string_view bytes, char kind) {
    const size_t colon = bytes.find(':');
    if (colon == bytes.npos || bytes[0] != kind) return SIZE_MAX;
    return std::strtoul(std::string(bytes.substr(1, colon - 1)).c_str(), nullptr, 10);
  }

  coordinator::Record ThroughReal(const coordinator::Record& record) const {
    const auto again = real_->Decode(real_->Encode(record));
    ASSENT_CHECK(again.ok() && again->index() == record.index());
    return *again;
  }
  coordinator::DecisionTable::State ThroughReal(
      const coordinator::DecisionTable::State& state) const {
    const auto again = real_->DecodeState(real_->EncodeState(state));
    ASSENT_CHECK(again.ok());
    return *again;
  }

  const coordinator::Codec* const real_;
  mutable std::deque<coordinator::Record> records_;
  mutable std::deque<coordinator::DecisionTable::State> states_;
};

}  // namespace assent::simulation
