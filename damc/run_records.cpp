#include "damc/run_records.h"

#include "damc/run_folder.h"

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
