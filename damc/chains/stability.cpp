#include "damc/chains/stability.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/grad.h"
#include "tensor/ops.h"

namespace damc {
namespace {

/// The step of a central difference of O(1) numbers where rounding and truncation balance.
double difference_step(Dtype dtype) {
  const double rounding =
      dtype == Dtype::f64 ? std::numeric_limits<double>::epsilon() : std::numeric_limits<float>::epsilon();
  return std::cbrt(rounding);
}

/// df/dz v for every row of z, f row by row.
template <class F>
Tensor directional(const F& f, const Tensor& z, const Tensor& v) {
  const double h = difference_step(z.dtype());
  const Tensor step = mul(v, h);
  const std::int64_t n = z.size(0);
  const Tensor both = f(cat(std::vector<Tensor>{add(z, step), sub(z, step)}, 0));
  return mul(sub(both.narrow(0, 0, n), both.narrow(0, n, n)), 0.5 / h);
}

/// |A v| of |v| = 1, [N], after `iterations` steps of v <- A v on every row, A symmetric.
template <class A>
Tensor power_method(const A& apply, const Tensor& z, Generator& random, int iterations) {
  const auto length = [](const Tensor& rows) {
    return add(sqrt(sum(square(rows), 1)), 1e-30).reshape({rows.size(0), 1});  // no row is divided by 0
  };
  Tensor v = random.normal(z.shape(), z.dtype()), norm = length(v);
  for (int i = 0; i < iterations; ++i) {
    v = apply(div(v, norm));
    norm = length(v);
  }
  return norm.reshape({z.size(0)});
}

}  // namespace

Tensor largest_curvature(const Likelihood& likelihood, const Tensor& z, Generator& random, int iterations) {
  const PinnedWeights pinned(likelihood.weights());
  const auto decode = [&](const Tensor& at) { return likelihood.decode(at).value(); };
  const auto gauss_newton = [&](const Tensor& v) {
    const Variable leaf(z, true);
    return grad(likelihood.decode(leaf), {leaf}, directional(decode, z, v))[0];
  };
  const double sigma = likelihood.sigma();
  return mul(power_method(gauss_newton, z, random, iterations), 1.0 / (sigma * sigma));
}

Tensor largest_curvature(const Potential& potential, const Tensor& z, Generator& random, int iterations) {
  const PinnedWeights pinned(potential.weights());
  const auto gradient = [&](const Tensor& at) { return potential.gradient(at); };
  return power_method([&](const Tensor& v) { return directional(gradient, z, v); }, z, random, iterations);
}

double stability(const Tensor& curvatures, double s) {
  const std::vector<double> all = curvatures.to_vector<double>();
  return s * s / 2.0 * (1.0 + *std::max_element(all.begin(), all.end()));
}

}  // namespace damc
