// What lies between machines. Datagrams may be lost, doubled, delayed, overtaken; either direction
// between two places may be cut.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "tests/simulation/system/timeline.h"

namespace assent::simulation {

// Nodes are 1 to 99, agents from 100, clients from 200.
using Place = uint64_t;
inline constexpr Place kFirstAgent = 100;
inline constexpr Place kFirstClient = 200;

class Network {
 public:
  explicit Network(Timeline& timeline) : timeline_(timeline) {}

  // `arrive` runs never, once or twice.
  void Send(Place from, Place to, const std::function<void()>& arrive) {
    if (timeline_.Chance(loss_permille)) return;
    const int copies = timeline_.Chance(double_permille) ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      timeline_.After(Delay(from, to), [this, from, to, arrive] {
        if (!Cut(from, to)) arrive();
      });
    }
  }
  Micros Delay(Place from, Place to) {
    const Micros delay = timeline_.Chance(late_permille)
                             ? timeline_.Between(5 * kMilli, 400 * kMilli)
                             : timeline_.Between(100, 3 * kMilli);
    return delay + Way(from) + Way(to);
  }
  // It stands in another town: all that comes and goes takes about so much longer.
  void PutFarAway(Place place, Micros way) { far_[place] = way; }
  void PutTogether() { far_.clear(); }

  bool Cut(Place from, Place to) const { return cut_.contains({from, to}); }
  void CutOff(Place from, Place to) { cut_.insert({from, to}); }
  void Mend() { cut_.clear(); }
  void Mend(Place from, Place to) { cut_.erase({from, to}); }

  unsigned loss_permille = 0;
  unsigned double_permille = 0;
  unsigned late_permille = 0;

 private:
  Micros Way(Place place) {
    auto it = far_.find(place);
    return it == far_.end() ? 0 : timeline_.Between(it->second / 2, it->second * 3 / 2);
  }

  Timeline& timeline_;
  std::map<Place, Micros> far_;
  std::set<std::pair<Place, Place>> cut_;
};

}  // namespace assent::simulation
