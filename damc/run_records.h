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

/// All of metrics.jsonl of a run, in its order; none where there is no such file. A last line without an end, which
/// another process may be writing, is left out. Throws UserError naming a line that is none of its metrics.
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

/// stats.jsonl as columns: what its lines say, by name.
struct StatsTable {
  struct Column {
    std::string name;            ///< "loss_g"
    std::vector<double> values;  ///< one a line; NaN where a line has none, or none that is finite
  };
  struct NonFinite {
    std::int64_t iteration;
    std::string name;
  };

  std::vector<std::int64_t> iterations;  ///< of the lines
  std::vector<std::int64_t> images_seen;
  std::vector<std::string> times;  ///< "2026-01-31T23:59:59Z"; "" in files of before
  std::vector<Column> columns;     ///< of all other numbers, in the order they came
  std::vector<NonFinite> non_finite;

  /// The values of a column; none where there is no such column.
  const std::vector<double>* find(const std::string& name) const;
};

/// All of stats.jsonl of a run, as read_metrics reads; no lines where there is no such file. Throws UserError naming a
/// line that is none of its records.
StatsTable read_stats(const std::filesystem::path& folder);

}  // namespace damc
