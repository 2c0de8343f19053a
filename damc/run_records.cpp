#include "damc/run_records.h"

#include <algorithm>
#include <cmath>
#include <fstream>

#include "damc/run_folder.h"
#include "tensor/error.h"
#include "tensor/text.h"

namespace damc {

void append_metric(const std::filesystem::path& folder, const Metric& metric) {
  nlohmann::ordered_json line = {{"metric", metric.name},
                                 {"value", metric.value},
                                 {"images", metric.images},
                                 {"iteration", metric.iteration},
                                 {"seed", metric.seed}};
  if (!metric.weights.empty()) line["weights"] = metric.weights;
  line.update(metric.details);
  append_line(folder / "metrics.jsonl", line.dump());
}

std::vector<Metric> read_metrics(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "metrics.jsonl";
  std::ifstream in(file);
  std::vector<Metric> metrics;
  std::int64_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    nlohmann::ordered_json read = nlohmann::ordered_json::parse(line, nullptr, false);
    try {
      Metric metric{read.at("metric"),
                    read.at("value"),
                    read.at("images"),
                    read.at("iteration"),
                    read.value("weights", ""),
                    read.value("seed", std::int64_t{0}),
                    read};
      for (const char* key : {"metric", "value", "images", "iteration", "weights", "seed"})
        metric.details.erase(key);
      metrics.push_back(std::move(metric));
    } catch (const nlohmann::ordered_json::exception&) {
      user_error(fmt::format("line {} of '{}' is no metric", number, escaped(file.native())),
                 "remove the line");
    }
  }
  return metrics;
}

MetricHistory metric_history(const std::vector<Metric>& metrics, const std::string& name) {
  MetricHistory found;
  std::vector<double> values;
  for (const Metric& metric : metrics) {
    if (metric.name != name || !metric.weights.empty()) continue;
    values.push_back(metric.value);
    if (values.size() > 1 && metric.value <= found.best) continue;
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

void append_stats(const std::filesystem::path& folder, const Progress& progress, const Stats& stats,
                  double seconds, std::size_t memory) {
  nlohmann::ordered_json line = {
      {"iteration", progress.iterations}, {"images_seen", progress.images_seen}, {"time", utc_time()}};
  for (const auto& [name, value] : stats.read()) line[name] = value;
  if (stats.contains("energy_plus")) line["energy_gap"] = stats["energy_plus"] - stats["energy_minus"];
  line["seconds_per_iteration"] = seconds;
  line["memory_mib"] = static_cast<double>(memory) / 1048576.0;
  append_line(folder / "stats.jsonl", line.dump());
}

}  // namespace damc
