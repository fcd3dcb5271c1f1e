#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "txlog/transport/metrics_page.h"

namespace assent::txlog {
namespace {

using ::testing::HasSubstr;

TEST(TransportMetricsTest, EachPeerHasItsSeries) {
  TransportMetrics counters;
  counters.Of(2).messages_in.Add(5);
  counters.Of(3).up.Set(1);
  counters.Of(2).messages_dropped.Add();
  counters.refused().Add(7);
  metrics::Page page;
  Expose(counters, page);
  const std::string text = page.Text();
  EXPECT_THAT(text, HasSubstr("assent_peer_messages_total{peer=\"2\",direction=\"in\"} 5"));
  EXPECT_THAT(text, HasSubstr("assent_peer_up{peer=\"3\"} 1"));
  EXPECT_THAT(text, HasSubstr("assent_peer_messages_dropped_total{peer=\"2\"} 1"));
  EXPECT_THAT(text, HasSubstr("assent_peer_refused_total 7"));
}

TEST(TransportMetricsTest, MembersWithoutEndShareOneSeries) {
  TransportMetrics counters;
  for (MemberId member = 1; member <= 1000; ++member) counters.Of(member).connects.Add();
  size_t series = 0;
  uint64_t connects = 0;
  counters.ForEach([&](const std::string&, const PeerCounters& of) {
    ++series;
    connects += of.connects.value();
  });
  EXPECT_EQ(series, TransportMetrics::kSeriesMax + 1);
  EXPECT_EQ(connects, 1000u);
}

}  // namespace
}  // namespace assent::txlog
