/// Distances between sets of features: against numpy and scipy (golden/metrics.py), and where a closed form exists.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "autograd/checks/op_cases.h"
#include "damc/metrics/frechet.h"
#include "damc/metrics/kid.h"
#include "damc/metrics/pixel_components.h"
#include "damc/metrics/precision_recall.h"
#include "damc/metrics/statistics.h"
#include "data/batches.h"
#include "tensor/error.h"
#include "tensor/linalg.h"
#include "tensor/ops.h"
#include "tensor/random.h"
#include "tests/golden.h"

using namespace damc;

namespace {

/// The features of golden/metrics.py.
Tensor features(const std::string& name, int number, std::int64_t n, std::int64_t d, std::int64_t rank) {
  const Tensor u = golden_formula("metrics." + name + "." + std::to_string(number), {n, rank}).to(Dtype::f64);
  const Tensor mix = golden_formula("metrics.mix", {rank, d}).to(Dtype::f64);
  const Tensor bias = golden_formula("metrics.bias", {d}).to(Dtype::f64);
  const double scale = number == 0 ? 1.0 : 1.1, shift = number == 0 ? 0.0 : 0.1;
  return leaky_relu(add(affine(matmul(u, mix), scale, shift), bias), 0.0);
}

struct Case {
  std::string name;
  std::int64_t n1, n2, d, rank;
  Tensor first() const { return features(name, 0, n1, d, rank); }
  Tensor second() const { return features(name, 1, n2, d, rank); }
};

const std::array<Case, 3> cases{
    {{"full", 400, 400, 48, 48}, {"few", 40, 30, 64, 64}, {"mixed", 40, 400, 64, 64}}};

Tensor matrix(const std::vector<double>& values, const Shape& shape) { return Tensor::from(values, shape); }

/// A Gaussian, as if from many images.
Statistics gaussian(const std::vector<double>& mean, const std::vector<double>& covariance) {
  const auto d = static_cast<std::int64_t>(mean.size());
  return {1'000'000, matrix(mean, {d}), matrix(covariance, {d, d}), {}};
}

/// The images of golden/metrics.py.
Images images(std::int64_t size, std::int64_t channels, int number, std::int64_t n) {
  const std::string prefix = "pixels." + std::to_string(size) + ".";
  const Tensor u = golden_formula(prefix + std::to_string(number), {n, 10}).to(Dtype::f64);
  const Tensor mix = golden_formula(prefix + "mix", {10, size * size * channels}).to(Dtype::f64);
  const Tensor x = clamp(affine(matmul(u, mix), number == 0 ? 20.0 : 16.0, 128.0), 0.0, 255.0);
  std::vector<std::uint8_t> pixels;
  for (const double value : x.to_vector<double>()) pixels.push_back(static_cast<std::uint8_t>(value));
  return {n, size, size, channels, pixels, {}};
}

Tensor as_floats(const Images& x) {
  std::vector<float> values(x.pixels.size());
  to_float(x, 0, x.n, values);
  return Tensor::from(values, {x.n, x.height, x.width, x.channels});
}

Tensor column(const std::vector<double>& values) {
  return matrix(values, {static_cast<std::int64_t>(values.size()), 1});
}

}  // namespace

TEST_CASE("eigh and svdvals: the matrix from its parts, and known singular values") {
  const Tensor x = Generator(1).normal({7, 5}, Dtype::f64);
  const Tensor a = matmul(x.transpose(0, 1), x);
  const Eigh parts = eigh(a);
  const Tensor again = matmul(mul(parts.vectors, parts.values), parts.vectors.transpose(0, 1));
  CHECK(relative_error(again, a) < 1e-13);
  // Squared singular values of x in descending order are the eigenvalues of x^T x in ascending order.
  const std::vector<double> singular = svdvals(x).to_vector<double>();
  const std::vector<double> values = parts.values.to_vector<double>();
  REQUIRE(singular.size() == 5);
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(singular[i] * singular[i] == doctest::Approx(values[4 - i]).epsilon(1e-12));
  }
  CHECK(relative_error(svdvals(x.transpose(0, 1)), svdvals(x)) < 1e-13);

  CHECK_THROWS_WITH_AS(eigh(x), "eigh: a is [7, 5], expected a square matrix", Error);
  a.fill(std::nan(""));
  CHECK_THROWS_AS(eigh(a), Error);
}

TEST_CASE("statistics and Frechet distances are numpy's and scipy's") {
  const Golden golden("metrics");
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const Statistics a = statistics(c.first()), b = statistics(c.second());
    CHECK(golden.error(c.name + ".mean", a.mean.narrow(0, 0, 8)) < 1e-12);
    CHECK(golden.error(c.name + ".covariance", a.covariance.narrow(0, 0, 4).narrow(1, 0, 4)) < 1e-12);
    const std::vector<double> wanted = golden[c.name + ".frechet"].to_vector<double>();
    const FrechetDistance found = frechet_distance(a, b), turned = frechet_distance(b, a);
    CHECK(found.value == doctest::Approx(wanted[0]).epsilon(1e-10));
    CHECK(found.means == doctest::Approx(wanted[1]).epsilon(1e-12));
    CHECK(turned.value == doctest::Approx(wanted[0]).epsilon(1e-10));
    CHECK(std::abs(found.clipped) < 1e-10);
  }
}

TEST_CASE("statistics: batches of any size, a mean that is large beside the deviation, f32") {
  const Tensor x = add(cases[0].first(), 1e6);
  StatisticsStream stream(false);
  for (std::int64_t first = 0, size = 1; first < 400;
       first += size, size = std::min<std::int64_t>(97, 400 - first)) {
    stream.add(x.narrow(0, first, size));
  }
  const Statistics found = stream.finish(), wanted = statistics(cases[0].first());
  CHECK(relative_error(found.covariance, wanted.covariance) < 1e-8);  // 1e6 + x has kept ten digits of x
  CHECK(relative_error(sub(found.mean, Tensor::full({48}, 1e6, Dtype::f64)), wanted.mean) < 1e-9);
  CHECK_FALSE(found.features.defined());

  CHECK(relative_error(statistics(cases[0].first().to(Dtype::f32)).covariance, wanted.covariance) < 1e-6);
  CHECK(wanted.features.shape() == Shape{400, 48});
}

TEST_CASE("statistics: what cannot be averaged is refused") {
  StatisticsStream stream(true);
  stream.add(Tensor::zeros({1, 4}));
  CHECK_THROWS_AS(stream.finish(), Error);
  CHECK_THROWS_WITH_AS(stream.add(Tensor::zeros({2, 5})), "statistics: features of 5 numbers after 4", Error);
  CHECK_THROWS_AS(stream.add(Tensor::full({1, 4}, HUGE_VAL)), Error);
  CHECK_THROWS_AS(stream.add(Tensor::zeros({4})), Error);
}

TEST_CASE("Frechet distance of Gaussians: closed forms") {
  // Diagonal: sum over dimensions of (difference of means)^2 + (difference of deviations)^2.
  const Statistics a = gaussian({1.0, -2.0}, {4.0, 0.0, 0.0, 9.0}),
                   b = gaussian({0.5, 0.0}, {1.0, 0.0, 0.0, 25.0});
  CHECK(frechet_distance(a, b).value == doctest::Approx(0.25 + 4.0 + 1.0 + 4.0).epsilon(1e-14));
  CHECK(std::abs(frechet_distance(a, a).value) < 1e-14);
  // Two dimensions: the root's trace is sqrt(tr AB + 2 sqrt(det AB)), also where A and B do not commute.
  const Statistics c = gaussian({0.0, 0.0}, {2.0, 0.6, 0.6, 1.0}),
                   d = gaussian({0.0, 0.0}, {1.0, -0.8, -0.8, 3.0});
  const double product_trace = 2.0 - 0.48 - 0.48 + 3.0, determinant = 1.64 * 2.36;
  const double wanted = 3.0 + 4.0 - 2.0 * std::sqrt(product_trace + 2.0 * std::sqrt(determinant));
  CHECK(frechet_distance(c, d).value == doctest::Approx(wanted).epsilon(1e-13));
  // A point has no deviation.
  const Statistics point = gaussian({1.0, -2.0}, {0.0, 0.0, 0.0, 0.0});
  CHECK(frechet_distance(a, point).value == doctest::Approx(13.0).epsilon(1e-14));
  CHECK_THROWS_AS(frechet_distance(a, gaussian({0.0}, {1.0})), Error);
}

TEST_CASE("kernel distance: numpy's over all images, and of two points") {
  const Tensor a = cases[0].first(), b = cases[0].second();
  const Golden golden("metrics");
  const Kid all = kernel_distance(a, b, {.subsets = 2});
  CHECK(all.value == doctest::Approx(golden["full.kid"].item()).epsilon(1e-11));
  CHECK(all.subset_size == 400);
  CHECK(all.deviation < 1e-7);  // both subsets hold all images

  // Images that are all alike: k(a, a) + k(b, b) - 2 k(a, b).
  const Tensor ones = Tensor::full({5, 3}, 1.0), twos = Tensor::full({4, 3}, 2.0);
  CHECK(kernel_distance(ones, twos).value == doctest::Approx(8.0 + 125.0 - 2.0 * 27.0).epsilon(1e-13));
}

TEST_CASE("kernel distance: subsets") {
  const Tensor a = cases[0].first(), b = cases[0].second();
  const Kid subsets = kernel_distance(a, b, {.subsets = 50, .subset_size = 60});
  const Kid again = kernel_distance(a, b, {.subsets = 50, .subset_size = 60});
  const Kid other = kernel_distance(a, b, {.subsets = 50, .subset_size = 60, .seed = 2});
  const double all = kernel_distance(a, b, {.subsets = 1}).value;
  CHECK(subsets.value == again.value);
  CHECK(subsets.value != other.value);
  // Unbiased for any size: within four standard errors of the value over all images.
  CHECK(std::abs(subsets.value - all) < 4.0 * subsets.deviation / std::sqrt(50.0));
  CHECK(subsets.deviation > 0.0);
  CHECK_THROWS_AS(kernel_distance(a, b.narrow(1, 0, 4)), Error);
  CHECK_THROWS_AS(kernel_distance(a, b.narrow(0, 0, 1)), Error);
}

TEST_CASE("precision and recall: numpy's, and on a line") {
  const Golden golden("metrics");
  const std::vector<double> wanted = golden["full.precision_recall"].to_vector<double>();
  const PrecisionRecall found = precision_recall(cases[0].first(), cases[0].second());
  CHECK(found.precision == wanted[0]);
  CHECK(found.recall == wanted[1]);

  // Real 0 1 2 3 with radii 2 1 1 2 for k = 2; of the generated ones -2 and 5 lie on an edge, 6 and 7 outside.
  // Their radii: -2: 8 (to 6), 5: 2, 6: 1, 7: 2. All real ones lie within 8 of -2.
  const PrecisionRecall line = precision_recall(column({0, 1, 2, 3}), column({-2, 5, 6, 7}), 2);
  CHECK(line.precision == 0.5);
  CHECK(line.recall == 1.0);
  const PrecisionRecall apart = precision_recall(column({0, 1, 2, 3}), column({10, 11, 12}), 2);
  CHECK(apart.precision == 0.0);
  CHECK(apart.recall == 0.0);
  CHECK_THROWS_AS(precision_recall(column({0, 1, 2, 3}), column({1, 2, 3})), Error);
}

TEST_CASE("pixel components: numpy's variances, share and distance") {
  const Golden golden("metrics");
  for (const auto& [size, channels, n] : {std::array<std::int64_t, 3>{28, 1, 90}, {34, 3, 40}}) {
    const std::string prefix = "pixels." + std::to_string(size) + ".";
    const Images reference = images(size, channels, 0, n);
    std::int64_t done = 0;
    const PixelComponents components(reference, 6, [&](std::int64_t images_done) { done = images_done; });
    CHECK(done == n);
    CHECK(components.count() == 6);
    CHECK(components.explained() == doctest::Approx(golden[prefix + "explained"].item()).epsilon(1e-12));
    std::vector<double> variances = golden[prefix + "variances"].to_vector<double>();
    std::reverse(variances.begin(), variances.end());
    const Statistics own = statistics(components(as_floats(reference)));
    for (std::int64_t i = 0; i < 6; ++i) {
      const double wanted = variances[static_cast<std::size_t>(i)];
      const auto at = [&](const Statistics& s) {
        return s.covariance.narrow(0, i, 1).narrow(1, i, 1).item();
      };
      CHECK(at(components.reference()) == doctest::Approx(wanted).epsilon(1e-11));
      CHECK(at(own) == doctest::Approx(wanted).epsilon(1e-11));
    }
    const Statistics others = statistics(components(as_floats(images(size, channels, 1, 50))));
    const double found = frechet_distance(components.reference(), others).value;
    CHECK(found == doctest::Approx(golden[prefix + "frechet"].item()).epsilon(1e-10));
    CHECK(std::abs(frechet_distance(components.reference(), own).value) < 1e-10);
  }
}

TEST_CASE("pixel components: as many as there are numbers; other images are refused") {
  Images tiny{3, 1, 2, 1, {0, 255, 255, 0, 10, 20}, {}};
  const PixelComponents components(tiny);
  CHECK(components.count() == 2);
  CHECK(components.explained() == doctest::Approx(1.0));
  CHECK_THROWS_AS(components(Tensor::zeros({1, 2, 2, 1})), Error);
  CHECK_THROWS_AS(PixelComponents(Images{1, 1, 2, 1, {0, 1}, {}}), Error);
  CHECK_THROWS_AS(PixelComponents(Images{2, 1, 33, 1, std::vector<std::uint8_t>(66), {}}), Error);
}
