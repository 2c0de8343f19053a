/// Methods that learn by chains, on models whose answers are known: where their chains end, and what they learn from
/// that. A chain on a Gaussian is itself Gaussian, so that the bias of a short one is known exactly, too.
#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "autograd/grad.h"
#include "damc/chains/langevin.h"
#include "damc/methods/by_chains.h"
#include "damc/nets/layered_generator.h"
#include "damc/sampler/amortized_sampler.h"
#include "tensor/error.h"
#include "tests/linear_gaussian.h"
#include "tests/tiny_training.h"

using namespace damc;

namespace {

struct Expected {
  double mean[2];
  double covariance[3];  // 00, 01, 11
};

void check_moments(const Tensor& z, const Expected& e) {
  const Moments found(z);
  const double root = std::sqrt(static_cast<double>(z.size(0)));
  const double* c = e.covariance;
  check_statistic("mean 0", found.mean[0], e.mean[0], std::sqrt(c[0]) / root + 1e-6);
  check_statistic("mean 1", found.mean[1], e.mean[1], std::sqrt(c[2]) / root + 1e-6);
  check_statistic("variance 0", found.covariance[0], c[0], std::sqrt(2.0) * c[0] / root + 1e-6);
  check_statistic("variance 1", found.covariance[3], c[2], std::sqrt(2.0) * c[2] / root + 1e-6);
  check_statistic("covariance", found.covariance[1], c[1],
                  std::sqrt(c[1] * c[1] + c[0] * c[2]) / root + 1e-6);
}

std::vector<std::int64_t> rows_of(std::int64_t first, std::int64_t count) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
  std::iota(rows.begin(), rows.end(), first);
  return rows;
}

Config chains(Start start, std::int64_t steps, double step_size, std::int64_t nz) {
  Config c;
  c.start = start;
  c.posterior_steps = steps;
  c.posterior_step_size = step_size;
  c.nz = nz;
  return c;
}

}  // namespace

TEST_CASE("a posterior chain from N(0, I) is where the exact formula has it after 30 steps, and at last") {
  constexpr std::int64_t n = 100000;
  LinearDecoder G(1);
  G.take_true();
  const Likelihood likelihood(G.layer, LinearGaussian::kSigma);
  const GaussianPrior prior;
  const Posterior posterior(likelihood, prior, LinearGaussian::observation(n));
  Generator random(2);
  const Tensor start = random.normal({n, 2}, Dtype::f64);
  check_moments(langevin(posterior, start, {30, 0.1}, &random),
                {{.518637, -.312391}, {.310866, -.057341, .253525}});
  const Tensor ended = langevin(posterior, start, {30, 0.3}, &random);
  check_moments(ended, {{.926605, -.560837}, {.196761, -.023695, .173066}});
  // On from there, 150 steps of 0.1 forget it.
  check_moments(langevin(posterior, ended, {150, 0.1}, &random),
                {{.926829, -.560976}, {.173270, -.024384, .148886}});
  // Without noise the mean is the same and the variance only what is left of the start's, V a^2T V'.
  const double p[] = {6.5 - std::sqrt(1.25), 6.5 + std::sqrt(1.25)};
  const double left[] = {std::pow(1.0 - 0.005 * p[0], 60), std::pow(1.0 - 0.005 * p[1], 60)};
  const double v = 1.0 / (1.0 + std::pow(p[0] - 6.0, 2));  // share of the first axis in the first eigenvector
  const double cross = std::sqrt(v * (1.0 - v)) * (left[1] - left[0]);
  check_moments(
      langevin(posterior, start, {30, 0.1}, nullptr),
      {{.518637, -.312391}, {v * left[0] + (1.0 - v) * left[1], cross, (1.0 - v) * left[0] + v * left[1]}});
}

TEST_CASE("prior chains of 60 steps of 0.4: their variance on a quadratic") {
  Generator random(3);
  const Tensor start = random.normal({200000, 1}, Dtype::f64);
  for (const auto& [precision, variance] :
       {std::pair{1.0, 1.041665}, std::pair{2.0, .543478}, std::pair{0.5, 2.033055}}) {
    const FunctionPotential energy(
        [k = precision - 1.0](const Variable& z) { return (0.5 * k) * sum(square(z)); });
    const Tensor z = langevin(energy, start, {60, 0.4}, &random);
    const double found = sum_squares(z).item() / 200000.0;
    check_statistic("variance", found, variance, variance * std::sqrt(2.0 / 200000.0));
  }
}

namespace {

/// Eigenvalues of W'W that the generator of a linear model ends at.
std::array<double, 2> learned_generator(Start start, std::int64_t steps, double step_size) {
  constexpr std::int64_t batch = 1000, batches = 50;
  const Tensor x = LinearGaussian::draws(batch * batches, 4);
  LinearDecoder G(5);
  const Likelihood likelihood(G.layer, LinearGaussian::kSigma);
  const GaussianPrior prior;
  FiniteWatch watch(Device{});
  Learner learner("generator", "g", G.layer, learning(1e-2, 400), watch);
  Generator random(6);
  Pool pool(batch * batches, 2, random, Dtype::f64);
  ByChains phase(chains(start, steps, step_size, 2),
                 {.likelihood = &likelihood,
                  .prior = &prior,
                  .pool = start == Start::pool ? &pool : nullptr,
                  .generator = &learner},
                 Device{}, random);
  for (std::int64_t k = 0; k < 500; ++k) {
    learner.begin(k);
    watch.begin(k);
    const std::int64_t first = k % batches * batch;
    phase.iterate(k, {x.narrow(0, first, batch), rows_of(first, batch)});
  }
  return G.eigenvalues();
}

}  // namespace

TEST_CASE("abp and sri: a linear generator ends where its chains' bias puts it") {
  struct Case {
    Start start;
    std::int64_t steps;
    double step_size, smaller, larger;
  };
  for (const Case& of :
       {Case{Start::pool, 30, 0.1, 1.0776, 1.6189}, Case{Start::pool, 10, 0.3, .9502, 1.3758},
        Case{Start::noise, 10, 0.3, 1.1314, 1.5187}, Case{Start::noise, 30, 0.3, .9522, 1.3760},
        Case{Start::noise, 100, 0.1, 1.2884, 1.7879}}) {
    CAPTURE(of.steps);
    CAPTURE(of.step_size);
    const std::array<double, 2> found = learned_generator(of.start, of.steps, of.step_size);
    CHECK(std::abs(found[0] / of.smaller - 1.0) < 0.04);
    CHECK(std::abs(found[1] / of.larger - 1.0) < 0.04);
  }
}

namespace {

/// The k that is learned of x = z + w/2, Var x = 2.25, the generator being right.
double learned_energy(Start start, std::int64_t steps, double step_size) {
  constexpr std::int64_t n = 2500;
  const Tensor x = scalar_draws(n, 7);
  const Identity G;
  const Likelihood likelihood(G, 0.5);
  Quadratic prior;
  FiniteWatch watch(Device{});
  Learner learner("energy", "e", prior, learning(4e-2, 80), watch);
  Generator random(8);
  Pool pool(n, 1, random, Dtype::f64);
  const Config c = chains(start, steps, step_size, 1);
  const bool persistent = start == Start::pool;
  ByChains phase(c,
                 {.likelihood = &likelihood,
                  .prior = &prior,
                  .pool = persistent ? &pool : nullptr,
                  .generator = nullptr,
                  .energy = EnergyParts{.learner = &learner,
                                        .learned = &prior,
                                        .loss = [](const Variable& p,
                                                   const Variable& m) { return contrastive_loss(p, m, 0.0); },
                                        .prior = &prior,
                                        .chains = {60, 0.4}}},
                 Device{}, random);
  for (std::int64_t k = 0; k < 160; ++k) {
    learner.begin(k);
    watch.begin(k);
    phase.iterate(k, {x, persistent ? rows_of(0, n) : std::vector<std::int64_t>{}});
  }
  return prior.k.value().item();
}

}  // namespace

TEST_CASE("lebm and nalr: a quadratic energy ends where its chains' bias puts it") {
  CHECK(std::abs(learned_energy(Start::noise, 30, 0.1) - .4680) < 0.03);
  CHECK(std::abs(learned_energy(Start::noise, 20, 0.1) - .6282) < 0.03);
  CHECK(std::abs(learned_energy(Start::pool, 30, 0.1) + .4898) < 0.03);
}

TEST_CASE("a pool: rows change when they are visited, and only those; a state brings all of it back") {
  Generator random(9);
  Pool pool(6, 3, random);
  const Tensor before = pool.state_dict().at("pool.z");
  const Tensor z = Tensor::full({2, 3}, 7.0);
  const std::vector<std::int64_t> visited{4, 1};
  CHECK(same(pool.at(visited).narrow(0, 0, 1), before.narrow(0, 4, 1)));
  pool.keep(visited, z);
  const Tensor after = pool.state_dict().at("pool.z");
  for (std::int64_t i = 0; i < 6; ++i) {
    CAPTURE(i);
    CHECK(same(after.narrow(0, i, 1), i == 1 || i == 4 ? z.narrow(0, 0, 1) : before.narrow(0, i, 1)));
  }
  const StateDict counters{{"pool.z", Tensor::zeros({6, 3}, Dtype::i64)}};
  CHECK_THROWS_AS(load_all(counters, pool), UserError);
  Pool other(6, 3, random);
  CHECK_FALSE(same(other.state_dict(), pool.state_dict()));
  load_all(pool.state_dict(), other);
  CHECK(same(other.state_dict(), pool.state_dict()));
  const std::vector<std::int64_t> outside{6};
  CHECK_THROWS_WITH_AS(pool.at(outside), doctest::Contains("row 6 of 6"), Error);
  Pool larger(7, 3, random);
  CHECK_THROWS_WITH_AS(load_all(pool.state_dict(), larger), doctest::Contains("[6, 3], the run needs [7, 3]"),
                       UserError);
  CHECK_THROWS_AS(load_all({}, larger), UserError);
}

TEST_CASE("the noise prediction of a known density: no sampler is better, and one comes close") {
  // For z ~ N(0, v) the best prediction is eps* = sqrt(sigmoid(-l)) z_t / (v sigmoid(l) + sigmoid(-l)); its loss over
  // the schedule, for one dimension:
  struct Case {
    double variance, least;
  };
  for (const Case& of : {Case{1.0, .261808}, Case{0.25, .173726}, Case{4.0, .349774}}) {
    CAPTURE(of.variance);
    constexpr std::int64_t batch = 128, nz = 2;
    Generator random(10);
    Init init(random);
    AmortizerOptions options{
        .nz = nz, .nemb = 8, .widths = DenoiserWidths::scaled(0.125), .unconditional = Unconditional::null};
    Amortizer Q(std::make_unique<Linear>(1, 8, init), options, init),
        target(std::make_unique<Linear>(1, 8, init), options, init);
    FiniteWatch watch(Device{});
    AmortizedSampler sampler(Q, target, {.updates = 1, .p_uncond = 1.0}, learning(5e-3, 200), watch);
    const Tensor x = Tensor::zeros({batch, 1});
    const auto data = [&] { return mul(random.normal({batch, nz}), std::sqrt(of.variance)); };
    for (std::int64_t k = 0; k < 300; ++k) {
      sampler.learner().begin(k);
      sampler.fit(x, data(), random);
    }
    double loss = 0.0;
    for (int i = 0; i < 400; ++i)
      loss += Q.loss(data(), Q.unconditional(batch, random), random).value().item() / (400.0 * nz);
    CHECK(loss > of.least * 0.99);  // noise of 51,200 draws
    CHECK(loss < of.least * 1.05);
  }
}

TEST_CASE("100 ancestral steps with the best noise prediction: the variance of the data") {
  struct Case {
    double variance, large, small;
  };
  for (const Case& of :
       {Case{1.0, .999945, .956378}, Case{0.25, .254407, .233481}, Case{4.0, 3.928651, 3.840010}}) {
    for (const double gamma : {1.0, 0.0}) {
      CAPTURE(of.variance);
      CAPTURE(gamma);
      const AncestralPlan plan({.gamma = gamma}, Dtype::f64, Device{});
      Generator random(11);
      const Tensor z = reverse_process(
          random.normal({200000, 1}, Dtype::f64), plan,
          [&](std::int64_t step, const Tensor& zt) {
            const double l = plan.logsnrs()[static_cast<std::size_t>(step)];
            const double signal = 1.0 / (1.0 + std::exp(-l)), noise = 1.0 - signal;
            return mul(zt, std::sqrt(noise) / (of.variance * signal + noise) - 1.0);
          },
          &random);
      const double expected = gamma == 1.0 ? of.large : of.small;
      check_statistic("variance", sum_squares(z).item() / 200000.0, expected,
                      expected * std::sqrt(2.0 / 200000.0));
    }
  }
}

TEST_CASE(
    "a generator of five layers: every latent reaches the image, and gradients are those of differences") {
  for (const char* kind : {"mnist", "svhn"}) {
    CAPTURE(kind);
    const Architecture& images = architecture(kind);
    Generator random(12);
    Init init(random, Dtype::f64);
    const LayeredGenerator G(images, 2, init);
    const Tensor z = random.normal({2, LayeredGenerator::kLatents}, Dtype::f64);
    const Tensor weight = random.normal({2, images.size, images.size, images.channels}, Dtype::f64);
    const auto value = [&](const Tensor& at) { return sum(mul(G.forward(at).value(), weight)).item(); };
    CHECK(G.forward(z).shape() == weight.shape());
    const Variable leaf(z, true);
    const Tensor gradient = grad(sum(G.forward(leaf) * weight), {leaf})[0];
    std::int64_t first = 0;
    for (const std::int64_t size : LayeredGenerator::kSizes) {  // along a direction in each layer's latents
      CAPTURE(first);
      const Tensor direction = Tensor::zeros(z.shape(), Dtype::f64);
      direction.narrow(1, first, size).copy_from(random.normal({2, size}, Dtype::f64));
      const double along = sum(mul(gradient, direction)).item();
      const double step = 1e-5;
      const double difference = value(add(z, mul(direction, step))) - value(sub(z, mul(direction, step)));
      CHECK(difference / (2.0 * step) == doctest::Approx(along).epsilon(1e-6));
      CHECK(std::abs(along) > 1e-6);
      first += size;
    }
    CHECK(first == LayeredGenerator::kLatents);
  }
}
