#include "damc/toy/two_sample.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/error.h"

namespace damc {
namespace {

using Columns = std::vector<std::vector<double>>;

/// The points' coordinates, one vector for each dimension.
Columns columns_of(const Tensor& points) {
  Columns columns;
  for (std::int64_t c = 0; c < points.size(1); ++c) {
    columns.push_back(points.narrow(1, c, 1).to_vector<double>());
  }
  return columns;
}

/// Sum of |x_i - y_j| over j >= first.
double row_sum(const Columns& x, std::size_t i, const Columns& y, std::size_t first) {
  const std::size_t m = y[0].size();
  std::vector<double> squares(m - first);
  for (std::size_t c = 0; c < x.size(); ++c) {
    const double xi = x[c][i];
    const double* yc = y[c].data() + first;
    for (std::size_t j = 0; j < squares.size(); ++j) squares[j] += (xi - yc[j]) * (xi - yc[j]);
  }
  double sum = 0.0;
  for (const double square : squares) sum += std::sqrt(square);
  return sum;
}

/// Mean of |x_i - y_j| over all pairs.
double mean_distance(const Columns& x, const Columns& y) {
  const std::size_t n = x[0].size(), m = y[0].size();
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) sum += row_sum(x, i, y, 0);
  return sum / (static_cast<double>(n) * static_cast<double>(m));
}

/// Mean of |x_i - x_j| over all pairs; |x_i - x_j| = |x_j - x_i|, so half of them are enough.
double mean_distance_within(const Columns& x) {
  const std::size_t n = x[0].size();
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) sum += row_sum(x, i, x, i);
  return 2.0 * sum / (static_cast<double>(n) * static_cast<double>(n));
}

}  // namespace

double energy_distance(const Tensor& x, const Tensor& y) {
  ENSURE(x.ndim() == 2 && y.ndim() == 2 && x.size(1) == y.size(1) && x.numel() > 0 && y.numel() > 0,
         "energy distance: points {} and {}", x.shape().str(), y.shape().str());
  const Columns a = columns_of(x), b = columns_of(y);
  const double squared = 2.0 * mean_distance(a, b) - mean_distance_within(a) - mean_distance_within(b);
  return std::sqrt(std::max(0.0, squared));  // rounding may leave it below 0
}

}  // namespace damc
