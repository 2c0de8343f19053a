/// Curvatures and stability numbers where they are known exactly: linear generators of given singular values, pointwise
/// ones, quadratic energies; and chains on both sides of the limit.
#include <doctest/doctest.h>

#include <cmath>

#include "autograd/ops.h"
#include "damc/chains/langevin.h"
#include "damc/chains/stability.h"
#include "tensor/ops.h"

using namespace damc;

namespace {

constexpr double kSigma = 0.25;

Tensor identity(std::int64_t n) {
  std::vector<double> values(static_cast<std::size_t>(n * n));
  for (std::size_t i = 0; i < values.size(); i += static_cast<std::size_t>(n) + 1) values[i] = 1.0;
  return Tensor::from(values, {n, n});
}

/// An orthogonal matrix: the reflection along a random direction.
Tensor reflection(std::int64_t n, std::uint64_t seed) {
  const Tensor v = Generator(seed).normal({n, 1}, Dtype::f64);
  return sub(identity(n), mul(matmul(v, v.transpose(0, 1)), 2.0 / sum_squares(v).item()));
}

/// diag(values) [rows, values].
Tensor diagonal(const std::vector<double>& values, std::int64_t rows) {
  const auto n = static_cast<std::int64_t>(values.size());
  const Tensor square = mul(identity(n), Tensor::from(values, {1, n}));
  return rows == n ? square : cat(std::vector<Tensor>{square, Tensor::zeros({rows - n, n}, Dtype::f64)}, 0);
}

/// G(z) = A z with A [7, 4] of singular values 3, 1.5, 1, 0.2.
class LinearGenerator final : public Layer {
 public:
  explicit LinearGenerator(Dtype dtype)
      : A(matmul(matmul(reflection(7, 1), diagonal({3.0, 1.5, 1.0, 0.2}, 7)), V).to(dtype)) {}
  Variable forward(const Variable& z) const override { return matmul(z, A.transpose(0, 1)); }

  const Tensor V = reflection(4, 2);  // its rows are the right singular vectors
  const Tensor A;
};

/// G(z) = tanh(2 z): J is diagonal.
class PointwiseGenerator final : public Layer {
 public:
  Variable forward(const Variable& z) const override { return tanh(2.0 * z); }
};

/// |a - b| <= tolerance * b, elementwise.
void check_near(const Tensor& found, const std::vector<double>& expected, double tolerance) {
  REQUIRE(found.shape() == Shape{static_cast<std::int64_t>(expected.size())});
  const std::vector<double> values = found.to_vector<double>();
  for (std::size_t i = 0; i < values.size(); ++i)
    CHECK(std::abs(values[i] - expected[i]) <= tolerance * expected[i]);
}

}  // namespace

TEST_CASE("a linear generator: L is the largest singular value squared, at every z") {
  const double exact = 9.0 / (kSigma * kSigma);
  for (const Dtype dtype : {Dtype::f64, Dtype::f32}) {
    const LinearGenerator G(dtype);
    const Likelihood likelihood(G, kSigma);
    Generator random(3);
    const Tensor z = random.normal({5, 4}, dtype);
    // After k iterations the second eigenvalue's share is (1.5 / 3)^(4k) of the first's: nothing.
    const Tensor found = largest_curvature(likelihood, z, random);
    check_near(found, std::vector<double>(5, exact), dtype == Dtype::f64 ? 1e-9 : 1e-3);
    CHECK(stability(found, 0.1) ==
          doctest::Approx(0.005 * (1.0 + exact)).epsilon(dtype == Dtype::f64 ? 1e-9 : 1e-3));
  }
}

TEST_CASE(
    "a generator that is not linear: each row has the curvature of its own z, stability that of the worst") {
  const PointwiseGenerator G;
  const Likelihood likelihood(G, kSigma);
  const Tensor z = Tensor::from(std::vector<double>{0.0, 1.0, -2.0, 0.6, -0.4, 0.5}, {3, 2});
  const auto slope = [](double at) { return 2.0 / std::pow(std::cosh(2.0 * at), 2); };
  const auto exact = [&](double at) { return std::pow(slope(at) / kSigma, 2); };
  Generator random(3);
  const Tensor found = largest_curvature(likelihood, z, random, 60);
  check_near(found, {exact(0.0), exact(0.6), exact(-0.4)}, 1e-8);
  CHECK(stability(found, 0.2) == doctest::Approx(0.02 * (1.0 + exact(0.0))).epsilon(1e-8));
}

TEST_CASE("an energy: the eigenvalue of its Hessian that is largest in magnitude, and 0 where it is flat") {
  const Tensor V = reflection(3, 4);
  const Tensor B = matmul(matmul(V, diagonal({1.0, -3.0, 2.0}, 3)), V);
  const FunctionPotential quadratic([&](const Variable& z) { return 0.5 * sum(mul(matmul(z, B), z)); });
  Generator random(5);
  const Tensor z = random.normal({4, 3}, Dtype::f64);
  check_near(largest_curvature(quadratic, z, random, 60), std::vector<double>(4, 3.0), 1e-8);
  for (const double flat : largest_curvature(GaussianPrior(), z, random).to_vector<double>())
    CHECK(flat < 1e-29);
}

TEST_CASE("a chain converges below stability 2 and diverges above, at the rate that the number says") {
  const LinearGenerator G(Dtype::f64);
  const Likelihood likelihood(G, kSigma);
  const GaussianPrior prior;
  const Tensor start = G.V.narrow(0, 0, 1).contiguous();  // along the largest singular value
  Generator random(6);
  const Tensor curvature = largest_curvature(likelihood, start, random);
  for (const double number : {0.5, 1.95, 2.05}) {
    CAPTURE(number);
    const double s = std::sqrt(2.0 * number / (1.0 + 9.0 / (kSigma * kSigma)));
    CHECK(stability(curvature, s) == doctest::Approx(number).epsilon(1e-9));
    const Tensor end =
        langevin(Posterior(likelihood, prior, Tensor::zeros({1, 7}, Dtype::f64)), start, {40, s}, nullptr);
    CHECK(std::sqrt(sum_squares(end).item()) ==
          doctest::Approx(std::pow(std::abs(1.0 - number), 40)).epsilon(1e-6));
  }
}
