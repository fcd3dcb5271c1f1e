// Records and states as short texts that name them; what they stand for is kept here, outside of
// every node, and outlives crashes. Padding gives them a size.
#pragma once

#include <cstdlib>
#include <deque>
#include <string>
#include <string_view>

#include "coordinator/server/codec.h"

namespace assent::simulation {

class SimCodec final : public coordinator::Codec {
 public:
  std::string Encode(const coordinator::Record& record) const override {
    records_.push_back(record);
    const size_t number = records_.size() - 1;
    return "r" + std::to_string(number) + ":" + std::string(number * 37 % padding_max, '.');
  }
  Result<coordinator::Record> Decode(std::string_view bytes) const override {
    const size_t number = Number(bytes, 'r');
    if (number >= records_.size()) return DataLoss("no record: " + std::string(bytes));
    return records_[number];
  }
  std::string EncodeState(const coordinator::DecisionTable::State& state) const override {
    states_.push_back(state);
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

  mutable std::deque<coordinator::Record> records_;
  mutable std::deque<coordinator::DecisionTable::State> states_;
};

}  // namespace assent::simulation
