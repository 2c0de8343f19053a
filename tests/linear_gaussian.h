/// A model whose posterior, marginal and learning are known in closed form: x = A z + sigma w with z ~ N(0, I_2).
#pragma once

#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "damc/chains/prior.h"
#include "nn/layers.h"
#include "optim/learner.h"
#include "tensor/ops.h"

namespace damc {

inline constexpr double kStandardErrors = 4.0;

/// |observed - expected| in standard errors.
inline void check_statistic(const std::string& what, double observed, double expected,
                            double standard_error) {
  const double deviation = std::abs(observed - expected) / standard_error;
  CHECK_MESSAGE(deviation < kStandardErrors, what, ": ", observed, " instead of ", expected, ", ", deviation,
                " standard errors away");
}

/// Adam without clipping, at a tenth of its rate from that iteration on.
inline LearnerOptions learning(double rate, std::int64_t then_a_tenth_after) {
  return {.rate = {rate, 0.1, then_a_tenth_after, 0.0}, .adam = {0.9, 0.999, 1e-8, 0.0}, .grad_clip = 0.0};
}

struct LinearGaussian {
  static constexpr double kSigma = 0.5;

  /// A = [[1, .5], [0, 1], [.5, -.5]], as the weight of a layer; A'A has eigenvalues 1.0955 and 1.6545
  static Tensor matrix() { return Tensor::from(std::vector<double>{1.0, 0.5, 0.0, 1.0, 0.5, -0.5}, {3, 2}); }
  /// (1, -1, .5), n times
  static Tensor observation(std::int64_t n) {
    return Tensor::from(std::vector<double>{1.0, -1.0, 0.5}, {1, 3}).expand({n, 3}).contiguous();
  }
  /// n draws of x, [n, 3]
  static Tensor draws(std::int64_t n, std::uint64_t seed) {
    Generator random(seed);
    const Tensor z = random.normal({n, 2}, Dtype::f64), w = random.normal({n, 3}, Dtype::f64);
    return add(matmul(z, matrix().transpose(0, 1)), mul(w, kSigma));
  }
};

/// Its decoder, with the matrix A of its own or one that is drawn.
struct LinearDecoder {
  explicit LinearDecoder(std::uint64_t seed) : random(seed) {}
  void take_true() { layer.weight.value().copy_from(LinearGaussian::matrix()); }
  /// Of W'W, the smaller first.
  std::array<double, 2> eigenvalues() const;

  Generator random;
  Init init{random, Dtype::f64};
  Linear layer{2, 3, init, false};
};

/// Eigenvalues of [[a, b], [b, c]], the smaller first.
inline std::array<double, 2> eigenvalues(double a, double b, double c) {
  const double middle = 0.5 * (a + c), radius = std::hypot(0.5 * (a - c), b);
  return {middle - radius, middle + radius};
}

inline std::array<double, 2> LinearDecoder::eigenvalues() const {
  const Tensor w = layer.weight.value();
  const std::vector<double> gram = matmul(w.transpose(0, 1), w).to_vector<double>();
  return damc::eigenvalues(gram[0], gram[1], gram[3]);
}

/// Mean and covariance of the rows of z [n, 2].
struct Moments {
  explicit Moments(const Tensor& z) {
    const double n = static_cast<double>(z.size(0));
    const Tensor middle = mul(sum(z, 0), 1.0 / n);
    const Tensor away = sub(z, middle);
    mean = middle.to_vector<double>();
    covariance = mul(matmul(away.transpose(0, 1), away), 1.0 / n).to_vector<double>();
  }
  std::vector<double> mean, covariance;
};

class Identity final : public Layer {
 public:
  Variable forward(const Variable& z) const override { return z; }
  void visit(const std::string&, const Visitor&) const override {}
};

/// x = z + w/2 [n, 1] of z with variance 2, scaled so that mean and variance are exactly 0 and 2.25.
inline Tensor scalar_draws(std::int64_t n, std::uint64_t seed) {
  const double rows = static_cast<double>(n);
  Tensor x = Generator(seed).normal({n, 1}, Dtype::f64);
  x = sub(x, mul(sum(x, 0), 1.0 / rows));
  return mul(x, std::sqrt(2.25 * rows / sum_squares(x).item()));
}

/// E(z) = k z^2 / 2 with k to be learned.
class Quadratic final : public Prior, public Module {
 public:
  Variable energies(const Variable& z) const override { return 0.5 * (k * square(z)); }
  void visit(const std::string& prefix, const Visitor& visitor) const override { visitor(prefix + "k", k); }

  Variable k{Tensor::zeros({1}, Dtype::f64), true};
};

}  // namespace damc
