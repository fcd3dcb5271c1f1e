#include "base/metrics/page.h"

#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include "base/check.h"

namespace assent::metrics {
namespace {

constexpr double kNanosecondsPerSecond = 1e9;

prometheus::ClientMetric Labelled(const Labels& labels) {
  prometheus::ClientMetric metric;
  metric.label.reserve(labels.size());
  for (const auto& [name, value] : labels) metric.label.push_back({name, value});
  return metric;
}

double Seconds(int64_t nanoseconds) {
  return static_cast<double>(nanoseconds) / kNanosecondsPerSecond;
}

}  // namespace

struct Page::Families {
  std::vector<prometheus::MetricFamily> all;
};

Page::Page() : families_(std::make_unique<Families>()) {}
Page::~Page() = default;

Page::Family Page::Counters(std::string_view name, std::string_view help) {
  return Begin(name, help, Type::kCounter);
}
Page::Family Page::Gauges(std::string_view name, std::string_view help) {
  return Begin(name, help, Type::kGauge);
}
Page::Family Page::Histograms(std::string_view name, std::string_view help) {
  return Begin(name, help, Type::kHistogram);
}

Page::Family Page::Begin(std::string_view name, std::string_view help, Type type) {
  prometheus::MetricType wanted = prometheus::MetricType::Untyped;
  switch (type) {
    case Type::kCounter:
      wanted = prometheus::MetricType::Counter;
      break;
    case Type::kGauge:
      wanted = prometheus::MetricType::Gauge;
      break;
    case Type::kHistogram:
      wanted = prometheus::MetricType::Histogram;
      break;
  }
  ASSENT_CHECK(name.ends_with("_total") == (type == Type::kCounter));
  std::vector<prometheus::MetricFamily>& all = families_->all;
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].name != name) continue;
    ASSENT_CHECK(all[i].type == wanted && all[i].help == help);
    return {*this, i};
  }
  all.push_back(
      {.name = std::string(name), .help = std::string(help), .type = wanted, .metric = {}});
  return {*this, all.size() - 1};
}

Page::Family& Page::Family::Series(const Labels& labels, double value) {
  prometheus::MetricFamily& family = page_.families_->all[index_];
  prometheus::ClientMetric metric = Labelled(labels);
  ASSENT_CHECK(family.type != prometheus::MetricType::Histogram);
  if (family.type == prometheus::MetricType::Counter) {
    metric.counter.value = value;
  } else {
    metric.gauge.value = value;
  }
  family.metric.push_back(std::move(metric));
  return *this;
}

Page::Family& Page::Family::Series(const Labels& labels, const Counter& counter) {
  return Series(labels, static_cast<double>(counter.value()));
}

Page::Family& Page::Family::Series(const Labels& labels, const Gauge& gauge) {
  return Series(labels, static_cast<double>(gauge.value()));
}

Page::Family& Page::Family::Series(const std::string& name, const GaugesByLabel& gauges) {
  gauges.ForEach([&](const std::string& label, int64_t value) {
    Series({{name, label}}, static_cast<double>(value));
  });
  return *this;
}

Page::Family& Page::Family::Series(const Labels& labels, const Histogram& histogram) {
  prometheus::MetricFamily& family = page_.families_->all[index_];
  ASSENT_CHECK(family.type == prometheus::MetricType::Histogram);
  const Histogram::Reading reading = histogram.Read();
  prometheus::ClientMetric metric = Labelled(labels);
  uint64_t below = 0;
  for (size_t i = 0; i < Histogram::kBounds.size(); ++i) {
    below += reading.counts[i];
    metric.histogram.bucket.push_back(
        {.cumulative_count = below, .upper_bound = Seconds(Histogram::kBounds[i])});
  }
  // The serializer adds the bucket +Inf.
  metric.histogram.sample_count = reading.count();
  metric.histogram.sample_sum = Seconds(reading.sum.count());
  family.metric.push_back(std::move(metric));
  return *this;
}

std::string Page::Text() const { return prometheus::TextSerializer().Serialize(families_->all); }

}  // namespace assent::metrics
