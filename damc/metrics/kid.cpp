#include "damc/metrics/kid.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "data/counter_hash.h"
#include "tensor/error.h"
#include "tensor/ops.h"

namespace damc {
namespace {

/// `count` rows of x as f64, drawn without replacement as a function of the key.
Tensor draw_rows(const Tensor& x, std::int64_t count, std::uint64_t key) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(x.size(0)));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  Tensor rows = Tensor::empty({count, x.size(1)}, Dtype::f64);
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    std::swap(order[i], order[i + counter_hash(key, i) % (order.size() - i)]);
    rows.narrow(0, static_cast<std::int64_t>(i), 1).copy_from(x.narrow(0, order[i], 1));
  }
  return rows;
}

/// Sum of the kernel over all pairs of rows.
double kernel_sum(const Tensor& x, const Tensor& y) {
  const Tensor k = affine(matmul(x, y.transpose(0, 1)), 1.0 / static_cast<double>(x.size(1)), 1.0);
  return sum(mul(square(k), k)).item();
}

/// The same over the pairs of a row with itself.
double kernel_diagonal(const Tensor& x) {
  const Tensor k = affine(sum(square(x), 1), 1.0 / static_cast<double>(x.size(1)), 1.0);
  return sum(mul(square(k), k)).item();
}

double squared_discrepancy(const Tensor& x, const Tensor& y) {
  const auto m = static_cast<double>(x.size(0));
  const double within = kernel_sum(x, x) - kernel_diagonal(x) + kernel_sum(y, y) - kernel_diagonal(y);
  return (within / (m - 1.0) - 2.0 * kernel_sum(x, y) / m) / m;
}

}  // namespace

Kid kernel_distance(const Tensor& a, const Tensor& b, const KidOptions& options) {
  ENSURE(a.ndim() == 2 && b.ndim() == 2 && a.size(1) == b.size(1),
         "kernel distance: features are {} and {}, expected [images, numbers] of one length", a.shape().str(),
         b.shape().str());
  const std::int64_t size = std::min({a.size(0), b.size(0), options.subset_size});
  ENSURE(size >= 2 && options.subsets >= 1,
         "kernel distance: {} subsets of {} images, at least 1 of 2 is needed", options.subsets, size);
  double total = 0.0, squares = 0.0;
  for (std::int64_t s = 0; s < options.subsets; ++s) {
    const std::uint64_t key = counter_hash(options.seed, static_cast<std::uint64_t>(s));
    const double value = squared_discrepancy(draw_rows(a, size, counter_hash(key, 0)),
                                             draw_rows(b, size, counter_hash(key, 1)));
    total += value;
    squares += value * value;
  }
  const auto n = static_cast<double>(options.subsets);
  const double mean = total / n;
  return {mean, std::sqrt(std::max(squares / n - mean * mean, 0.0)), size};
}

}  // namespace damc
