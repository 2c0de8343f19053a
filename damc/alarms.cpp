#include "damc/alarms.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <span>

#include "damc/chains/stability.h"

namespace damc {
namespace {

using Values = std::vector<double>;

constexpr double kMostGrowth = 5.0, kMostGap = 10.0;

std::optional<double> median(std::span<const double> values) {
  Values finite;
  std::copy_if(values.begin(), values.end(), std::back_inserter(finite),
               [](double v) { return std::isfinite(v); });
  if (finite.empty()) return {};
  const auto middle = finite.begin() + static_cast<std::ptrdiff_t>(finite.size() / 2);
  std::nth_element(finite.begin(), middle, finite.end());
  return *middle;
}

/// Medians of windows of lines, the last one's last; those without a number are left out.
Values windows(const Values& values) {
  const std::size_t width = std::max<std::size_t>(values.size() / 10, 5);
  Values medians;
  for (std::size_t end = values.size() % width; end + width <= values.size(); end += width) {
    if (const auto found = median(std::span(values).subspan(end, width))) medians.push_back(*found);
  }
  return medians;
}

void add_non_finite(const StatsTable& stats, std::vector<std::string>& found) {
  if (stats.non_finite.empty()) return;
  const auto& first = stats.non_finite.front();
  found.push_back(fmt::format("not finite: {} at iteration {}, the first of {} numbers", first.name,
                              first.iteration, stats.non_finite.size()));
}

void add_growth(const StatsTable::Column& column, std::vector<std::string>& found) {
  const Values medians = windows(column.values);
  if (medians.empty()) return;
  const double lowest = *std::min_element(medians.begin(), medians.end()), last = medians.back();
  if (lowest <= 0.0 || last < kMostGrowth * lowest) return;
  found.push_back(
      fmt::format("divergence: {} is {:.4g} at the end and was {:.4g}", column.name, last, lowest));
}

void add_beyond(const StatsTable::Column& column, double bound, const char* what,
                std::vector<std::string>& found) {
  const Values medians = windows(column.values);
  if (medians.empty() || std::abs(medians.back()) <= bound) return;
  found.push_back(fmt::format(fmt::runtime(what), column.name, medians.back()));
}

}  // namespace

std::vector<std::string> alarms(const StatsTable& stats) {
  std::vector<std::string> found;
  add_non_finite(stats, found);
  for (const StatsTable::Column& column : stats.columns) {
    if (column.name.starts_with("loss_")) add_growth(column, found);
    if (column.name == "energy_gap") {
      add_beyond(column, kMostGap,
                 "energy gap: E+ - E- is {1:.4g} at the end: the prior's chains do not reach what the "
                 "posterior's do",
                 found);
    }
    if (column.name.starts_with("stability_"))
      add_beyond(column, kLargestStability,
                 "unstable chains: {0} is {1:.4g} at the end, and above 2 they diverge", found);
  }
  return found;
}

}  // namespace damc
