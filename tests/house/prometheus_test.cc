// deploy/prometheus speaks of metrics and labels that docs/metrics.md lists (and a system test
// compares with the pages), so no alert waits for a name that nobody exposes.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "tests/support/paths.h"
#include "tests/support/scrape.h"

namespace assent {
namespace {

// Names of samples, and the labels that each may have.
std::map<std::string, std::set<std::string>> DocumentedSamples() {
  std::map<std::string, std::set<std::string>> samples;
  for (const char* program : {"assentd", "assent-agent"}) {
    for (const auto& metric : test_support::DocumentedMetrics(program, ", on etcd")) {
      std::set<std::string> labels = metric.labels;
      if (metric.type != "histogram") {
        samples[metric.name].merge(labels);
        continue;
      }
      for (const char* suffix : {"_count", "_sum"}) samples[metric.name + suffix] = labels;
      labels.insert("le");
      samples[metric.name + "_bucket"] = labels;
    }
  }
  return samples;
}

TEST(PrometheusTest, AlertsSpeakOfDocumentedMetricsAndLabels) {
  std::ifstream file(tests::SourceDir() + "/deploy/prometheus/assent-alerts.yml");
  const auto samples = DocumentedSamples();
  ASSERT_FALSE(samples.empty());
  const std::regex name("assent_[a-z_]+");
  const std::regex label("(?:by \\(|\\{|\\$labels\\.)([a-z_]+)");
  int expressions = 0;
  std::set<std::string> labels;  // Of the metrics of the rule at hand.
  for (std::string line; std::getline(file, line);) {
    if (line.find("expr: ") != std::string::npos) {
      ++expressions;
      labels.clear();
      for (std::sregex_iterator it(line.begin(), line.end(), name), end; it != end; ++it) {
        const auto sample = samples.find(it->str());
        ASSERT_NE(sample, samples.end()) << it->str() << " is not in docs/metrics.md: " << line;
        labels.insert(sample->second.begin(), sample->second.end());
      }
    }
    for (std::sregex_iterator it(line.begin(), line.end(), label), end; it != end; ++it) {
      EXPECT_TRUE(labels.contains((*it)[1])) << (*it)[1] << " is no label of it: " << line;
    }
  }
  EXPECT_GT(expressions, 0);
}

}  // namespace
}  // namespace assent
