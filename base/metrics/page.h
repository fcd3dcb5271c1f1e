// One answer to a scrape: metrics as text for Prometheus (exposition format 0.0.4). Made anew for
// each scrape from counters that live elsewhere, so there is nothing to register and nothing that
// outlives its owner.
//
//   Page page;
//   page.Counters("assent_transactions_total", "Transactions that ended, by outcome.")
//       .Series({{"outcome", "committed"}}, committed)
//       .Series({{"outcome", "aborted"}}, aborted);
//   page.Histograms("assent_commit_seconds", "From Commit to the decision.").Series({}, commit);
//   return page.Text();
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/metrics/counter.h"
#include "base/metrics/gauges_by_label.h"
#include "base/metrics/histogram.h"

namespace assent::metrics {

using Labels = std::vector<std::pair<std::string, std::string>>;

// The content type of Page::Text.
inline constexpr const char* kTextFormat = "text/plain; version=0.0.4; charset=utf-8";

// Not thread-safe: one scrape's own.
class Page {
 public:
  // All series of one name.
  class Family {
   public:
    Family& Series(const Labels& labels, const Counter& counter);
    Family& Series(const Labels& labels, const Gauge& gauge);
    Family& Series(const Labels& labels, const Histogram& histogram);
    Family& Series(const Labels& labels, double value);
    // One series for each label value, under the label `name`.
    Family& Series(const std::string& name, const GaugesByLabel& gauges);

   private:
    friend class Page;
    Family(Page& page, size_t index) : page_(page), index_(index) {}
    Page& page_;
    const size_t index_;
  };

  Page();
  ~Page();
  Page(const Page&) = delete;
  Page& operator=(const Page&) = delete;

  // The family of this name, begun if it is not there yet; a name has one type and one help text.
  // Counters are named ..._total and nothing else is; units are base units (seconds, bytes), named
  // at the end.
  Family Counters(std::string_view name, std::string_view help);
  Family Gauges(std::string_view name, std::string_view help);
  Family Histograms(std::string_view name, std::string_view help);

  std::string Text() const;

 private:
  enum class Type { kCounter, kGauge, kHistogram };
  struct Families;

  Family Begin(std::string_view name, std::string_view help, Type type);

  std::unique_ptr<Families> families_;
};

}  // namespace assent::metrics
