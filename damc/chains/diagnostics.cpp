#include "damc/chains/diagnostics.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <vector>

#include "tensor/error.h"

namespace damc {
namespace {

/// A series on the host, a step after the other.
struct Series {
  explicit Series(const Tensor& series) {
    ENSURE(series.ndim() == 2 && series.size(0) >= 4 && series.size(1) >= 1,
           "diagnostics of chains need [at least 4 steps, chains], given {}", series.shape().str());
    values = series.to_vector<double>();
    steps = static_cast<std::size_t>(series.size(0));
    chains = static_cast<std::size_t>(series.size(1));
  }

  double at(std::size_t step, std::size_t chain) const { return values[step * chains + chain]; }
  /// Mean over `count` steps of a chain.
  double mean(std::size_t chain, std::size_t first, std::size_t count) const {
    double total = 0.0;
    for (std::size_t t = first; t < first + count; ++t) total += at(t, chain);
    return total / static_cast<double>(count);
  }

  std::vector<double> values;
  std::size_t steps, chains;
};

double rhat_of(const Series& series) {
  const std::size_t length = series.steps / 2;
  const auto n = static_cast<double>(length), halves = static_cast<double>(2 * series.chains);
  double within = 0.0;
  std::vector<double> means;
  for (std::size_t chain = 0; chain < series.chains; ++chain) {
    for (const std::size_t begin : {std::size_t{0}, series.steps - length}) {
      const double mean = series.mean(chain, begin, length);
      double squares = 0.0;
      for (std::size_t t = begin; t < begin + length; ++t) squares += std::pow(series.at(t, chain) - mean, 2);
      within += squares / (n - 1.0) / halves;
      means.push_back(mean);
    }
  }
  const double all = std::accumulate(means.begin(), means.end(), 0.0) / halves;
  double between = 0.0;
  for (const double mean : means) between += std::pow(mean - all, 2) / (halves - 1.0);
  return std::sqrt((n - 1.0) / n + between / within);
}

/// x with P(N(0, 1) < x) = p. Newton's steps from 0 approach it from one side: the distribution is convex below 0, and
/// what lies above 0 is mirrored.
double normal_quantile(double p) {
  if (p > 0.5) return -normal_quantile(1.0 - p);
  double x = 0.0;
  for (double step = 1.0; std::abs(step) > 1e-14 * (1.0 + std::abs(x)); x -= step) {
    const double below = 0.5 * std::erfc(-x / std::numbers::sqrt2);
    const double density = std::exp(-0.5 * x * x) / std::sqrt(2.0 * std::numbers::pi);
    step = (below - p) / density;
    if (step < 0.0) break;  // only rounding turns it back
  }
  return x;
}

/// The numbers' ranks among all, equal ones at their mean rank, as normal scores.
std::vector<double> normal_scores(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return values[i]; });
  std::vector<double> scores(values.size());
  for (std::size_t first = 0; first < order.size();) {
    std::size_t end = first + 1;
    while (end < order.size() && values[order[end]] == values[order[first]]) ++end;
    const double rank = 0.5 * static_cast<double>(first + 1 + end);
    const double score = normal_quantile((rank - 0.375) / (static_cast<double>(values.size()) + 0.25));
    for (; first < end; ++first) scores[order[first]] = score;
  }
  return scores;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  if (values.size() % 2 == 1) return *middle;
  return 0.5 * (*middle + *std::max_element(values.begin(), middle));
}

}  // namespace

AutocorrelationTime autocorrelation_time(const Tensor& tensor) {
  Series series(tensor);
  std::vector<double>& values = series.values;
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  for (double& value : values) value -= mean;
  // Rows are steps: lag t pairs each element with the one t * chains further on.
  const auto covariance = [&](std::size_t lag) {
    const auto later = values.begin() + static_cast<std::ptrdiff_t>(lag * series.chains);
    return std::inner_product(later, values.end(), values.begin(), 0.0) / static_cast<double>(values.size());
  };
  constexpr std::size_t most = 2000;
  const double variance = covariance(0);
  AutocorrelationTime found{1.0, false};
  for (std::size_t lag = 1; lag <= std::min(series.steps / 2, most) && !found.resolved; ++lag) {
    found.steps += 2.0 * covariance(lag) / variance;
    found.resolved = static_cast<double>(lag) >= 5.0 * std::max(1.0, found.steps);
  }
  if (!(found.steps > 0.0)) return {std::nan(""), false};  // the noise of few numbers
  return found;
}

double split_rhat(const Tensor& series) { return rhat_of(Series(series)); }

double rank_rhat(const Tensor& tensor) {
  Series series(tensor);
  std::vector<double> distances = series.values;
  const double middle = median(distances);
  for (double& value : distances) value = std::abs(value - middle);
  series.values = normal_scores(series.values);
  const double location = rhat_of(series);
  series.values = normal_scores(distances);
  return std::fmax(location, rhat_of(series));
}

double drift(const Tensor& tensor) {
  const Series series(tensor);
  const std::size_t half = series.steps / 2;
  const auto chains = static_cast<double>(series.chains);
  std::vector<double> rises;
  for (std::size_t chain = 0; chain < series.chains; ++chain)
    rises.push_back(series.mean(chain, series.steps - half, half) - series.mean(chain, 0, half));
  const double mean = std::accumulate(rises.begin(), rises.end(), 0.0) / chains;
  double squares = 0.0;
  for (const double rise : rises) squares += std::pow(rise - mean, 2);
  return mean / std::sqrt(squares / (chains - 1.0) / chains);
}

Mixing mixing(const Tensor& series) {
  return {autocorrelation_time(series), rank_rhat(series), drift(series)};
}

}  // namespace damc
