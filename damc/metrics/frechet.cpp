#include "damc/metrics/frechet.h"

#include <cmath>
#include <limits>
#include <vector>

#include "tensor/error.h"
#include "tensor/linalg.h"
#include "tensor/ops.h"

namespace damc {
namespace {

double trace(const Tensor& m) {
  const std::vector<double> values = m.to_vector<double>();
  double total = 0.0;
  for (std::size_t i = 0; i < values.size(); i += static_cast<std::size_t>(m.size(0)) + 1) total += values[i];
  return total;
}

/// A factor F of the covariance, F^T F, and the eigenvalues that rounding made negative.
struct Factor {
  Tensor rows;
  double clipped = 0.0;
};

Factor factor(const Statistics& s) {
  if (s.features.defined() && s.n <= s.mean.size(0)) {
    return {mul(centred(s), 1.0 / std::sqrt(static_cast<double>(s.n - 1)))};
  }
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const auto [values, vectors] = eigh(s.covariance);
  const Tensor roots = sqrt(clamp(values, 0.0, infinity));
  return {mul(vectors, roots).transpose(0, 1), sum(clamp(values, -infinity, 0.0)).item()};
}

}  // namespace

FrechetDistance frechet_distance(const Statistics& a, const Statistics& b) {
  ENSURE(a.mean.shape() == b.mean.shape(), "Frechet distance: features of {} and of {} numbers",
         a.mean.shape().str(), b.mean.shape().str());
  const double means = sum_squares(sub(a.mean, b.mean)).item();
  const Factor f = factor(a), g = factor(b);
  const double root_trace = sum(svdvals(matmul(f.rows, g.rows.transpose(0, 1)))).item();
  return {means + trace(a.covariance) + trace(b.covariance) - 2.0 * root_trace, means, f.clipped + g.clipped};
}

}  // namespace damc
