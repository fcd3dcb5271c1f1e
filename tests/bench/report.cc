#include "tests/bench/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tests/bench/median.h"

namespace assent::bench {
namespace {

using nlohmann::ordered_json;

std::optional<double> RatioOf(const Line& line, const std::vector<Measurement>& measurements) {
  std::map<int, double> reference;  // By round.
  for (const Measurement& m : measurements) {
    if (m.mode == kReferenceMode && m.concurrency == line.concurrency && m.per_second > 0) {
      reference[m.round] = m.per_second;
    }
  }
  std::vector<double> ratios;
  for (const Measurement& m : measurements) {
    if (m.mode != line.mode || m.concurrency != line.concurrency) continue;
    if (auto it = reference.find(m.round); it != reference.end()) {
      ratios.push_back(m.per_second / it->second);
    }
  }
  if (ratios.empty()) return std::nullopt;
  return Median(std::move(ratios));
}

Figures MedianFigures(const Line& line, const std::vector<Measurement>& measurements,
                      Figures Measurement::*figures) {
  Figures medians;
  std::map<std::string, std::vector<double>> values;
  for (const Measurement& m : measurements) {
    if (m.mode != line.mode || m.concurrency != line.concurrency) continue;
    for (const Figure& figure : m.*figures) {
      if (values[figure.name].empty()) medians.push_back({figure.name});
      values[figure.name].push_back(figure.value);
    }
  }
  for (Figure& median : medians) median.value = Median(std::move(values[median.name]));
  return medians;
}

const Figure* Find(const Figures& figures, const std::string& name) {
  auto it = std::find_if(figures.begin(), figures.end(),
                         [&](const Figure& figure) { return figure.name == name; });
  return it == figures.end() ? nullptr : &*it;
}

// All names that the lines have, in an order that agrees with theirs.
std::vector<std::string> NamesOf(const std::vector<Line>& lines, Figures Line::*figures) {
  std::vector<std::string> names;
  for (const Line& line : lines) {
    // A name that is new stands behind the one that it follows in its own line.
    auto place = names.begin();
    for (const Figure& figure : line.*figures) {
      auto known = std::find(names.begin(), names.end(), figure.name);
      if (known == names.end()) known = names.insert(place, figure.name);
      place = known + 1;
    }
  }
  return names;
}

constexpr size_t kFigureWidth = 8;

double Milliseconds(std::chrono::microseconds time) {
  return static_cast<double>(time.count()) / 1000;
}

// To as many steps in one; a division, so that 847.3 prints as such.
double Rounded(double value, double steps) { return std::round(value * steps) / steps; }

ordered_json ToJson(const Figures& figures) {
  ordered_json json = ordered_json::object();
  for (const Figure& figure : figures) {
    std::string key = figure.name;
    std::replace_if(
        key.begin(), key.end(), [](char c) { return c == ' ' || c == '-'; }, '_');
    json[key] = Rounded(figure.value, 1000);
  }
  return json;
}

}  // namespace

std::vector<Line> Summarize(const std::vector<Measurement>& measurements) {
  std::vector<Line> lines;
  for (const Measurement& m : measurements) {
    const bool known = std::any_of(lines.begin(), lines.end(), [&](const Line& line) {
      return line.mode == m.mode && line.concurrency == m.concurrency;
    });
    if (known) continue;
    // By concurrency, and modes in the order in which they were measured.
    auto place = std::upper_bound(
        lines.begin(), lines.end(), m.concurrency,
        [](auto concurrency, const Line& line) { return concurrency < line.concurrency; });
    lines.insert(place, {.mode = m.mode, .concurrency = m.concurrency});
  }
  for (Line& line : lines) {
    std::vector<double> per_second;
    std::vector<std::chrono::microseconds> p50;
    std::vector<std::chrono::microseconds> p99;
    for (const Measurement& m : measurements) {
      if (m.mode != line.mode || m.concurrency != line.concurrency) continue;
      per_second.push_back(m.per_second);
      p50.push_back(m.p50);
      p99.push_back(m.p99);
      line.aborted += m.aborted;
    }
    line.per_second = Median(std::move(per_second));
    line.p50 = Median(std::move(p50));
    line.p99 = Median(std::move(p99));
    line.ratio = RatioOf(line, measurements);
    line.calls = MedianFigures(line, measurements, &Measurement::calls);
    line.cpu = MedianFigures(line, measurements, &Measurement::cpu);
    line.counts = MedianFigures(line, measurements, &Measurement::counts);
  }
  return lines;
}

std::string Table(const std::vector<Line>& lines) {
  std::string text =
      "| concurrency | mode           | transfers/s |  p50 ms |  p99 ms | of raw-overlapped | "
      "aborted |\n"
      "| ----------: | :------------- | ----------: | ------: | ------: | ----------------: | "
      "------: |\n";
  for (const Line& line : lines) {
    char ratio[16] = "-";
    if (line.ratio) std::snprintf(ratio, sizeof ratio, "%.3f", *line.ratio);
    char row[200];
    std::snprintf(row, sizeof row, "| %11d | %-14s | %11.0f | %7.2f | %7.2f | %17s | %7llu |\n",
                  line.concurrency, line.mode.c_str(), line.per_second, Milliseconds(line.p50),
                  Milliseconds(line.p99), ratio, static_cast<unsigned long long>(line.aborted));
    text += row;
  }
  return text;
}

std::string FiguresTable(const std::vector<Line>& lines, Figures Line::*figures,
                         const std::string& total) {
  std::vector<std::string> names = NamesOf(lines, figures);
  if (names.empty()) return "";
  if (!total.empty()) names.push_back(total);
  std::string head = "| concurrency | mode           |";
  std::string rule = "| ----------: | :------------- |";
  for (const std::string& name : names) {
    const std::string padding(name.size() < kFigureWidth ? kFigureWidth - name.size() : 0, ' ');
    head += " " + padding + name + " |";
    rule += " " + std::string(padding.size() + name.size() - 1, '-') + ": |";
  }
  std::string text = head + "\n" + rule + "\n";
  for (const Line& line : lines) {
    char cell[80];
    std::snprintf(cell, sizeof cell, "| %11d | %-14s |", line.concurrency, line.mode.c_str());
    text += cell;
    double sum = 0;
    for (const std::string& name : names) {
      const Figure* figure = Find(line.*figures, name);
      if (figure != nullptr) sum += figure->value;
      const int width = static_cast<int>(std::max(name.size(), kFigureWidth));
      if (figure == nullptr && name != total) {
        std::snprintf(cell, sizeof cell, " %*s |", width, "-");
      } else {
        std::snprintf(cell, sizeof cell, " %*.2f |", width, figure ? figure->value : sum);
      }
      text += cell;
    }
    text += "\n";
  }
  return text;
}

std::string Json(const TransferOptions& options, const std::vector<Line>& lines,
                 const std::vector<Measurement>& measurements) {
  ordered_json ratios = ordered_json::object();
  ordered_json results = ordered_json::array();
  for (const Line& line : lines) {
    ordered_json result = {{"mode", line.mode},
                           {"concurrency", line.concurrency},
                           {"transfers_per_second", Rounded(line.per_second, 10)},
                           {"p50_ms", Milliseconds(line.p50)},
                           {"p99_ms", Milliseconds(line.p99)},
                           {"aborted", line.aborted}};
    for (const Measurement& m : measurements) {
      if (m.mode != line.mode || m.concurrency != line.concurrency) continue;
      result["transfers_per_second_of_rounds"].push_back(Rounded(m.per_second, 10));
    }
    result["call_p50_ms"] = ToJson(line.calls);
    result["cpu_us_per_transfer"] = ToJson(line.cpu);
    result["counts_per_transfer"] = ToJson(line.counts);
    results.push_back(std::move(result));
    if (!line.ratio || line.mode == kReferenceMode) continue;
    std::string key = line.mode;
    std::replace(key.begin(), key.end(), '-', '_');
    ratios[key + "_over_raw_c" + std::to_string(line.concurrency)] = Rounded(*line.ratio, 1000);
  }
  ordered_json all = {
      {"bench", "transfer"},
      {"ack", options.ack == client::Acknowledgement::kApplied ? "applied" : "decided"},
      {"seconds", std::chrono::duration<double>(options.length).count()},
      {"rounds", options.rounds},
      {"results", std::move(results)},
      {"ratios", std::move(ratios)}};
  return all.dump(2) + "\n";
}

}  // namespace assent::bench
