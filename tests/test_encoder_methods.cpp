/// Methods that learn by an encoder, and what is fitted to its codes, on models whose answers are known.
#include <doctest/doctest.h>

#include <cmath>
#include <numbers>

#include "damc/chains/mixture.h"
#include "damc/methods/by_encoder.h"
#include "damc/model.h"
#include "damc/toy/pinwheel.h"
#include "damc/toy/two_sample.h"
#include "tensor/error.h"
#include "tests/linear_gaussian.h"

using namespace damc;

namespace {

Tensor matrix(const std::vector<double>& values, const Shape& shape) { return Tensor::from(values, shape); }

/// A linear encoder of x [N, in] to mean and log variance of z [N, nz], or to a point.
struct LinearEncoder {
  LinearEncoder(std::int64_t in, std::int64_t out, std::uint64_t seed, bool bias = true)
      : random(seed), layer(in, out, init, bias) {}

  Generator random;
  Init init{random, Dtype::f64};
  Linear layer;
};

/// Trains a phase on all of x, or on `batch` rows at a time.
void train(ByEncoder& phase, FiniteWatch& watch, const Tensor& x, std::int64_t iterations,
           std::int64_t batch) {
  for (std::int64_t k = 0; k < iterations; ++k) {
    for (Learner* learner : phase.learners()) learner->begin(k);
    watch.begin(k);
    phase.iterate(k, {x.narrow(0, k % (x.size(0) / batch) * batch, batch)});
  }
}

/// log N(x) of an error's sum of squares over D numbers, up to that: -D/2 log(2 pi sigma^2).
double log_normaliser(double numbers, double sigma) {
  return -0.5 * numbers * std::log(2.0 * std::numbers::pi * sigma * sigma);
}

}  // namespace

TEST_CASE("the ELBO of the best diagonal q of a linear model, and of one whose posterior is diagonal") {
  struct Case {
    std::vector<double> decoder, mean, variance;
    double kl, elbo, log_p;
  };
  const Case general{{1.0, 0.5, 0.0, 1.0, 0.5, -0.5},
                     {.926829268, -.560975610},
                     {1.0 / 6.0, 1.0 / 7.0},
                     1.610450,
                     -3.887672,
                     -3.875624};
  const Case diagonal{
      {1.0, 0.0, 0.0, 2.0, 0.0, 0.0}, {0.8, -8.0 / 17.0}, {0.2, 1.0 / 17.0}, 0.0, -3.916346, -3.916346};
  constexpr std::int64_t n = 200000;
  for (const Case& of : {general, diagonal}) {
    LinearDecoder G(1);
    G.layer.weight.value().copy_from(matrix(of.decoder, {3, 2}));
    const Likelihood likelihood(G.layer, 0.5);
    LinearEncoder q(3, 4, 2);
    q.layer.weight.value().fill(0.0);
    q.layer.bias.value().copy_from(
        matrix({of.mean[0], of.mean[1], std::log(of.variance[0]), std::log(of.variance[1])}, {4}));
    const Tensor x = LinearGaussian::observation(n);
    Generator random(3);
    const Encoded drawn = encode(q.layer, x, 2, random);
    if (of.kl > 0.0) CHECK(kl_divergence(drawn).value().item() == doctest::Approx(of.kl).epsilon(1e-6));
    const double elbo = log_normaliser(3.0, 0.5) - negative_elbo(likelihood, 0.5, drawn, x).value().item();
    check_statistic("ELBO", elbo, of.elbo,
                    1.2 / std::sqrt(static_cast<double>(n)));  // deviation of R / (2 sigma^2)
    // Exactly: E R = |x - G m|^2 + sum over columns of |a_j|^2 v_j.
    const Tensor at_mean =
        sub(x.narrow(0, 0, 1), matmul(matrix(of.mean, {1, 2}), G.layer.weight.value().transpose(0, 1)));
    const std::vector<double> columns = sum(square(G.layer.weight.value()), 0).to_vector<double>();
    const double error =
        sum_squares(at_mean).item() + columns[0] * of.variance[0] + columns[1] * of.variance[1];
    const double exact = log_normaliser(3.0, 0.5) - 2.0 * error - kl_divergence(drawn).value().item();
    CHECK(exact == doctest::Approx(of.elbo).epsilon(1e-6));
    CHECK(of.log_p - exact >= -1e-6);
    // sigma^2 = 1/2 is R + KL; the mean alone is what is evaluated, and draws nothing.
    CHECK(
        negative_elbo(likelihood, std::sqrt(0.5), drawn, x).value().item() ==
        doctest::Approx((likelihood.loss(drawn.z, x) + kl_divergence(drawn)).value().item()).epsilon(1e-12));
    CHECK(encoded_mean(q.layer, x, 2).narrow(0, 5, 1).to_vector<double>() == of.mean);
  }
}

TEST_CASE("vae: a linear one reaches the best likelihood that there is, and the data's axes") {
  const Tensor x = LinearGaussian::draws(20000, 4);
  LinearDecoder G(5);
  const Likelihood likelihood(G.layer, 0.5);
  LinearEncoder V(3, 4, 6);
  FiniteWatch watch(Device{});
  Learner g("generator", "g", G.layer, learning(2e-2, 2400), watch),
      v("encoder", "v", V.layer, learning(2e-2, 2400), watch);
  Generator random(7), unused(8);
  const auto loss = [&](const Encoded& q, const Tensor& of) { return negative_elbo(likelihood, 0.5, q, of); };
  ByEncoder phase({.encoder = &V.layer, .nz = 2, .loss = loss, .learners = {&g, &v}}, Device{}, random,
                  unused);
  train(phase, watch, x, 3000, 500);
  const std::array<double, 2> axes = G.eigenvalues();
  CHECK(std::abs(axes[0] / 1.0955 - 1.0) < 0.05);
  CHECK(std::abs(axes[1] / 1.6545 - 1.0) < 0.05);
  // The best mean log likelihood of noise 1/2 and two axes, here at the truth, which is as good up to 3 / n.
  const double entropy =
      -0.5 * (3.0 * std::log(2.0 * std::numbers::pi) + std::log((1.0955 + .25) * (1.6545 + .25) * .25));
  const Tensor A = LinearGaussian::matrix();
  // |x|^2 under the truth's precision, by its posterior: x'C^-1 x = (|x|^2 - y' P^-1 y / sigma^2) / sigma^2 with y = A'x.
  const Tensor y = matmul(x, A);
  const Tensor inverse =
      mul(matrix({1.75, -0.25, -0.25, 1.5}, {2, 2}), 1.0 / (1.5 * 1.75 - 0.0625));  // of A'A + I/4
  const double fit = 4.0 * (sum_squares(x).item() - sum(mul(matmul(y, inverse), y)).item()) / 20000.0;
  double elbo = log_normaliser(3.0, 0.5);
  for (int i = 0; i < 10; ++i) elbo -= loss(encode(V.layer, x, 2, random), x).value().item() / 10.0;
  CHECK(std::abs(elbo - (entropy - 0.5 * fit)) < 0.02);
}

TEST_CASE("vi-lebm: a quadratic energy ends where 60 prior steps put it, the encoder being exact") {
  constexpr std::int64_t n = 2500;
  const Tensor x = scalar_draws(n, 9);
  const Identity G;
  const Likelihood likelihood(G, 0.5);
  Quadratic prior;
  LinearEncoder V(1, 2, 10);
  FiniteWatch watch(Device{});
  Learner v("encoder", "v", V.layer, learning(2e-2, 250), watch),
      e("energy", "e", prior, learning(1e-2, 250), watch);
  Generator random(11), prior_random(12);
  const auto contrastive = [](const Variable& plus, const Variable& minus) {
    return contrastive_loss(plus, minus, 0.0);
  };
  ByEncoder phase(
      {.encoder = &V.layer,
       .nz = 1,
       .loss =
           [&](const Encoded& q, const Tensor& of) {
             return negative_elbo(likelihood, 0.5, q, of) + mean(prior.energies(q.z));
           },
       .learners = {&v},
       .energy =
           EnergyParts{
               .learner = &e, .learned = &prior, .loss = contrastive, .prior = &prior, .chains = {60, 0.4}}},
      Device{}, random, prior_random);
  train(phase, watch, x, 350, n);
  CHECK(std::abs(prior.k.value().item() + .4889) < 0.03);
}

TEST_CASE("two stages: a linear second stage reaches the entropy of z, and its samples need its noise") {
  Generator data(13);
  // [[2, 1.2], [1.2, 1]], by its Cholesky factor
  const Tensor factor = matrix({std::sqrt(2.0), 0.0, 1.2 / std::sqrt(2.0), std::sqrt(0.28)}, {2, 2});
  const Tensor z = matmul(data.normal({20000, 2}, Dtype::f64), factor.transpose(0, 1));
  Generator random(14), unused(15);
  Init init(random, Dtype::f64);
  Linear encoder(2, 4, init), decoder(2, 2, init);
  NoiseScale noise(init);
  const Likelihood likelihood(decoder, 1.0);
  FiniteWatch watch(Device{});
  Learner g("second generator", "g2", decoder, learning(2e-2, 900), watch),
      v("second encoder", "v2", encoder, learning(2e-2, 900), watch),
      s("second noise", "n2", noise, learning(2e-2, 900), watch);
  const auto loss = [&](const Encoded& q, const Tensor& of) {
    return negative_elbo(likelihood, noise, q, of);
  };
  ByEncoder phase({.encoder = &encoder, .nz = 2, .loss = loss, .learners = {&g, &v, &s}}, Device{}, random,
                  unused);
  train(phase, watch, z, 1300, 1000);
  double reached = 0.0;
  for (int i = 0; i < 20; ++i) reached += loss(encode(encoder, z, 2, random), z).value().item() / 20.0;
  const Moments of_z(z);
  const double entropy =
      1.0 + std::log(2.0 * std::numbers::pi) +
      0.5 * std::log(of_z.covariance[0] * of_z.covariance[3] - of_z.covariance[1] * of_z.covariance[1]);
  CHECK(std::abs(entropy - 2.547968) < 0.02);  // of the draws
  CHECK(std::abs(reached - entropy) < 0.01);
  const double g2 = std::exp(noise.log().value().item());
  CHECK(g2 * g2 < 0.21);
  const Tensor clean = decoder.forward(random.normal({100000, 2}, Dtype::f64)).value();
  const Moments noisy(add(clean, mul(random.normal({100000, 2}, Dtype::f64), g2))), without(clean);
  for (const std::size_t i : {0u, 1u, 3u})
    CHECK(noisy.covariance[i] == doctest::Approx(of_z.covariance[i]).epsilon(0.03));
  CHECK(noisy.covariance[0] - without.covariance[0] == doctest::Approx(g2 * g2).scale(1.0).epsilon(0.03));
}

TEST_CASE("two stages: a second stage of SkipMlps draws a pinwheel nearly as the pinwheel itself does") {
  Generator data(16);
  const Tensor z = sample_pinwheel(20000, data), true_set = sample_pinwheel(5000, data);
  double floor = 0.0;
  for (int i = 0; i < 5; ++i) floor += energy_distance(sample_pinwheel(5000, data), true_set) / 5.0;
  Generator random(17), unused(18);
  Init init(random);
  SecondStage second(2, 1024, init);
  FiniteWatch watch(Device{});
  Learner g("second generator", "g2", *second.decoder, learning(1e-3, 640), watch),
      v("second encoder", "v2", *second.encoder, learning(1e-3, 640), watch),
      s("second noise", "n2", second.noise, learning(1e-2, 640), watch);
  const auto loss = [&second](const Encoded& q, const Tensor& of) {
    return negative_elbo(second.likelihood, second.noise, q, of);
  };
  ByEncoder phase({.encoder = second.encoder.get(), .nz = 2, .loss = loss, .learners = {&g, &v, &s}},
                  Device{}, random, unused);
  const auto distance = [&] {
    return energy_distance(second.decode(random.normal({5000, 2}), random), true_set);
  };
  const double untrained = distance();
  train(phase, watch, z, 800, 250);
  CAPTURE(untrained);
  CAPTURE(floor);
  CHECK(untrained > 10 * floor);
  const double reached = distance();
  CHECK(reached < 3 * floor);
}

TEST_CASE("rae: a linear one has the closed form's filters, codes and loss") {
  const std::vector<double> variances{4.0, 1.0, 0.25, 0.004}, expected{2.728427, 1.314214, 0.607107, 0.0};
  std::vector<double> points;  // whose covariance is exactly that
  for (std::size_t axis = 0; axis < 4; ++axis) {
    for (const double side : {-2.0, 2.0}) {
      std::vector<double> point(4, 0.0);
      point[axis] = side * std::sqrt(variances[axis]);
      points.insert(points.end(), point.begin(), point.end());
    }
  }
  const Tensor x = matrix(points, {8, 4});
  constexpr double b = 0.1, w = 0.05;
  LinearEncoder V(4, 4, 16, false);
  Linear D(4, 4, V.init, false);
  const Likelihood likelihood(D, 1.0);
  FiniteWatch watch(Device{});
  Learner g("generator", "g", D, learning(2e-2, 1500), watch),
      v("encoder", "v", V.layer, learning(2e-2, 1500), watch);
  Generator random(17), unused(18);
  const auto loss = [&](const Encoded& q, const Tensor& of) {
    return regularised_error(likelihood, D, b, w, q, of);
  };
  ByEncoder phase({.encoder = &V.layer, .nz = 4, .loss = loss, .learners = {&g, &v}}, Device{}, random,
                  unused);
  train(phase, watch, x, 2500, 8);
  const Tensor d = D.weight.value();
  const std::vector<double> squares = matmul(d, d.transpose(0, 1)).to_vector<double>();  // the data's axes
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t j = 0; j < 4; ++j)
      CHECK(squares[4 * i + j] == doctest::Approx(i == j ? expected[i] : 0.0).scale(1.0).epsilon(0.01));
  }
  const Tensor codes = V.layer.forward(x).value();
  CHECK(sum_squares(codes).item() / 8.0 == doctest::Approx(1.364214 + .657107 + .303554).epsilon(0.01));
  CHECK(loss(encode(V.layer, x, 4, random), x).value().item() ==
        doctest::Approx(.277843 + .136421 + .065711 + .004).epsilon(0.01));
}

TEST_CASE("a mixture of one is mean and covariance; of two it finds two; its likelihood never falls") {
  Generator random(19);
  const Tensor z = matmul(random.normal({10000, 2}, Dtype::f64), matrix({1.0, 0.6, 0.0, 0.8}, {2, 2}));
  const Mixture one = fit_mixture(z, {.components = 1, .ridge = 0.0});
  const Moments moments(z);
  for (std::size_t i = 0; i < 2; ++i)
    CHECK(one.means.to_vector<double>()[i] == doctest::Approx(moments.mean[i]).scale(1.0).epsilon(1e-10));
  for (std::size_t i = 0; i < 4; ++i)
    CHECK(one.covariances.to_vector<double>()[i] == doctest::Approx(moments.covariance[i]).epsilon(1e-10));

  const Tensor sides =
      cat(Tensors{random.normal({6000, 2}, Dtype::f64), add(random.normal({4000, 2}, Dtype::f64), 10.0)}, 0);
  const Mixture two = fit_mixture(add(sides, -5.0), {.components = 2});
  const std::vector<double> means = two.means.to_vector<double>(), weights = two.weights.to_vector<double>();
  const std::size_t low = means[0] < means[2] ? 0 : 1, high = 1 - low;
  CHECK(weights[low] == doctest::Approx(0.6).epsilon(1e-6));
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(means[2 * low + i] == doctest::Approx(-5.0).epsilon(0.01));
    CHECK(means[2 * high + i] == doctest::Approx(5.0).epsilon(0.01));
    CHECK(two.covariances.to_vector<double>()[4 * low + 3 * i] == doctest::Approx(1.0).epsilon(0.05));
  }

  const Mixture five = fit_mixture(z, {.components = 5, .tolerance = 1e-6, .most_sweeps = 60});
  const std::vector<double>& history = five.log_likelihoods;
  CHECK(history.size() > 5);
  for (std::size_t i = 1; i < history.size(); ++i)
    CHECK(history[i] >= history[i - 1] - 1e-6);  // the ridge costs a little
  CHECK_THROWS_AS(fit_mixture(z.narrow(0, 0, 3), {.components = 4}), Error);
}

TEST_CASE("a mixture as a prior: its density has mass 1 and its samples have its moments") {
  Generator random(20);
  Init init(random, Dtype::f64);
  MixturePrior prior(2, 2, init);
  const Mixture mixture{matrix({0.3, 0.7}, {2}),
                        matrix({-1.0, 0.5, 1.0, 0.0}, {2, 2}),
                        matrix({0.5, 0.2, 0.2, 0.3, 0.4, -0.1, -0.1, 0.6}, {2, 2, 2}),
                        {}};
  const Tensor some = random.normal({50, 2}, Dtype::f64);
  // N(0, I) at first: E = log 2 pi everywhere
  for (const double e : prior.energies(some).value().to_vector<double>())
    CHECK(e == doctest::Approx(std::log(2.0 * std::numbers::pi)));
  prior.set(mixture);
  const auto bits = [&] {
    std::vector<double> all;
    for (const Tensor& part : prior.weights()) {
      for (const double value : part.to_vector<double>()) all.push_back(value);
    }
    return all;
  };
  const auto before = bits();
  Mixture flat = mixture, wide = mixture;  // the second covariance is none; three components for two
  flat.weights = matrix({0.5, 0.5}, {2});
  flat.covariances = mixture.covariances.clone();
  flat.covariances.narrow(0, 1, 1).fill(0.0);
  wide.weights = matrix({0.2, 0.3, 0.5}, {3});
  CHECK_THROWS_AS(prior.set(flat), Error);
  CHECK_THROWS_WITH_AS(prior.set(wide), doctest::Contains("weights [3], means [2, 2]"), Error);
  CHECK(bits() == before);
  const std::vector<double> e = prior.energies(some).value().to_vector<double>(),
                            log_p = log_density(mixture, some),
                            norms = sum(square(some), 1).to_vector<double>();
  for (std::size_t i = 0; i < e.size(); ++i)
    CHECK(e[i] + 0.5 * norms[i] == doctest::Approx(-log_p[i]).epsilon(1e-10));
  std::vector<double> grid;
  constexpr int side = 200;
  for (int i = 0; i < side * side; ++i) {
    grid.push_back(-6.0 + 12.0 * (i / side + 0.5) / side);
    grid.push_back(-6.0 + 12.0 * (i % side + 0.5) / side);
  }
  double mass = 0.0;
  for (const double l : log_density(mixture, matrix(grid, {side * side, 2})))
    mass += std::exp(l) * std::pow(12.0 / side, 2);
  CHECK(mass == doctest::Approx(1.0).epsilon(1e-6));
  constexpr std::int64_t n = 100000;
  const Moments found(prior.sample(n, random));
  const double between = 0.3 * 0.7;
  check_statistic("mean 0", found.mean[0], 0.4, std::sqrt((0.43 + between * 4.0) / n));
  check_statistic("mean 1", found.mean[1], 0.15, std::sqrt((0.51 + between * 0.25) / n));
  CHECK(found.covariance[0] == doctest::Approx(0.43 + between * 4.0).epsilon(0.02));
  CHECK(found.covariance[3] == doctest::Approx(0.51 + between * 0.25).epsilon(0.02));
  CHECK(found.covariance[1] == doctest::Approx(-0.01 - between).epsilon(0.05));
}
