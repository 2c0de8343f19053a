#include "damc/metrics/precision_recall.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <span>
#include <vector>

#include "tensor/error.h"
#include "tensor/ops.h"

namespace damc {
namespace {

using Row = std::span<double>;

/// Calls visit(i, squared distances of row i of x to all rows of y), some rows of x at a time.
void for_each_row(const Tensor& x, const Tensor& y, const std::function<void(std::size_t, Row)>& visit) {
  constexpr std::int64_t rows_at_once = 256;
  const Tensor lengths = sum(square(y), 1);
  const auto n = static_cast<std::size_t>(y.size(0));
  for (std::int64_t first = 0; first < x.size(0); first += rows_at_once) {
    const Tensor some = x.narrow(0, first, std::min(rows_at_once, x.size(0) - first));
    const Tensor products = matmul(some, y.transpose(0, 1));
    const Tensor distances =
        add(add(mul(products, -2.0), sum(square(some), 1).reshape({some.size(0), 1})), lengths);
    for (std::int64_t i = 0; i < some.size(0); ++i) {
      visit(static_cast<std::size_t>(first + i),
            Row(distances.data<double>() + static_cast<std::size_t>(i) * n, n));
    }
  }
}

/// Squared distance of every row to its k-th nearest other row.
std::vector<double> radii(const Tensor& x, std::int64_t k) {
  std::vector<double> found(static_cast<std::size_t>(x.size(0)));
  for_each_row(x, x, [&](std::size_t i, Row distances) {
    distances[i] = 0.0;  // but for rounding it is
    std::nth_element(distances.begin(), distances.begin() + k, distances.end());
    found[i] = distances[static_cast<std::size_t>(k)];
  });
  return found;
}

double share(const std::vector<std::uint8_t>& marks) {
  return static_cast<double>(std::accumulate(marks.begin(), marks.end(), std::int64_t{0})) /
         static_cast<double>(marks.size());
}

}  // namespace

PrecisionRecall precision_recall(const Tensor& real, const Tensor& generated, std::int64_t k) {
  ENSURE(real.ndim() == 2 && generated.ndim() == 2 && real.size(1) == generated.size(1),
         "precision and recall: features are {} and {}, expected [images, numbers] of one length",
         real.shape().str(), generated.shape().str());
  ENSURE(k >= 1 && real.size(0) > k && generated.size(0) > k,
         "precision and recall: {} real and {} generated images, more than k = {} are needed", real.size(0),
         generated.size(0), k);
  const Tensor x = real.to(Dtype::f64), y = generated.to(Dtype::f64);
  const std::vector<double> real_radii = radii(x, k), generated_radii = radii(y, k);
  std::vector<std::uint8_t> real_inside(real_radii.size()), generated_inside(generated_radii.size());
  for_each_row(x, y, [&](std::size_t i, Row distances) {
    for (std::size_t j = 0; j < distances.size(); ++j) {
      if (distances[j] <= real_radii[i]) generated_inside[j] = 1;
      if (distances[j] <= generated_radii[j]) real_inside[i] = 1;
    }
  });
  return {share(generated_inside), share(real_inside)};
}

}  // namespace damc
