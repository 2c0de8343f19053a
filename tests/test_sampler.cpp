/// The amortised sampler as a statistician sees it: fitted to a mixture its samples pass a two-sample test,
/// and fitted to a linear-Gaussian model they have the exact posterior's mean and covariance.
///
/// Seeds are fixed, but rounding and with it training differs between processors: tolerances leave room.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <random>

#include "autograd/grad.h"
#include "damc/sampler/amortizer.h"
#include "optim/adam.h"
#include "optim/ema.h"
#include "tensor/error.h"
#include "tensor/ops.h"

using namespace damc;

namespace {

using Point = std::array<double, 2>;

std::vector<Point> points(const Tensor& z) {
  const std::vector<double> flat = z.to_vector<double>();
  std::vector<Point> found;
  for (std::size_t i = 0; i + 1 < flat.size(); i += 2) found.push_back({flat[i], flat[i + 1]});
  return found;
}

/// Three Gaussians of standard deviation 0.25 on the plane with weights 0.5, 0.3 and 0.2.
constexpr Point centres[3] = {{-1.0, -0.5}, {1.2, -0.6}, {0.1, 1.3}};
constexpr double weights[3] = {0.5, 0.3, 0.2};
constexpr double spread = 0.25;

/// n points, with these or other weights.
Tensor draw_mixture(std::int64_t n, Generator& random, const double (&shares)[3] = weights) {
  const std::vector<double> which = random.uniform({n}).to_vector<double>();
  std::vector<double> z = random.normal({n, 2}).to_vector<double>();
  for (std::size_t i = 0; i < which.size(); ++i) {
    const Point& centre = centres[which[i] <= shares[0] ? 0 : which[i] <= shares[0] + shares[1] ? 1 : 2];
    for (std::size_t k = 0; k < 2; ++k) z[2 * i + k] = centre[k] + spread * z[2 * i + k];
  }
  return Tensor::from(z, {n, 2}).to(Dtype::f32);
}

/// The share of points nearest to each centre.
std::array<double, 3> shares_of(const std::vector<Point>& all) {
  std::array<double, 3> shares{};
  for (const Point& p : all) {
    const auto distance = [&](const Point& centre) { return std::hypot(p[0] - centre[0], p[1] - centre[1]); };
    const auto nearest =
        std::min_element(std::begin(centres), std::end(centres),
                         [&](const Point& a, const Point& b) { return distance(a) < distance(b); });
    shares[static_cast<std::size_t>(nearest - std::begin(centres))] += 1.0 / static_cast<double>(all.size());
  }
  return shares;
}

std::unique_ptr<Layer> encoder(std::int64_t nemb, Init& init) {
  auto net = std::make_unique<Sequential>();
  net->emplace<Linear>(2, 64, init);
  net->push_back(leaky_relu_layer(0.01));
  net->emplace<Linear>(64, nemb, init);
  return net;
}

/// A sampler of z [N, 2] given x [N, 2], its training, and the average of its weights, the one to sample from.
struct SmallSampler {
  static constexpr std::int64_t nemb = 16, batch = 256;

  explicit SmallSampler(Unconditional kind)
      : options{.nz = 2, .nemb = nemb, .widths = DenoiserWidths::scaled(0.25), .unconditional = kind} {
    average.copy_from(Q);
  }

  /// Steps on a loss of the current Q; the learning rate falls to zero.
  void fit(int steps, const std::function<Variable()>& loss) {
    Adam adam(Q, {.beta1 = 0.9, .beta2 = 0.99});
    for (int step = 0; step < steps; ++step) {
      const double left = 1.0 - static_cast<double>(step) / steps;
      const std::vector<Tensor> gradients = grad(loss(), Q.parameters());
      adam.step(gradients, global_norm(gradients), 4e-3 * left);
      ema_update(average, Q, 0.01);
    }
  }

  Generator random{1};
  Init init{random};
  AmortizerOptions options;
  Amortizer Q{encoder(nemb, init), options, init}, average{encoder(nemb, init), options, init};
};

/// Energy distance of two samples of n points, 2 E|x - y| - E|x - x'| - E|y - y'|, and how often a random
/// division of all 2n points gives as large a distance.
struct TwoSampleTest {
  double distance, p_value;
};

TwoSampleTest two_sample_test(const Tensor& x, const Tensor& y) {
  constexpr std::int64_t divisions = 999;
  const std::int64_t n = x.size(0);
  const std::vector<Point> all = points(cat(std::vector<Tensor>{x, y}, 0));
  std::vector<double> distances;
  for (const Point& a : all) {
    for (const Point& b : all) distances.push_back(std::hypot(a[0] - b[0], a[1] - b[1]));
  }
  // With labels s = 1 for x and -1 for y it is -(1/n^2) sum s_i s_j |p_i - p_j|. Row 0 are the true labels.
  std::mt19937_64 shuffler(3);
  std::vector<double> label(all.size(), -1.0), labels;
  std::fill_n(label.begin(), n, 1.0);
  for (std::int64_t i = 0; i <= divisions; ++i) {
    labels.insert(labels.end(), label.begin(), label.end());
    std::shuffle(label.begin(), label.end(), shuffler);
  }
  const Tensor s = Tensor::from(labels, {divisions + 1, 2 * n}), d = Tensor::from(distances, {2 * n, 2 * n});
  const std::vector<double> statistic =
      mul(sum(mul(matmul(s, d), s), 1), -1.0 / static_cast<double>(n * n)).to_vector<double>();
  const auto as_large =
      std::count_if(statistic.begin(), statistic.end(), [&](double t) { return t >= statistic[0]; });
  return {statistic[0], static_cast<double>(as_large) / static_cast<double>(divisions + 1)};
}

struct Moments {
  Point mean;
  double variance[2], covariance;
};

Moments moments_of(const Tensor& z) {
  const std::vector<Point> all = points(z);
  const auto n = static_cast<double>(all.size());
  Moments m{};
  for (const Point& p : all) {
    for (std::size_t k = 0; k < 2; ++k) m.mean[k] += p[k] / n;
  }
  for (const Point& p : all) {
    for (std::size_t k = 0; k < 2; ++k) m.variance[k] += (p[k] - m.mean[k]) * (p[k] - m.mean[k]) / n;
    m.covariance += (p[0] - m.mean[0]) * (p[1] - m.mean[1]) / n;
  }
  return m;
}

/// z ~ N(0, I), x = A z + sigma w: the posterior is N(C A'x / sigma^2, C) with C = (I + A'A / sigma^2)^-1.
struct LinearGaussian {
  static constexpr double a = 1.0, b = 0.6, c = -0.4, d = 0.8, sigma = 0.5;  // A = [a b; c d]

  Tensor observe(const Tensor& z, Generator& random) const {
    const Tensor A = Tensor::from(std::vector<double>{a, b, c, d}, {2, 2}).to(Dtype::f32);
    return add(matmul(z, A.transpose(0, 1)), mul(random.normal(z.shape()), sigma));
  }
  Moments posterior(const Point& x) const {
    constexpr double s2 = sigma * sigma;
    const double p = 1.0 + (a * a + c * c) / s2, q = (a * b + c * d) / s2, r = 1.0 + (b * b + d * d) / s2;
    const double det = p * r - q * q, u = (a * x[0] + c * x[1]) / s2, v = (b * x[0] + d * x[1]) / s2;
    return {{(r * u - q * v) / det, (p * v - q * u) / det}, {r / det, p / det}, -q / det};
  }
};

/// Means within 0.15 standard deviations, variances within 20 %, correlation within 0.1.
void check_moments(const std::string& what, const Moments& got, const Moments& wanted) {
  const double deviation[2] = {std::sqrt(wanted.variance[0]), std::sqrt(wanted.variance[1])};
  const double covariance_error = (got.covariance - wanted.covariance) / (deviation[0] * deviation[1]);
  std::string line = what;
  for (std::size_t k = 0; k < 2; ++k) {
    const double mean_error = (got.mean[k] - wanted.mean[k]) / deviation[k];
    const double ratio = got.variance[k] / wanted.variance[k];
    line += fmt::format("  mean off by {:+.3f}, variance times {:.3f}", mean_error, ratio);
    CHECK_MESSAGE(std::abs(mean_error) < 0.15, what, ": mean ", k, " off by ", mean_error,
                  " standard deviations");
    CHECK_MESSAGE(std::abs(ratio - 1.0) < 0.2, what, ": variance ", k, " times ", ratio);
  }
  CHECK_MESSAGE(std::abs(covariance_error) < 0.1, what, ": correlation off by ", covariance_error);
  fmt::print("{}  correlation off by {:+.3f}\n", line, covariance_error);
}

}  // namespace

TEST_CASE("a mixture of three: samples of q(z) pass a two-sample test") {
  constexpr std::int64_t n = 1000;
  constexpr double threshold = 0.002;  // what is right fails once in 500 seeds
  SmallSampler sampler(Unconditional::noise);
  Amortizer& Q = sampler.Q;
  sampler.fit(1200, [&] {
    const Tensor z = draw_mixture(sampler.batch, sampler.random);
    return Q.loss(z, Q.unconditional(sampler.batch, sampler.random), sampler.random);
  });
  Generator random(2);
  const Tensor truth = draw_mixture(n, random), samples = sampler.average.sample_prior(n, random);
  const auto test = [&](const char* what, const Tensor& candidate) {
    const TwoSampleTest result = two_sample_test(candidate, truth);
    fmt::print("{:<24} energy distance {:.4f}, p = {:.3f}\n", what, result.distance, result.p_value);
    return result.p_value;
  };
  CHECK(test("sampler", samples) > threshold);
  CHECK(test("second true sample", draw_mixture(n, random)) > threshold);
  // The test notices wrong weights, and the absence of modes.
  CHECK(test("equal weights", draw_mixture(n, random, {1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0})) < threshold);
  CHECK(test("N(0, I)", random.normal({n, 2})) < threshold);

  const std::array<double, 3> shares = shares_of(points(sampler.average.sample_prior(4 * n, random)));
  fmt::print("shares of the modes {:.3f} {:.3f} {:.3f}\n", shares[0], shares[1], shares[2]);
  for (std::size_t k = 0; k < 3; ++k) CHECK(std::abs(shares[k] - weights[k]) < 0.05);
}

TEST_CASE("a linear-Gaussian model: q(z given x) has the posterior's moments, q(z) the prior's") {
  // Pairs of the model are exact posterior samples: z given its x.
  const LinearGaussian model;
  SmallSampler sampler(Unconditional::null);
  Amortizer& Q = sampler.Q;
  sampler.fit(1500, [&] {
    const Tensor z = sampler.random.normal({sampler.batch, 2}), x = model.observe(z, sampler.random);
    const Tensor mask = greater(sampler.random.uniform({sampler.batch}), 0.2);
    return Q.loss(z, blend(mask, Q.embed(x), Q.unconditional(sampler.batch, sampler.random)), sampler.random);
  });
  constexpr std::int64_t n = 4000;
  Generator random(2);
  for (const Point& x : {Point{0.0, 0.0}, Point{1.0, -0.5}, Point{-1.5, 1.0}}) {
    const Tensor repeated =
        Tensor::from(std::vector<double>{x[0], x[1]}, {1, 2}).to(Dtype::f32).expand({n, 2});
    check_moments(fmt::format("x = ({}, {})", x[0], x[1]),
                  moments_of(sampler.average.sample(repeated, random)), model.posterior(x));
  }
  check_moments("q(z)", moments_of(sampler.average.sample_prior(n, random)), {{0.0, 0.0}, {1.0, 1.0}, 0.0});

  // The other variance of Eq. (5) does as well.
  AncestralOptions small = sampler.average.sampling();
  small.gamma = 0.0;
  const Tensor xemb = sampler.average.embed(Tensor::zeros({n, 2})).value();
  const Tensor zT = random.normal({n, 2});
  check_moments("x = (0, 0), gamma = 0",
                moments_of(ancestral_sample(sampler.average.denoiser(), zT, xemb, {}, small, &random)),
                model.posterior({0.0, 0.0}));
}
