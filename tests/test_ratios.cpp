/// Energies learned as ratios of densities, where the ratio is known.
#include <doctest/doctest.h>

#include <cmath>

#include "damc/chains/energy_losses.h"
#include "damc/chains/resampling.h"
#include "tensor/error.h"
#include "tests/linear_gaussian.h"

using namespace damc;

namespace {

/// E(z) = -(a z + c), a classifier of logit a z + c.
class LinearEnergy final : public Prior, public Module {
 public:
  Variable energies(const Variable& z) const override { return -(a * z + c); }
  void visit(const std::string& prefix, const Visitor& visitor) const override {
    visitor(prefix + "a", a);
    visitor(prefix + "c", c);
  }
  Variable a{Tensor::zeros({1}, Dtype::f64), true}, c{Tensor::zeros({1}, Dtype::f64), true};
};

/// The loss at the end of learning to tell z_q from z_p.
double learn_ratio(LinearEnergy& energy, const Tensor& z_q, const Tensor& z_p) {
  FiniteWatch watch(Device{});
  Learner learner("energy", "e", energy, learning(0.3, 80), watch);
  double loss = 0.0;
  for (std::int64_t k = 0; k < 140; ++k) {
    learner.begin(k);
    watch.begin(k);
    loss = learner.step(ratio_loss(energy.energies(z_q), energy.energies(z_p)).loss)[0].item();
  }
  return loss;
}

}  // namespace

TEST_CASE("the ratio of two Gaussians is learned by its logit, low energy where q is") {
  Generator random(1);
  constexpr std::int64_t n = 100000;
  LinearEnergy energy;
  const double loss =
      learn_ratio(energy, add(random.normal({n, 1}, Dtype::f64), 2.0), random.normal({n, 1}, Dtype::f64));
  CHECK(std::abs(loss - .7124) < 0.01);
  CHECK(std::abs(energy.a.value().item() - 2.0) < 0.05);
  CHECK(std::abs(energy.c.value().item() + 2.0) < 0.1);
  const std::vector<double> e =
      energy.energies(Tensor::from(std::vector<double>{0.0, 2.0}, {2, 1})).value().to_vector<double>();
  CHECK(e[1] < e[0]);
}

TEST_CASE("stages: the logits of four add up to the ratio, however far q is") {
  Generator random(2);
  constexpr std::int64_t n = 30000;
  double slope = 0.0;
  for (int stage = 0; stage < 4; ++stage) {
    LinearEnergy energy;
    // After each stage the prior is N(slope, 1): exp(a z) N(z; m, 1) ~ N(z; m + a, 1).
    const Tensor z_q = add(random.normal({n, 1}, Dtype::f64), 4.0),
                 z_p = add(random.normal({n, 1}, Dtype::f64), slope);
    const double loss = learn_ratio(energy, z_q, z_p);
    if (stage == 0) CHECK(std::abs(loss - .1210) < 0.01);
    slope += energy.a.value().item();
  }
  CHECK(std::abs(slope - 4.0) < 0.2);
}

TEST_CASE("an energy network finds the ratio in two dimensions") {
  Generator random(3);
  Init init(random, Dtype::f64);
  EnergyNet E(2, 48, init);
  E.begin_at_zero();
  CHECK(sum_squares(E.forward(random.normal({9, 2}, Dtype::f64)).value()).item() == 0.0);
  FiniteWatch watch(Device{});
  Learner learner("energy", "e", E, learning(5e-3, 800), watch);
  constexpr std::int64_t n = 1000;
  const Tensor factor = Tensor::from(std::vector<double>{1.0, 0.6, 0.0, 0.8}, {2, 2});
  const Tensor middle = Tensor::from(std::vector<double>{1.0, -1.0}, {1, 2});
  const auto of_q = [&] { return add(matmul(random.normal({n, 2}, Dtype::f64), factor), middle); };
  const auto of_p = [&] { return random.normal({n, 2}, Dtype::f64); };
  for (std::int64_t k = 0; k < 1200; ++k) {
    learner.begin(k);
    watch.begin(k);
    learner.step(ratio_loss(E.forward(of_q()), E.forward(of_p())).loss);
  }
  const Tensor z = cat(std::vector<Tensor>{of_q(), of_p()}, 0);
  const std::vector<double> points = z.to_vector<double>(), e = E.forward(z).value().to_vector<double>();
  double squares = 0.0, count = 0.0;
  for (std::size_t i = 0; i < e.size(); ++i) {
    const double x = points[2 * i] - 1.0, y = points[2 * i + 1] + 1.0;  // covariance [[1, .6], [.6, 1]]
    const double quadratic = (x * x - 1.2 * x * y + y * y) / 0.64;
    const double exact = -0.5 * (quadratic + std::log(0.64)) +
                         0.5 * (points[2 * i] * points[2 * i] + points[2 * i + 1] * points[2 * i + 1]);
    if (std::abs(exact) > 2.0) continue;  // nearly all of one kind: there is little to learn from
    squares += std::pow(-e[i] - exact, 2);
    ++count;
  }
  CHECK(count > 1000);
  CHECK(std::sqrt(squares / count) < 0.15);
}

TEST_CASE("resampling: the prior's mean, and the nearer the more proposals there are") {
  LinearEnergy energy;  // exp(-E) N(0, 1) = N(mu, 1)
  Generator random(4);
  constexpr std::int64_t n = 2000;
  const auto mean_of = [&](double mu, std::int64_t proposals) {
    energy.a.value().fill(mu);
    return sum(resample(energy, n, 1, proposals, random, Dtype::f64)).item() / n;
  };
  check_statistic("mean", mean_of(1.0, 500), 1.0, 1.0 / std::sqrt(static_cast<double>(n)));
  const double few = mean_of(2.0, 2), more = mean_of(2.0, 20), many = mean_of(2.0, 500);
  CHECK(few < more);
  CHECK(more < many);
  CHECK(many == doctest::Approx(2.0).epsilon(0.05));
  CHECK(std::abs(mean_of(0.0, 1)) < 4.0 / std::sqrt(static_cast<double>(n)));
}
