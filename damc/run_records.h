/// The numbers of a run, one JSON object a line: stats.jsonl of its training, metrics.jsonl of its evaluations.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "damc/checkpoint.h"
#include "optim/stats.h"

namespace damc {

/// One result of an evaluation.
struct Metric {
  std::string name;  ///< "mse"
  double value;
  std::int64_t images;     ///< that it is over
  std::int64_t iteration;  ///< of the weights
  std::string weights;     ///< their file's name; "" for those of a training as they are
  std::int64_t seed;       ///< of the evaluation's noise
  nlohmann::ordered_json details = nlohmann::ordered_json::object();  ///< what else belongs to this metric
};

/// Appends to metrics.jsonl of a run. Throws Error when that cannot be written.
void append_metric(const std::filesystem::path& folder, const Metric& metric);

/// All of metrics.jsonl of a run, in its order; none where there is no such file. Throws UserError naming a line that is
/// none of its metrics.
std::vector<Metric> read_metrics(const std::filesystem::path& folder);

/// How a metric went over the evaluations of a training, those by `damc eval` left out.
struct MetricHistory {
  std::int64_t evaluations = 0;  ///< all of them
  std::int64_t last = 0;         ///< how many of the last the mean and the deviation are over, at most 10
  double mean = 0.0, deviation = 0.0;  ///< divisor last - 1
  double best = 0.0;                   ///< the highest of all
  std::int64_t best_iteration = 0;
};
MetricHistory metric_history(const std::vector<Metric>& metrics, const std::string& name);

/// Appends an iteration's numbers to stats.jsonl of a run, with the time, how far the run is, seconds per iteration and
/// the device's memory in bytes. Throws Error when that cannot be written.
void append_stats(const std::filesystem::path& folder, const Progress& progress, const Stats& stats,
                  double seconds, std::size_t memory);

}  // namespace damc
