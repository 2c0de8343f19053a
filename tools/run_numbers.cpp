#include "tools/run_numbers.h"

#include <algorithm>
#include <cmath>

#include "damc/authors_layout.h"

namespace damc {
namespace {

namespace fs = std::filesystem;

/// The last number of a column that is one; 0: there is none.
double last_of(const StatsTable& stats, const std::string& name) {
  const std::vector<double>* values = stats.find(name);
  if (!values) return 0.0;
  const auto found =
      std::find_if(values->rbegin(), values->rend(), [](double v) { return std::isfinite(v); });
  return found == values->rend() ? 0.0 : *found;
}

/// Seconds that the iterations took, pauses left out.
double training_seconds(const StatsTable& stats) {
  const std::vector<double>* each = stats.find("seconds_per_iteration");
  double seconds = 0.0;
  for (std::size_t i = 0; each && i < each->size(); ++i) {
    const std::int64_t count = stats.iterations[i] - (i > 0 ? stats.iterations[i - 1] : 0);
    if (std::isfinite((*each)[i])) seconds += (*each)[i] * static_cast<double>(count);
  }
  return seconds;
}

}  // namespace

std::int64_t RunNumbers::parameter_count() const {
  std::int64_t total = 0;
  for (const auto& [network, count] : parameters) total += count;
  return total;
}

RunNumbers run_numbers(const fs::path& folder, const StatsTable& stats, std::int64_t batch) {
  RunNumbers found;
  const bool recorded = !stats.iterations.empty();
  const auto models = checkpoints(folder, "model");
  if (recorded) found.iteration = stats.iterations.back();
  if (!models.empty()) {
    found.iteration = std::max(found.iteration, models.rbegin()->first);
    found.weights = models.rbegin()->second;
    const StoredWeights stored = open_checkpoint(found.weights);
    const auto data = stored.metadata.find("data");
    if (data != stored.metadata.end()) found.data = data->second;
    for (const auto& [name, tensor] : stored.tensors) {
      const std::string network = name.substr(0, name.find('.'));
      if (network != "Q_dummy") found.parameters[network] += tensor.numel();  // it follows Q
    }
  }
  found.images_seen = recorded ? stats.images_seen.back() : found.iteration * batch;
  found.seconds = training_seconds(stats);
  found.seconds_per_iteration = last_of(stats, "seconds_per_iteration");
  found.memory_mib = last_of(stats, "memory_mib");
  return found;
}

}  // namespace damc
