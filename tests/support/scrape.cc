#include "tests/support/scrape.h"

#include <httplib.h>

#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>

#include "tests/support/paths.h"

namespace assent::test_support {
namespace {

std::string Trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(' ');
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

std::optional<double> Number(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0') return std::nullopt;
  return value;
}

// `name="value",...`, as it stands between the braces. Our values hold neither quotes nor commas.
bool ParseLabels(const std::string& text, Scrape::Labels* labels) {
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    const size_t equals = part.find("=\"");
    if (equals == std::string::npos || part.back() != '"') return false;
    (*labels)[part.substr(0, equals)] = part.substr(equals + 2, part.size() - equals - 3);
  }
  return true;
}

std::string Unquoted(std::string cell) {
  std::erase(cell, '`');
  return cell;
}

bool IsSubset(const Scrape::Labels& some, const Scrape::Labels& all) {
  for (const auto& [name, value] : some) {
    const auto it = all.find(name);
    if (it == all.end() || it->second != value) return false;
  }
  return true;
}

std::string Joined(const std::set<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : ", ") + word;
  return all.empty() ? "none" : all;
}

}  // namespace

Result<HttpAnswer> HttpGet(const std::string& endpoint, const std::string& path,
                           const HttpsFiles& tls) {
  const bool https = !tls.ca_file.empty();
  const std::string url = (https ? "https://" : "http://") + endpoint;
  httplib::Client client =
      https ? httplib::Client(url, tls.cert_file, tls.key_file) : httplib::Client(url);
  if (https) client.set_ca_cert_path(tls.ca_file.c_str());
  client.set_connection_timeout(10);
  client.set_read_timeout(10);
  const httplib::Result answer = client.Get(path);
  if (!answer) return Unavailable(url + path + ": " + httplib::to_string(answer.error()));
  return HttpAnswer{.status = answer->status,
                    .content_type = answer->get_header_value("Content-Type"),
                    .body = answer->body};
}

Result<Scrape> Scrape::From(const std::string& endpoint, const HttpsFiles& tls) {
  auto answer = HttpGet(endpoint, "/metrics", tls);
  if (!answer.ok()) return answer.status();
  if (answer->status != 200) {
    return Unavailable(endpoint + "/metrics answered " + std::to_string(answer->status));
  }
  return Parse(answer->body);
}

Result<Scrape> Scrape::Parse(const std::string& text) {
  Scrape scrape;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (Status added = scrape.Add(line); !added.ok()) return added;
  }
  return scrape;
}

Scrape::Family* Scrape::FamilyOf(const std::string& sample) {
  if (auto it = families_.find(sample); it != families_.end()) return &it->second;
  for (const char* suffix : {"_bucket", "_sum", "_count"}) {
    if (!sample.ends_with(suffix)) continue;
    auto it = families_.find(sample.substr(0, sample.size() - std::string(suffix).size()));
    if (it != families_.end() && it->second.type == "histogram") return &it->second;
  }
  return nullptr;
}

Status Scrape::Add(const std::string& line) {
  if (line.empty()) return Ok();
  const Status unreadable = InvalidArgument("not a line of the text format: " + line);
  std::istringstream words(line);
  if (line.starts_with("# ")) {
    std::string hash;
    std::string what;
    std::string name;
    std::string rest;
    words >> hash >> what >> name;
    std::getline(words, rest);
    Family& family = families_[name];
    std::string& field = what == "TYPE" ? family.type : family.help;
    if (!field.empty() || (what != "TYPE" && what != "HELP")) return unreadable;
    field = Trimmed(rest);
    return Ok();
  }
  const size_t space = line.rfind(' ');
  if (space == std::string::npos) return unreadable;
  const std::string series = line.substr(0, space);
  const size_t brace = series.find('{');
  Sample sample{.name = series.substr(0, brace), .labels = {}};
  if (brace != std::string::npos &&
      (series.back() != '}' ||
       !ParseLabels(series.substr(brace + 1, series.size() - brace - 2), &sample.labels))) {
    return unreadable;
  }
  const std::optional<double> value = Number(line.substr(space + 1));
  if (!value) return unreadable;
  sample.value = *value;
  Family* family = FamilyOf(sample.name);
  if (family == nullptr) return InvalidArgument("no # TYPE before " + line);
  if (!family->series.emplace(series, sample.value).second) {
    return InvalidArgument("given twice: " + series);
  }
  for (const auto& [name, text] : sample.labels) {
    if (name != "le") family->labels.insert(name);
  }
  samples_.push_back(std::move(sample));
  return Ok();
}

double Scrape::Sum(const std::string& sample, const Labels& labels) const {
  double sum = 0;
  for (const Sample& one : samples_) {
    if (one.name == sample && IsSubset(labels, one.labels)) sum += one.value;
  }
  return sum;
}

std::vector<DocumentedMetric> DocumentedMetrics(const std::string& program,
                                                const std::string& where) {
  std::ifstream file(tests::SourceDir() + "/docs/metrics.md");
  std::vector<DocumentedMetric> metrics;
  bool here = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("## ")) {
      const std::string heading = "## `" + program + "`";
      here = line == heading || line == heading + where;
    }
    if (!here || !line.starts_with("| `")) continue;
    std::vector<std::string> cells;
    std::istringstream columns(line.substr(1));
    for (std::string cell; std::getline(columns, cell, '|');) cells.push_back(Trimmed(cell));
    cells.resize(6);
    DocumentedMetric metric{.name = Unquoted(cells[0]),
                            .type = cells[1],
                            .labels = {},
                            .unit = cells[3],
                            .meaning = cells[4],
                            .remedy = cells[5]};
    std::istringstream labels(Unquoted(cells[2]));
    for (std::string label; labels >> label;) {
      if (label.ends_with(',')) label.pop_back();
      if (label != "-") metric.labels.insert(label);
    }
    metrics.push_back(std::move(metric));
  }
  return metrics;
}

std::vector<std::string> DifferencesFromDocs(const Scrape& scrape, const std::string& program,
                                             const std::string& where) {
  std::vector<std::string> differences;
  std::set<std::string> documented;
  for (const DocumentedMetric& metric : DocumentedMetrics(program, where)) {
    const std::string name = metric.name + " of " + program;
    auto differ = [&](const std::string& what) { differences.push_back(name + ": " + what); };
    if (!documented.insert(metric.name).second) differ("documented twice");
    if (metric.unit.empty() || metric.remedy.empty()) differ("a column of its row is empty");
    const auto it = scrape.families().find(metric.name);
    if (it == scrape.families().end()) {
      differ("documented, not exposed");
      continue;
    }
    const Scrape::Family& family = it->second;
    if (family.type != metric.type) differ("documented as " + metric.type + ", is " + family.type);
    if (family.help != metric.meaning) {
      differ("documented as \"" + metric.meaning + "\", its help is \"" + family.help + "\"");
    }
    if (family.labels != metric.labels) {
      differ("documented labels: " + Joined(metric.labels) + "; exposed: " + Joined(family.labels));
    }
    for (const char* unit : {"seconds", "bytes"}) {
      const bool named = metric.name.find(std::string("_") + unit) != std::string::npos;
      if (named != (metric.unit == unit)) differ("its unit must stand in its name");
    }
  }
  for (const auto& [name, family] : scrape.families()) {
    if (!documented.contains(name)) {
      differences.push_back(name + " of " + program + ": exposed, not documented");
    }
  }
  return differences;
}

}  // namespace assent::test_support
