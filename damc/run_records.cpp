#include "damc/run_records.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>

#include "damc/run_folder.h"
#include "tensor/error.h"
#include "tensor/io/file.h"
#include "tensor/text.h"

namespace damc {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr std::int64_t kMostBytes = std::int64_t{1} << 28;  // of a file
constexpr std::size_t kMostLineBytes = 1 << 16, kMostColumns = 256;

/// A count or number of an iteration. Throws Json::exception for anything else.
std::int64_t whole(const Json& value) {
  return static_cast<std::int64_t>(value.get_ref<const std::uint64_t&>());
}

/// Takes the lines of a file of JSON objects, if it is there; not empty ones, nor a last one without an end that is none
/// yet. Throws UserError for a line that is too long, no JSON, or that `take` throws Json::exception for.
template <class Take>
void for_lines(const fs::path& file, const char* what, const Take& take) {
  if (!fs::exists(status_of(file))) return;
  const std::vector<std::byte> bytes = read_file(file, kMostBytes);
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (std::int64_t number = 1; !rest.empty(); ++number) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    if (line.size() == rest.size() && !Json::accept(line)) return;
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.find_first_not_of(" \t\r") == line.npos) continue;
    const auto refuse = [&] {
      user_error(fmt::format("line {} of '{}' is no {}", number, escaped(file.native()), what),
                 "remove the line");
    };
    if (line.size() > kMostLineBytes) refuse();
    try {
      take(Json::parse(line));
    } catch (const Json::exception&) {
      refuse();
    }
  }
}

}  // namespace

void append_metric(const fs::path& folder, const Metric& metric) {
  nlohmann::ordered_json line = {{"metric", metric.name},
                                 {"value", metric.value},
                                 {"images", metric.images},
                                 {"iteration", metric.iteration},
                                 {"seed", metric.seed}};
  if (!metric.weights.empty()) line["weights"] = metric.weights;
  line.update(metric.details);
  append_line(folder / "metrics.jsonl", line.dump());
}

std::vector<Metric> read_metrics(const fs::path& folder) {
  std::vector<Metric> metrics;
  for_lines(folder / "metrics.jsonl", "metric", [&](Json line) {
    const Json& value = line.at("value");
    Metric metric{line.at("metric"),
                  value.is_null() ? std::nan("") : value.get<double>(),  // as JSON writes what is not finite
                  whole(line.at("images")),
                  whole(line.at("iteration")),
                  line.value("weights", ""),
                  line.contains("seed") ? whole(line["seed"]) : 0,
                  line};
    for (const char* key : {"metric", "value", "images", "iteration", "weights", "seed"})
      metric.details.erase(key);
    metrics.push_back(std::move(metric));
  });
  return metrics;
}

MetricHistory metric_history(const std::vector<Metric>& metrics, const std::string& name) {
  MetricHistory found;
  std::vector<double> values;
  for (const Metric& metric : metrics) {
    if (metric.name != name || !metric.weights.empty()) continue;
    values.push_back(metric.value);
    if (values.size() > 1 && !std::isnan(found.best) && !(metric.value > found.best)) continue;
    found.best = metric.value;
    found.best_iteration = metric.iteration;
  }
  constexpr std::size_t most = 10;
  const std::size_t n = std::min(values.size(), most);
  found.evaluations = static_cast<std::int64_t>(values.size());
  found.last = static_cast<std::int64_t>(n);
  for (std::size_t i = values.size() - n; i < values.size(); ++i)
    found.mean += values[i] / static_cast<double>(n);
  double squares = 0.0;
  for (std::size_t i = values.size() - n; i < values.size(); ++i) {
    squares += (values[i] - found.mean) * (values[i] - found.mean);
  }
  if (n > 1) found.deviation = std::sqrt(squares / static_cast<double>(n - 1));
  return found;
}

void append_stats(const fs::path& folder, const Progress& progress, const Stats& stats, double seconds,
                  std::size_t memory) {
  nlohmann::ordered_json line = {
      {"iteration", progress.iterations}, {"images_seen", progress.images_seen}, {"time", utc_time()}};
  for (const auto& [name, value] : stats.read()) line[name] = value;
  if (stats.contains("energy_plus")) line["energy_gap"] = stats["energy_plus"] - stats["energy_minus"];
  line["seconds_per_iteration"] = seconds;
  line["memory_mib"] = static_cast<double>(memory) / 1048576.0;
  append_line(folder / "stats.jsonl", line.dump());
}

const std::vector<double>* StatsTable::find(const std::string& name) const {
  const auto found =
      std::find_if(columns.begin(), columns.end(), [&](const Column& column) { return column.name == name; });
  return found == columns.end() ? nullptr : &found->values;
}

StatsTable read_stats(const fs::path& folder) {
  StatsTable table;
  std::map<std::string, std::size_t> places;
  for_lines(folder / "stats.jsonl", "record of an iteration", [&](const Json& line) {
    table.iterations.push_back(whole(line.at("iteration")));
    table.images_seen.push_back(line.contains("images_seen") ? whole(line["images_seen"]) : 0);
    table.times.push_back(line.value("time", ""));
    const std::size_t lines = table.iterations.size();
    for (const auto& [name, value] : line.items()) {
      if (name == "iteration" || name == "images_seen") continue;
      if (value.is_null()) table.non_finite.push_back({table.iterations.back(), name});
      if (!value.is_number()) continue;
      const auto [place, is_new] = places.try_emplace(name, table.columns.size());
      if (is_new) {
        if (places.size() > kMostColumns) {
          user_error(fmt::format("'{}' names more than {} numbers",
                                 escaped((folder / "stats.jsonl").native()), kMostColumns));
        }
        table.columns.push_back({name, {}});
      }
      std::vector<double>& values = table.columns[place->second].values;
      values.resize(lines, std::nan(""));
      values.back() = value;
    }
  });
  for (StatsTable::Column& column : table.columns)
    column.values.resize(table.iterations.size(), std::nan(""));
  return table;
}

}  // namespace damc
