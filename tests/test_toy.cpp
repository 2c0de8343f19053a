/// The toy example: the pinwheel and its random network, the distance between two sets of points, pictures of
/// densities, long chains against the exact posterior, and runs that repeat to the last bit.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "damc/toy/toy.h"
#include "damc/toy/two_sample.h"
#include "tensor/error.h"
#include "tensor/ops.h"

using namespace damc;

namespace {

Tensor rotated(const Tensor& z, double angle) {
  const double c = std::cos(angle), s = std::sin(angle);
  const Tensor rows = Tensor::from(std::vector<double>{c, s, -s, c}, {2, 2}).to(z.dtype());
  return matmul(z, rows);  // (z1, z2) -> (c z1 - s z2, s z1 + c z2)
}

Tensor shifted(const Tensor& z, double along_first) {
  return add(z, Tensor::from(std::vector<double>{along_first, 0.0}, {1, 2}).to(z.dtype()));
}

}  // namespace

TEST_CASE("pinwheel: moments, two arms alike, and the spiral they follow") {
  constexpr std::int64_t n = 20000;
  Generator random(11);
  const Tensor z = sample_pinwheel(n, random);
  CHECK(z.shape() == Shape{n, 2});

  // E z = 0, for the arms are opposite; E|z|^2 = 4 (1 + 0.3^2 + 0.1^2). Both within about five deviations.
  CHECK(sum(z.narrow(1, 0, 1)).item() / n == doctest::Approx(0.0).epsilon(0.08));
  CHECK(sum(z.narrow(1, 1, 1)).item() / n == doctest::Approx(0.0).epsilon(0.08));
  CHECK(sum_squares(z).item() / n == doctest::Approx(4.4).epsilon(0.02));

  // |z|/2 is nearly 1 + 0.3 r, which says how far a point was turned. Turned back, it lies on the first axis:
  // to the right for one arm and to the left for the other, with a deviation of 2 * 0.1 across.
  const std::vector<double> points = z.to_vector<double>();
  double across = 0.0;
  int right = 0;
  for (std::size_t i = 0; i < points.size(); i += 2) {
    const double angle = 0.25 * std::exp(0.5 * std::hypot(points[i], points[i + 1]));
    const double u = std::cos(angle) * points[i] + std::sin(angle) * points[i + 1];
    const double v = -std::sin(angle) * points[i] + std::cos(angle) * points[i + 1];
    across += v * v;
    right += u > 0.0;
  }
  CHECK(std::sqrt(across / n) == doctest::Approx(0.2).epsilon(0.01));
  CHECK(right / static_cast<double>(n) == doctest::Approx(0.5).epsilon(0.015));

  // Half a turn maps one arm to the other; a quarter of a turn does not. The floor for 2 x 2000 points is
  // 0.05.
  const Tensor first = z.narrow(0, 0, 2000), second = z.narrow(0, 2000, 2000);
  CHECK(energy_distance(first, rotated(second, std::numbers::pi)) < 0.1);
  CHECK(energy_distance(first, rotated(second, 0.5 * std::numbers::pi)) > 0.3);
}

TEST_CASE("random network: variance of its outputs over many draws") {
  // Through a layer of 128: Var h <- 128 * 0.2^2 Var h / 2 + 0.1^2, since ReLU halves the second moment.
  const Tensor z = Tensor::from(std::vector<float>{1, 0}, {1, 2});
  double expected = 0.2 * 0.2 + 0.01;
  for (int layer = 0; layer < 3; ++layer) expected = 128 * 0.2 * 0.2 * expected / 2.0 + 0.01;
  double squares = 0.0;
  constexpr std::uint64_t draws = 400;
  for (std::uint64_t seed = 0; seed < draws; ++seed) {
    Generator random(seed);
    squares += sum_squares(RandomMlp(random).forward(z).value()).item();
  }
  CHECK(squares / (2.0 * draws) == doctest::Approx(expected).epsilon(0.12));
}

TEST_CASE("energy distance: as the definition has it") {
  Generator random(3);
  const Tensor x = random.normal({7, 3}), y = random.normal({5, 3});
  const auto mean_distance = [](const Tensor& a, const Tensor& b) {
    double total = 0.0;
    for (std::int64_t i = 0; i < a.size(0); ++i) {
      for (std::int64_t j = 0; j < b.size(0); ++j) {
        total += std::sqrt(sum_squares(sub(a.narrow(0, i, 1), b.narrow(0, j, 1))).item());
      }
    }
    return total / static_cast<double>(a.size(0) * b.size(0));
  };
  const double squared = 2.0 * mean_distance(x, y) - mean_distance(x, x) - mean_distance(y, y);
  CHECK(energy_distance(x, y) == doctest::Approx(std::sqrt(squared)).epsilon(1e-6));
  CHECK(energy_distance(y, x) == doctest::Approx(energy_distance(x, y)).epsilon(1e-12));

  CHECK(energy_distance(x, x) < 1e-7);
  const Tensor permuted = cat(std::vector<Tensor>{x.narrow(0, 4, 3), x.narrow(0, 0, 4)}, 0);
  CHECK(energy_distance(x, permuted) < 1e-7);

  CHECK_THROWS_AS(energy_distance(x, random.normal({5, 2})), Error);
  CHECK_THROWS_AS(energy_distance(x, Tensor::empty({0, 3})), Error);
  CHECK_THROWS_AS(energy_distance(x, random.normal({3})), Error);
}

TEST_CASE("energy distance: known values for Gaussians, and its floor") {
  constexpr std::int64_t n = 3000;
  Generator random(4);
  const Tensor x = random.normal({n, 2}), y = random.normal({n, 2});

  // X - Y ~ N((d, 0), 2 I); its mean length is Rice's: sqrt(pi) L(-d^2/4) with the Laguerre function
  // L(-t) = exp(-t/2) ((1 + t) I0(t/2) + t I1(t/2)).
  const auto mean_length = [](double d) {
    const double t = 0.25 * d * d;
    return std::sqrt(std::numbers::pi) * std::exp(-0.5 * t) *
           ((1.0 + t) * std::cyl_bessel_i(0.0, 0.5 * t) + t * std::cyl_bessel_i(1.0, 0.5 * t));
  };
  double previous = 0.0;
  for (const double d : {0.5, 1.0, 3.0}) {
    const double distance = energy_distance(x, shifted(y, d));
    CHECK(distance == doctest::Approx(std::sqrt(2.0 * (mean_length(d) - mean_length(0.0)))).epsilon(0.03));
    CHECK(distance > previous);
    previous = distance;
  }
  const double floor = std::sqrt(2.0 / n * mean_length(0.0));
  CHECK(energy_distance(x, y) > 0.5 * floor);
  CHECK(energy_distance(x, y) < 2.0 * floor);
}

TEST_CASE("density pictures: where a point lands, mass, colours") {
  const DensityView view{.extent = 2.0, .size = 40, .bandwidth = 0.2};
  const std::vector<double> centres = pixel_centres(view).to_vector<double>();
  CHECK(centres[0] == doctest::Approx(-1.95));
  CHECK(centres[1] == doctest::Approx(1.95));
  CHECK(centres[2] == doctest::Approx(-1.85));
  CHECK(centres[2 * 40 + 1] == doctest::Approx(1.85));

  // 1.05 to the right of the middle is column 30; 0.55 above it is row 14.
  const Tensor density = kernel_density(Tensor::from(std::vector<float>{1.05f, 0.55f}, {1, 2}), view);
  CHECK(density.shape() == Shape{40, 40});
  const std::vector<double> values = density.to_vector<double>();
  const auto darkest = std::max_element(values.begin(), values.end());
  CHECK(darkest - values.begin() == 14 * 40 + 30);
  CHECK(*darkest == doctest::Approx(1.0 / (2.0 * std::numbers::pi * 0.04)));
  CHECK(sum(density).item() * view.pixel() * view.pixel() == doctest::Approx(1.0).epsilon(1e-3));

  // One of two points is outside the view, far or just beyond its edge.
  const Tensor far = Tensor::from(std::vector<float>{0, 0, 1e6f, -1e6f}, {2, 2});
  CHECK(sum(kernel_density(far, view)).item() * 0.01 == doctest::Approx(0.5).epsilon(1e-3));
  const Tensor edge = Tensor::from(std::vector<float>{2, 0}, {1, 2});
  CHECK(sum(kernel_density(edge, view)).item() * 0.01 == doctest::Approx(0.5).epsilon(1e-2));
  CHECK_THROWS_AS(kernel_density(Tensor::zeros({4, 3}), view), Error);

  const Tensor picture = colour(Tensor::from(std::vector<double>{0.0, 0.15625, 1.0, 9.0}, {2, 2}), 1.0);
  CHECK(picture.shape() == Shape{1, 2, 2, 3});
  const auto byte = [&](std::size_t i) {
    return std::lround((picture.to_vector<double>()[i] + 1.0) * 127.5);
  };
  CHECK((byte(0) == 68 && byte(1) == 1 && byte(2) == 84));
  CHECK((byte(3) == 68 && byte(4) == 53 && byte(5) == 126));  // a quarter of the way
  CHECK((byte(6) == 253 && byte(7) == 231 && byte(8) == 37));
  CHECK((byte(9) == 253 && byte(10) == 231 && byte(11) == 37));
}

TEST_CASE("exact draws have the posterior's moments, and long chains end where they lie") {
  Toy toy({.seed = 29, .long_run_steps = 600});  // of two modes
  constexpr std::int64_t n = 4000;
  const auto repeated = [&](std::int64_t times) { return toy.observation().expand({times, 2}).contiguous(); };
  const Tensor exact = toy.exact(repeated(n));

  // The same moments by weights exp(-|x - g(z)|^2 / (2 0.25^2)) on draws of the prior; deviations over seeds are 0.02.
  Generator random(12);
  const Tensor z = random.normal({400000, 2});
  const Tensor x = repeated(1), misfit = toy.squared_errors(z, x.expand(z.shape()));
  const std::vector<double> values = z.to_vector<double>(), errors = misfit.to_vector<double>();
  double total = 0.0, first = 0.0, second = 0.0, squares = 0.0;
  for (std::size_t i = 0; i < errors.size(); ++i) {
    const double w = std::exp(-8.0 * errors[i]);
    total += w;
    first += w * values[2 * i];
    second += w * values[2 * i + 1];
    squares += w * (values[2 * i] * values[2 * i] + values[2 * i + 1] * values[2 * i + 1]);
  }
  CHECK(std::abs(sum(exact.narrow(1, 0, 1)).item() / n - first / total) < 0.1);
  CHECK(std::abs(sum(exact.narrow(1, 1, 1)).item() / n - second / total) < 0.1);
  CHECK(sum_squares(exact).item() / n == doctest::Approx(squares / total).epsilon(0.05));

  const Tensor chains = toy.long_run(repeated(600));
  CHECK(energy_distance(chains, exact) < 0.15);                  // the floor of 600 and 4,000 is about 0.06
  CHECK(toy.reconstruction_error(chains, repeated(600)) < 0.2);  // 2 * 0.25^2 and a little
}

TEST_CASE("many samples of one observation are those of the observation repeated") {
  Generator random(5);
  Init init(random);
  const Denoiser denoiser(2, 8, 0.25, init);
  const Tensor xemb = random.normal({1, 8}), zT = random.normal({6, 2});
  Generator first(7), second(7);
  const AncestralOptions options{.steps = 5};
  const Tensor shared = ancestral_sample(denoiser, zT, xemb, {}, options, &first);
  const Tensor repeated =
      ancestral_sample(denoiser, zT, xemb.expand({6, 8}).contiguous(), {}, options, &second);
  CHECK(sum_squares(sub(shared, repeated)).item() < 1e-8);
}

TEST_CASE("a run repeats to the last bit, whatever is measured in between") {
  const auto run = [](std::uint64_t seed, bool measure) {
    Toy toy({.seed = seed, .batch = 24, .posterior_steps = 4, .long_run_steps = 4, .diffusion_steps = 6});
    std::vector<double> losses;
    for (int k = 0; k < 3; ++k) {
      losses.push_back(toy.iterate());
      CHECK(std::isfinite(losses.back()));
      if (measure) toy.sample(toy.new_observations(8));
    }
    if (!measure) losses.push_back(sum_squares(toy.sample(toy.new_observations(8))).item());
    return losses;
  };
  const std::vector<double> once = run(1, false), again = run(1, false);
  CHECK(once == again);
  CHECK(run(1, true) == std::vector<double>(once.begin(), once.begin() + 3));
  CHECK(run(2, true) != run(1, true));
}
