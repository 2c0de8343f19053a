/// Diagnostics of chains where their values are known: AR(1), chains that agree or not by construction, and short series
/// whose values plain Python gives (statistics.NormalDist for the normal scores).
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "damc/chains/diagnostics.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/random.h"

using namespace damc;

namespace {

constexpr std::int64_t kSteps = 20000, kChains = 4;

/// x_t = rho x_{t-1} + w from its stationary distribution, in f64; chain k is shifted by k * `apart`.
Tensor autoregression(double rho, double apart = 0.0) {
  constexpr auto chains = static_cast<std::size_t>(kChains);
  std::vector<double> x = Generator(1).normal({kSteps, kChains}, Dtype::f64).to_vector<double>();
  for (std::size_t k = 0; k < chains; ++k) x[k] /= std::sqrt(1.0 - rho * rho);
  for (std::size_t i = chains; i < x.size(); ++i) x[i] += rho * x[i - chains];
  for (std::size_t i = 0; i < x.size(); ++i) x[i] += apart * static_cast<double>(i % chains);
  return Tensor::from(x, {kSteps, kChains});
}

Tensor series(const std::vector<double>& values, std::int64_t chains) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size()) / chains, chains});
}

}  // namespace

TEST_CASE("autocorrelation time of AR(1) is (1 + rho) / (1 - rho)") {
  for (const double rho : {-0.5, 0.0, 0.8, 0.95}) {
    CAPTURE(rho);
    const AutocorrelationTime found = autocorrelation_time(autoregression(rho));
    const double expected = (1.0 + rho) / (1.0 - rho);
    // Sokal: variance 2 (2 M + 1) / n of the relative error for a window of M = 5 times the value, or 5; 4.5 standard errors,
    // and the bias of what the window cuts off, at most 2 rho^M / (1 - rho) of 1 / expected.
    const double window = std::max(5.0, 5.0 * expected);
    const double error = std::sqrt(2.0 * (2.0 * window + 1.0) / static_cast<double>(kSteps * kChains));
    const double cut = 2.0 * std::pow(std::abs(rho), window) / (1.0 - rho) / expected;
    CHECK(found.resolved);
    CHECK(std::abs(found.steps / expected - 1.0) < 4.5 * error + cut);
  }
}

TEST_CASE("chains that stay apart, or are too short, are not resolved") {
  std::vector<double> x;
  for (int t = 0; t < 100; ++t) x.insert(x.end(), {0.0, 1.0});
  CHECK_FALSE(autocorrelation_time(series(x, 2)).resolved);
  const AutocorrelationTime early = autocorrelation_time(autoregression(0.95).narrow(0, 0, 40).contiguous());
  CHECK_FALSE(early.resolved);
  // The sum ends at 2,000 lags, however long the chains: those of two that stay apart are each worth 2 (T - lag) / T.
  std::vector<double> apart;
  for (int t = 0; t < 8000; ++t) apart.insert(apart.end(), {0.0, 1.0});
  const AutocorrelationTime capped = autocorrelation_time(series(apart, 2));
  CHECK_FALSE(capped.resolved);
  CHECK(capped.steps == doctest::Approx(1.0 + 2.0 * (2000.0 - 2000.0 * 2001.0 / 2.0 / 8000.0)));
}

TEST_CASE("split R-hat by hand: equal chains, shifted chains, a chain that moves") {
  const std::vector<double> equal = {0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1};
  CHECK(split_rhat(series(equal, 2)) == doctest::Approx(std::sqrt(0.75)));
  const std::vector<double> shifted = {0, 3, 1, 4, 0, 3, 1, 4, 0, 3, 1, 4, 0, 3, 1, 4};
  CHECK(split_rhat(series(shifted, 2)) == doctest::Approx(std::sqrt(9.75)));
  const std::vector<double> moves = {0, 1, 0, 1, 3, 4, 3, 4};
  CHECK(split_rhat(series(moves, 1)) == doctest::Approx(std::sqrt(14.25)));
}

TEST_CASE("rank-normalised R-hat as Python has it: by location with ties and an odd length, by scale") {
  const std::vector<double> location = {0.3,  2.0, -1.0, 2.5, 0.3, 3.0,  5.0,
                                        -4.0, 1.0, 2.0,  0.0, 7.0, -2.0, 30.0};
  CHECK(split_rhat(series(location, 2)) == doctest::Approx(1.169427444264752).epsilon(1e-12));
  CHECK(rank_rhat(series(location, 2)) == doctest::Approx(1.752747241411325).epsilon(1e-12));
  const std::vector<double> scale = {0, 9, 1, -9, 0, 8, -1, -8, 2, 9.5, 1.5, -7, -2, 6, 0.5, -6.5};
  CHECK(split_rhat(series(scale, 2)) == doctest::Approx(0.8671392632850284).epsilon(1e-12));
  CHECK(rank_rhat(series(scale, 2)) == doctest::Approx(1.975295005322073).epsilon(1e-12));
}

TEST_CASE("R-hat is near 1 for independent chains, however heavy their tails, and large for shifted ones") {
  // Of n independent draws in each of 8 halves R-hat - 1 is about (B - 1) / (2 n) with B of mean 1 and deviation
  // sqrt(2 / 7): far below 1e-3 for n = 10,000.
  const Tensor agree = autoregression(0.0), apart = autoregression(0.0, 1.0);
  CHECK(std::abs(rank_rhat(agree) - 1.0) < 1e-3);
  CHECK(rank_rhat(agree) < kLargestRhat);
  CHECK(rank_rhat(exp(agree)) >= 1.0 - 1e-3);
  CHECK(rank_rhat(exp(mul(agree, 20.0))) < 1.0 + 1e-3);  // ranks do not see it
  // Means 0, 1, 2, 3 (variance 5/3, of the halves 10/7) in noise of variance 1: sqrt(1 + 10/7) without ranks.
  CHECK(split_rhat(apart) == doctest::Approx(std::sqrt(1.0 + 10.0 / 7.0)).epsilon(0.01));
  CHECK(rank_rhat(apart) > 1.4);
}

TEST_CASE("drift in standard errors: by hand, none of stationary chains, some where a mean rises") {
  const std::vector<double> rises = {0, 0, 0, 0, 1, 3, 1, 3};  // by 1 and 3: mean 2, standard error 1
  CHECK(drift(series(rises, 2)) == doctest::Approx(2.0));
  CHECK(std::isnan(drift(series(rises, 1))));
  // Student's t with 3 degrees of freedom: |t| < 12.9 in 99.9 % of all seeds.
  CHECK(std::abs(drift(autoregression(0.8))) < 12.9);
  std::vector<double> ramp = autoregression(0.8).to_vector<double>();
  for (std::size_t i = 0; i < ramp.size(); ++i)
    ramp[i] -= 4.0 * static_cast<double>(i) / static_cast<double>(ramp.size());
  CHECK(drift(series(ramp, kChains)) < -20.0);
}

TEST_CASE("all in one; and a series needs four steps and a chain") {
  const Tensor chains = autoregression(0.5);
  const Mixing found = mixing(chains);
  CHECK(found.time.steps == autocorrelation_time(chains).steps);
  CHECK(found.rhat == rank_rhat(chains));
  CHECK(found.drift == drift(chains));
  CHECK(std::isnan(mixing(Tensor::zeros({8, 2})).rhat));
  const Tensor three = Tensor::zeros({3, 4});
  CHECK_THROWS_AS(autocorrelation_time(three), Error);
  CHECK_THROWS_AS(split_rhat(three), Error);
  CHECK_THROWS_AS(rank_rhat(Tensor::zeros({8})), Error);
  CHECK_THROWS_AS(drift(three), Error);
}
