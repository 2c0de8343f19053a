/// The numbers of a run, one JSON object a line: stats.jsonl of its training, metrics.jsonl of its evaluations.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

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

/// Appends an iteration's numbers to stats.jsonl of a run, with the time, how far the run is, seconds per iteration and
/// the device's memory in bytes. Throws Error when that cannot be written.
void append_stats(const std::filesystem::path& folder, const Progress& progress, const Stats& stats,
                  double seconds, std::size_t memory);

}  // namespace damc
