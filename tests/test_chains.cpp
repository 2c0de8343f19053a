/// Langevin chains: their stationary distributions where these are known exactly, the independence of their
/// rows, and what a step may compute.
///
/// The discretised chain z <- z - s^2/2 P z + s w on a Gaussian with precision P is itself Gaussian, with the
/// stationary covariance C = M C M + s^2 I, M = I - s^2 P / 2, so C = s^2 (I - M^2)^-1. It differs from 1/P,
/// the limit of small steps. Statistical tolerances are 4.5 standard errors, the seeds fixed.
#include <doctest/doctest.h>

#include <cmath>

#include "autograd/checks/op_cases.h"
#include "autograd/grad.h"
#include "damc/chains/langevin.h"
#include "damc/chains/likelihood.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tests/kernel_log.h"

using namespace damc;

namespace {

constexpr double standard_errors = 4.5;

/// lambda |z|^2 / 2
FunctionPotential quadratic(double lambda) {
  return FunctionPotential([lambda](const Variable& z) { return (0.5 * lambda) * sum(square(z)); });
}

double mean_of(const std::vector<double>& x) {
  double total = 0.0;
  for (const double value : x) total += value;
  return total / static_cast<double>(x.size());
}

double covariance_of(const std::vector<double>& x, const std::vector<double>& y) {
  const double mx = mean_of(x), my = mean_of(y);
  double total = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) total += (x[i] - mx) * (y[i] - my);
  return total / static_cast<double>(x.size());
}

std::vector<double> column(const Tensor& z, int i) { return z.narrow(1, i, 1).to_vector<double>(); }

/// |observed - expected| in standard errors.
void check_statistic(const std::string& what, double observed, double expected, double standard_error) {
  const double deviation = std::abs(observed - expected) / standard_error;
  CHECK_MESSAGE(deviation < standard_errors, what, ": ", observed, " instead of ", expected, ", ", deviation,
                " standard errors away");
}

/// A small generator and energy network with their chain on SVHN-like images.
struct SmallNetworks {
  explicit SmallNetworks(Dtype precision = Dtype::f32) : dtype(precision), init(random, precision) {}

  Tensor z(std::int64_t n) const { return Generator(2).normal({n, 6}, dtype); }
  Tensor x(std::int64_t n) const { return affine(Generator(3).uniform({n, 32, 32, 3}, dtype), 2.0, -1.0); }
  Tensor posterior(const Tensor& from, const Tensor& image, ChainOptions options, Generator* noise) const {
    return langevin(Posterior(likelihood, prior, image), from, options, noise);
  }
  /// U(z) = |x - G(z)|^2 / (2 sigma^2) + E(z) + |z|^2/2, sigma = 0.3
  double energy(const Tensor& latent, const Tensor& image) const {
    const double misfit = sum_squares(sub(image, G.forward(latent).value())).item() / (2.0 * 0.3 * 0.3);
    return misfit + sum(E.forward(latent).value()).item() + 0.5 * sum_squares(latent).item();
  }

  Dtype dtype;
  Generator random{1};
  Init init;
  GeneratorNet G{architecture("svhn"), 6, 2, init};
  EnergyNet E{6, 8, init};
  Likelihood likelihood{G, 0.3};
  EnergyPrior prior{{&E}};
};

std::vector<double> row(const Tensor& z, std::int64_t i) { return z.narrow(0, i, 1).to_vector<double>(); }

}  // namespace

TEST_CASE("one dimension: stationary mean, variance and autocorrelation") {
  // U(z) = lambda z^2/2 + z^2/2 has k = 1 + lambda: z <- a z + s w with a = 1 - s^2 k / 2, so
  //   var = s^2 / (1 - a^2),  corr(z_t, z_t+tau) = a^tau
  struct Target {
    double lambda, s;
    int lag;
  };
  constexpr std::int64_t n = 100000;
  for (const Target& target :
       {Target{0.0, 0.4, 3}, Target{3.0, 0.4, 2}, Target{1.0, 1.0, 1}, Target{2.0, 1.0, 1}}) {
    CAPTURE(target.lambda);
    CAPTURE(target.s);
    const double a = 1.0 - target.s * target.s * (1.0 + target.lambda) / 2.0;
    const double variance = target.s * target.s / (1.0 - a * a);
    Generator random(7);
    const Tensor start = Tensor::full({n, 1}, 2.0, Dtype::f64);
    const Tensor early =
        langevin(quadratic(target.lambda), start, {250, target.s}, &random);  // 2 a^250 < 2e-9
    const Tensor late = langevin(quadratic(target.lambda), early, {target.lag, target.s}, &random);
    const auto x = column(early, 0), y = column(late, 0);
    const double root = std::sqrt(static_cast<double>(n)), correlation = std::pow(a, target.lag);
    check_statistic("mean", mean_of(y), 0.0, std::sqrt(variance) / root);
    check_statistic("variance", covariance_of(y, y), variance, variance * std::sqrt(2.0) / root);
    check_statistic("autocorrelation",
                    covariance_of(x, y) / std::sqrt(covariance_of(x, x) * covariance_of(y, y)), correlation,
                    (1.0 - correlation * correlation) / root);
  }
}

TEST_CASE("a posterior with a linear generator: stationary mean and covariance") {
  // U(z) = |x - A z|^2 / (2 sigma^2) + |z|^2/2 has P = A'A / sigma^2 + I; the mean is P^-1 A'x / sigma^2,
  // whatever s.
  constexpr std::int64_t n = 100000;
  constexpr double sigma = 0.5, s = 0.3;
  const Tensor A = Tensor::from(std::vector<double>{1.0, 0.5, -0.3, 0.8, 0.2, -0.6}, {3, 2});
  const Tensor x = Tensor::from(std::vector<double>{1.0, -0.5, 2.0}, {1, 3});
  const FunctionPotential misfit([&](const Variable& z) {
    return (1.0 / (2.0 * sigma * sigma)) * sum(square(matmul(z, A.transpose(0, 1)) - x));
  });
  Generator random(11);
  const Tensor z = langevin(misfit, Tensor::zeros({n, 2}, Dtype::f64), {200, s}, &random);

  struct Symmetric {  // [a b; b c]
    double a, b, c;
    Symmetric inverse() const {
      const double det = a * c - b * b;
      return {c / det, -b / det, a / det};
    }
    Symmetric square() const { return {a * a + b * b, b * (a + c), b * b + c * c}; }
  };
  const std::vector<double> gram = matmul(A.transpose(0, 1), A).to_vector<double>();
  const std::vector<double> pull = matmul(x, A).to_vector<double>();
  const double precision = 1.0 / (sigma * sigma);
  const Symmetric P{gram[0] * precision + 1.0, gram[1] * precision, gram[3] * precision + 1.0};
  const Symmetric M{1.0 - 0.5 * s * s * P.a, -0.5 * s * s * P.b, 1.0 - 0.5 * s * s * P.c};
  const Symmetric M2 = M.square(), inverse = Symmetric{1.0 - M2.a, -M2.b, 1.0 - M2.c}.inverse();
  const Symmetric C{s * s * inverse.a, s * s * inverse.b, s * s * inverse.c}, exact = P.inverse();
  CHECK(C.a > 1.02 * exact.a);  // far enough from the limit of small steps to be told from it

  const auto z0 = column(z, 0), z1 = column(z, 1);
  const double root = std::sqrt(static_cast<double>(n));
  check_statistic("mean 0", mean_of(z0), precision * (exact.a * pull[0] + exact.b * pull[1]),
                  std::sqrt(C.a) / root);
  check_statistic("mean 1", mean_of(z1), precision * (exact.b * pull[0] + exact.c * pull[1]),
                  std::sqrt(C.c) / root);
  check_statistic("variance 0", covariance_of(z0, z0), C.a, C.a * std::sqrt(2.0) / root);
  check_statistic("variance 1", covariance_of(z1, z1), C.c, C.c * std::sqrt(2.0) / root);
  check_statistic("covariance", covariance_of(z0, z1), C.b, std::sqrt(C.a * C.c + C.b * C.b) / root);
}

TEST_CASE("every row is a chain of its own") {
  const SmallNetworks nets;
  const Tensor z = nets.z(4), x = nets.x(4);
  const ChainOptions options{5, 0.1};
  const auto run = [&](const Tensor& from, const Tensor& image) {
    Generator noise(9);
    return nets.posterior(from, image, options, &noise);
  };
  const Tensor plain = run(z, x);
  const Tensor other_z = z.clone(), other_x = x.clone();
  other_z.narrow(0, 2, 1).fill(0.7);
  other_x.narrow(0, 2, 1).fill(-0.2);
  const Tensor changed = run(other_z, other_x);
  for (const std::int64_t i : {0, 1, 3}) CHECK(row(changed, i) == row(plain, i));
  CHECK(row(changed, 2) != row(plain, 2));
}

TEST_CASE("the energy's gradient in a chain is the autograd's") {
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    const SmallNetworks nets(dtype);
    const Variable z(nets.z(40), true);
    const Tensor plain = grad(sum(nets.E.forward(z)), {z})[0];
    CHECK(relative_error(nets.E.grad_z(z.value()), plain) < (dtype == Dtype::f32 ? 1e-6 : 1e-15));
  }
}

TEST_CASE("a chain of a batch is the chain of its rows") {
  const SmallNetworks nets(Dtype::f64);
  const Tensor z = nets.z(3), x = nets.x(3);
  const Tensor batch = nets.posterior(z, x, {5, 0.1}, nullptr),
               prior = langevin(nets.prior, z, {5, 0.4}, nullptr);
  for (int i = 0; i < 3; ++i) {
    const auto only = [&](const Tensor& all) { return all.narrow(0, i, 1); };
    CHECK(relative_error(nets.posterior(only(z), only(x), {5, 0.1}, nullptr), only(batch)) < 1e-13);
    CHECK(relative_error(langevin(nets.prior, only(z), {5, 0.4}, nullptr), only(prior)) < 1e-13);
  }
}

TEST_CASE("without noise a chain descends, and leaves its start as it was") {
  const SmallNetworks nets(Dtype::f64);
  const Tensor start = nets.z(3), x = nets.x(3);
  const std::vector<double> before = start.to_vector<double>();
  Tensor z = start;
  double energy = nets.energy(z, x);
  for (int step = 0; step < 20; ++step) {
    z = nets.posterior(z, x, {1, 0.05}, nullptr);
    const double next = nets.energy(z, x);
    CHECK(next < energy);
    energy = next;
  }
  CHECK(start.to_vector<double>() == before);
  CHECK(nets.posterior(start, x, {0, 0.05}, nullptr).to_vector<double>() == before);
}

TEST_CASE("steps in one call or in several: the same chain") {
  const SmallNetworks nets;
  const Tensor z = nets.z(3), x = nets.x(3);
  Generator once(4), twice(4);
  const Tensor whole = nets.posterior(z, x, {6, 0.1}, &once);
  const Tensor parts = nets.posterior(nets.posterior(z, x, {2, 0.1}, &twice), x, {4, 0.1}, &twice);
  CHECK(whole.to_vector<double>() == parts.to_vector<double>());
}

TEST_CASE("a step computes dU/dz and no gradient of a weight") {
  const SmallNetworks nets;
  constexpr int steps = 4;
  constexpr std::int64_t n = 3;
  const Tensor z = nets.z(n), x = nets.x(n);
  Generator noise(1);
  const KernelLog log;
  nets.posterior(z, x, {steps, 0.1}, &noise);
  CHECK(log.count("conv2d_grad_w") == 0);
  const auto layers = static_cast<std::int64_t>(architecture("svhn").generator.size());
  CHECK(log.count("conv2d_grad_x") == steps * layers);  // a transposed convolution is that
  CHECK(log.count("conv2d") == steps * layers);         // and its input's gradient a convolution
  CHECK(log.count("gemm") == steps * 2 * 2);            // E's hidden layers, forward and back
  CHECK(log.count("noisy_update") == steps);
  for (const Module* net : std::vector<const Module*>{&nets.G, &nets.E}) {
    for (const Variable& parameter : net->parameters()) {
      for (const KernelLog::Call& call : log.calls) CHECK(call.out != parameter.shape());
    }
  }
}
