#include "tools/report_curves.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tensor/text.h"
#include "tools/results.h"

namespace damc {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMostPoints = 2000;

struct Series {
  std::size_t run, table;
  std::string name;
  Points points;
};

struct Curves {
  std::vector<std::vector<double>> tables;                          // iterations
  std::vector<std::pair<std::string, std::vector<Series>>> charts;  // by their titles

  std::vector<Series>& chart(const std::string& title) {
    const auto found =
        std::find_if(charts.begin(), charts.end(), [&](const auto& c) { return c.first == title; });
    return found != charts.end() ? found->second : charts.emplace_back(title, std::vector<Series>()).second;
  }
};

/// "loss" of "loss_g".
std::string beginning(const std::string& name) { return name.substr(0, name.rfind('_')); }

/// Adds a run's records; a point stands for so many lines as are returned.
std::size_t add_records(const RunView& run, std::size_t number, Curves& curves) {
  const std::size_t n = run.stats.iterations.size(), lines = (n + kMostPoints - 1) / kMostPoints;
  std::vector<double> iterations;
  for (std::size_t end = lines; end < n + lines && n > 0; end += lines)
    iterations.push_back(static_cast<double>(run.stats.iterations[std::min(end, n) - 1]));
  for (const StatsTable::Column& column : run.stats.columns) {
    curves.chart(beginning(column.name))
        .push_back({number, curves.tables.size(), column.name, thinned(column.values, lines)});
  }
  curves.tables.push_back(std::move(iterations));
  return lines;
}

/// Adds the metrics that a run has results of at several iterations: the last of each iteration.
void add_results(const RunView& run, std::size_t number, Curves& curves) {
  std::map<std::pair<std::string, std::string>, std::map<std::int64_t, double>> results;
  for (const Metric& metric : run.metrics)
    results[{metric.name, label_of(metric)}][metric.iteration] = metric.value;
  for (const auto& [names, values] : results) {
    if (values.size() < 2) continue;
    Series series{number, curves.tables.size(), names.second, {}};
    std::vector<double> iterations;
    for (const auto& [iteration, value] : values) {
      iterations.push_back(static_cast<double>(iteration));
      series.points.mean.push_back(value);
    }
    curves.chart("metric: " + names.first).push_back(std::move(series));
    curves.tables.push_back(std::move(iterations));
  }
}

Json numbers(const std::vector<double>& values) {
  Json list = Json::array();
  for (const double value : values) {
    // Six digits are more than a screen shows.
    list.push_back(std::isfinite(value) ? Json(std::strtod(fmt::format("{:.6g}", value).c_str(), nullptr))
                                        : Json());
  }
  return list;
}

Json to_json(const Curves& curves, const std::vector<RunView>& runs) {
  Json json = {{"runs", Json::array()}, {"tables", Json::array()}, {"charts", Json::array()}};
  for (const RunView& run : runs) json["runs"].push_back(escaped(run.name));
  for (const std::vector<double>& iterations : curves.tables) json["tables"].push_back(iterations);
  for (const auto& [title, series] : curves.charts) {
    Json chart = {{"title", escaped(title)}, {"series", Json::array()}};
    for (const Series& one : series) {
      Json made = {{"run", one.run},
                   {"table", one.table},
                   {"name", escaped(one.name)},
                   {"y", numbers(one.points.mean)}};
      if (!one.points.low.empty()) {
        made["low"] = numbers(one.points.low);
        made["high"] = numbers(one.points.high);
      }
      chart["series"].push_back(std::move(made));
    }
    std::set<std::string> names;
    for (const Series& one : series) names.insert(one.name);
    if (names.size() == 1 && !title.starts_with("metric: ")) chart["title"] = escaped(*names.begin());
    json["charts"].push_back(std::move(chart));
  }
  return json;
}

}  // namespace

Points thinned(const std::vector<double>& values, std::size_t lines) {
  if (lines <= 1) return {values, {}, {}};
  Points points;
  for (std::size_t first = 0; first < values.size(); first += lines) {
    double sum = 0.0, count = 0.0, low = std::numeric_limits<double>::infinity(), high = -low;
    for (std::size_t i = first; i < std::min(first + lines, values.size()); ++i) {
      if (!std::isfinite(values[i])) continue;
      sum += values[i];
      count += 1.0;
      low = std::min(low, values[i]);
      high = std::max(high, values[i]);
    }
    points.mean.push_back(count > 0.0 ? sum / count : std::nan(""));
    points.low.push_back(count > 0.0 ? low : std::nan(""));
    points.high.push_back(count > 0.0 ? high : std::nan(""));
  }
  return points;
}

RunCurves run_curves(const std::vector<RunView>& runs) {
  Curves curves;
  std::string note;
  for (std::size_t run = 0; run < runs.size(); ++run) {
    const std::size_t lines = add_records(runs[run], run, curves);
    if (lines > 1) {
      note += fmt::format("Of {} a point is the mean of {} records, and the shade what they lie between. ",
                          runs[run].name, lines);
    }
  }
  for (std::size_t run = 0; run < runs.size(); ++run) add_results(runs[run], run, curves);
  RunCurves result{"", note};
  for (const char c : to_json(curves, runs).dump(-1, ' ', true, Json::error_handler_t::replace)) {
    if (c == '<') {
      result.json += "\\u003c";  // so that no text ends the script
    } else {
      result.json += c;
    }
  }
  return result;
}

}  // namespace damc
