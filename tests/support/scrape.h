// What a monitor sees: /metrics of a running server, read as Prometheus reads it, and compared with
// what docs/metrics.md promises.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"

namespace assent::test_support {

struct HttpAnswer {
  int status = 0;
  std::string content_type;
  std::string body;
};
// Paths of PEM files; without ca_file plain HTTP.
struct HttpsFiles {
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
};
// UNAVAILABLE: no answer.
Result<HttpAnswer> HttpGet(const std::string& endpoint, const std::string& path,
                           const HttpsFiles& tls = {});

class Scrape {
 public:
  using Labels = std::map<std::string, std::string>;
  struct Family {
    std::string type;
    std::string help;
    std::set<std::string> labels;          // Names, without a histogram's `le`.
    std::map<std::string, double> series;  // By sample name and labels, as they stand there.
  };

  // GET http://endpoint/metrics, or https.
  static Result<Scrape> From(const std::string& endpoint, const HttpsFiles& tls = {});
  // INVALID_ARGUMENT: not the text format, a sample without its # TYPE, or a name given twice.
  static Result<Scrape> Parse(const std::string& text);

  const std::map<std::string, Family>& families() const { return families_; }
  // The sum of all samples of this name (a histogram's have _count, _sum, _bucket) that carry these
  // labels among theirs; 0 if there are none.
  double Sum(const std::string& sample, const Labels& labels = {}) const;

 private:
  struct Sample {
    std::string name;
    Labels labels;
    double value = 0;
  };
  Status Add(const std::string& line);
  Family* FamilyOf(const std::string& sample);

  std::map<std::string, Family> families_;
  std::vector<Sample> samples_;
};

// A line of docs/metrics.md.
struct DocumentedMetric {
  std::string name;
  std::string type;
  std::set<std::string> labels;
  std::string unit;
  std::string meaning;
  std::string remedy;  // "When it moves".
};
// The table under the heading "## `program`", and under that with `where` behind, such as
// ", on etcd".
std::vector<DocumentedMetric> DocumentedMetrics(const std::string& program,
                                                const std::string& where = "");
// What docs/metrics.md and the page say differently, a sentence each.
std::vector<std::string> DifferencesFromDocs(const Scrape& scrape, const std::string& program,
                                             const std::string& where = "");

}  // namespace assent::test_support
