/// Metrics: the area under precision-recall against values of scikit-learn, and what a model is scored by
/// where it can be worked out by hand.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "damc/batched.h"
#include "damc/metrics/auprc.h"
#include "damc/metrics/generated.h"
#include "damc/metrics/inference.h"
#include "tensor/error.h"
#include "tensor/ops.h"

using namespace damc;

namespace {

using Scores = std::vector<double>;
using Marks = std::vector<std::uint8_t>;

/// A model of 28x28x1 images small enough for a test.
Config tiny_config() {
  Config c = preset_config("mnist-quick");
  c.nz = 4;
  c.ngf = c.nif = 2;
  c.nemb = c.ndf = 8;
  c.width = 0.0625;
  c.diffusion_steps = 5;
  c.test_posterior_steps = 3;
  return c;
}

/// `n` images of noise; not a multiple of the evaluation's batch.
Images noise_images(std::int64_t n) {
  std::vector<std::uint8_t> pixels;
  std::uint32_t state = 1;
  for (std::int64_t i = 0; i < n * 28 * 28; ++i) {
    state = state * 1664525u + 1013904223u;
    pixels.push_back(static_cast<std::uint8_t>(state >> 24));
  }
  return {n, 28, 28, 1, pixels, {}};
}

/// A generator that makes the same grey, tanh(bias), of every z.
void make_constant(Model& model, double bias) {
  for (const Variable& parameter : model.G.parameters()) parameter.value().fill(0.0);
  model.G.parameters().back().value().fill(bias);
}

/// Mean of (x - grey)^2 over the pixels of images [first, last).
double distance_to_grey(const Images& images, std::int64_t first, std::int64_t last, double grey) {
  double total = 0.0;
  for (std::int64_t i = first * 784; i < last * 784; ++i) {
    const double x = images.pixels[static_cast<std::size_t>(i)] / 127.5 - 1.0;
    total += (x - grey) * (x - grey);
  }
  return total / static_cast<double>((last - first) * 784);
}

}  // namespace

TEST_CASE("auprc: values of scikit-learn's precision_recall_curve and auc") {
  CHECK(auprc(Scores{0.1, 0.9, 0.8, 0.7, 0.2}, Marks{0, 1, 1, 0, 1}) == doctest::Approx(0.9027777777777777));
  CHECK(auprc(Scores{0.1, 0.4, 0.35, 0.8}, Marks{0, 0, 1, 1}) == doctest::Approx(0.7916666666666666));
  CHECK(auprc(Scores{4, 3, 2, 1}, Marks{0, 0, 0, 1}) == doctest::Approx(0.125));
  CHECK(auprc(Scores{9, 1, -9}, Marks{0, 1, 0}) == doctest::Approx(0.25));
}

TEST_CASE("auprc: images of equal score pass the threshold together") {
  CHECK(auprc(Scores{3, 3, 2, 2, 2, 1, 1, 0}, Marks{1, 0, 1, 0, 0, 1, 0, 1}) ==
        doctest::Approx(0.5196428571428571));
  // All equal: one threshold, at the anomalies' share p; the trapezoid from precision 1 has area (1 + p) / 2.
  CHECK(auprc(Scores{5, 5, 5, 5, 5}, Marks{1, 0, 0, 1, 0}) == doctest::Approx(0.7));
  CHECK(auprc(Scores{1, 2, 3}, Marks{1, 1, 1}) == doctest::Approx(1.0));

  // 5000 images, of which 1246 are anomalies, at 100 distinct scores.
  Scores scores;
  Marks marks;
  std::uint64_t state = 12345;
  const auto draw = [&] {
    state = (state * 1103515245 + 12345) % (std::uint64_t{1} << 31);
    return state >> 16;
  };
  for (int i = 0; i < 5000; ++i) {
    scores.push_back(static_cast<double>(draw() % 100));
    marks.push_back(static_cast<double>(draw() % 200) < scores.back());
  }
  CHECK(auprc(scores, marks) == doctest::Approx(0.4093234725690064).epsilon(1e-12));
  CHECK(anomaly_share(marks) == doctest::Approx(1246.0 / 5000.0));
}

TEST_CASE("auprc refuses what has no area") {
  CHECK_THROWS_AS(auprc(Scores{1, 2}, Marks{0, 0}), Error);
  CHECK_THROWS_AS(auprc(Scores{1, 2}, Marks{0, 1, 1}), Error);
  CHECK_THROWS_AS(auprc(Scores{1, std::numeric_limits<double>::quiet_NaN()}, Marks{0, 1}), Error);
  CHECK_THROWS_AS(anomaly_share(Marks{}), Error);
}

TEST_CASE("a batch of images is scaled to [-1, 1]") {
  const Images images{2, 1, 2, 1, {0, 255, 51, 102}, {}};
  const Tensor x = to_tensor(images, 1, 1, Device{});
  CHECK(x.shape() == Shape{1, 1, 2, 1});
  CHECK(x.to_vector<double>()[0] == doctest::Approx(-0.6));
  CHECK(to_tensor(images, 0, 2, Device{}).to_vector<float>()[1] == 1.f);
  CHECK_THROWS_AS(to_tensor(images, 1, 2, Device{}), Error);
}

TEST_CASE("mse of a generator whose images are known") {
  Model model(tiny_config());
  const Images images = noise_images(evaluation_batch(model.images) + 7);
  for (const double bias : {0.0, 0.5}) {
    make_constant(model, bias);
    CHECK(mse(model, images) ==
          doctest::Approx(distance_to_grey(images, 0, images.n, std::tanh(bias))).epsilon(1e-5));
  }
  Images none = noise_images(0);
  CHECK_THROWS_AS(mse(model, none), Error);
  none.width = 27;
  CHECK_THROWS_AS(mse(model, none), Error);
}

TEST_CASE("inference goes through all images, the same way every time") {
  const Model model(tiny_config());
  const Images images = noise_images(evaluation_batch(model.images) + 7);
  const Inference inference = infer_all(model, images);
  CHECK(inference.squared_error.size() == static_cast<std::size_t>(images.n));
  CHECK(infer_all(model, images).squared_error == inference.squared_error);
  CHECK(infer_all(model, images).prior == inference.prior);

  // The first batch again, by the model's own functions.
  Generator random = make_generator(model.config, Stream::evaluation, model.device);
  const std::int64_t n = evaluation_batch(model.images);
  const Tensor x = to_tensor(images, 0, n, model.device), z = model.infer(x, random);
  const std::vector<double> energies = model.E->forward(z).value().to_vector<double>();
  const std::vector<double> zs = z.to_vector<double>(), xs = x.to_vector<double>();
  const std::vector<double> made = model.G.forward(z).value().to_vector<double>();
  const Scores scores = anomaly_scores(inference);
  for (std::size_t i = 0; i < static_cast<std::size_t>(n); i += 13) {
    double score = energies[i];
    for (std::size_t j = i * 784; j < (i + 1) * 784; ++j) score += (xs[j] - made[j]) * (xs[j] - made[j]);
    for (std::size_t j = i * 4; j < (i + 1) * 4; ++j) score += 0.5 * zs[j] * zs[j];
    CHECK(scores[i] == doctest::Approx(score).epsilon(1e-5));
  }
}

TEST_CASE(
    "generated images: reconstructions are those of the error, samples those of one draw after the other") {
  const Model model(tiny_config());
  const Images images = noise_images(131);
  std::vector<Tensor> taken;
  const Inference inference =
      infer_all(model, images, {}, [&](const Tensor& some) { taken.push_back(some.clone()); });
  std::int64_t done = 0;
  for_reconstructions(model, images, images.n, [&](const Tensor& made) {
    CHECK(made.to_vector<float>() == taken.at(done == 0 ? 0 : 1).to_vector<float>());
    const std::vector<double> errors =
        row_squares(sub(made, to_tensor(images, done, made.size(0), {}))).to_vector<double>();
    for (const double error : errors) {
      CHECK(error ==
            doctest::Approx(inference.squared_error[static_cast<std::size_t>(done++)]).epsilon(1e-5));
    }
  });
  CHECK(done == images.n);

  Generator random = make_generator(model.config, Stream::sampling, {});
  const Tensor first = model.decode(model.draw("damc", 128, random)),
               last = model.decode(model.draw("damc", 2, random));
  std::vector<Tensor> made;
  for_samples(model, "damc", 130, [&](const Tensor& some) { made.push_back(some.clone()); });
  REQUIRE(made.size() == 2);
  CHECK(made[0].to_vector<float>() == first.to_vector<float>());
  CHECK(made[1].to_vector<float>() == last.to_vector<float>());
}

TEST_CASE("the least possible area: of the published splits, and of the worst ranking by hand") {
  // Normal test images and anomalies for each held-out digit (the paper's split), and what no ranking falls below.
  struct Row {
    std::size_t normal, anomalies;
    double least;
  };
  for (const Row& row : {Row{12425, 7877, 0.226},
                         {12636, 6824, 0.200},
                         {12738, 6313, 0.188},
                         {12542, 7293, 0.212},
                         {12609, 6958, 0.204}}) {
    Marks marks(row.normal, 0);
    marks.insert(marks.end(), row.anomalies, 1);
    const double least = least_possible_auprc(marks);
    CHECK(least == doctest::Approx(row.least).epsilon(0.003));
    Scores worst(marks.size());
    for (std::size_t i = 0; i < worst.size(); ++i) worst[i] = -static_cast<double>(i);
    CHECK(auprc(worst, marks) == doctest::Approx(least).epsilon(1e-3));  // a trapezoid for a step
  }
  CHECK(least_possible_auprc(Marks{1, 0, 0, 1}) == doctest::Approx(0.5 * (1.0 / 3.0 + 2.0 / 4.0)));
  CHECK_THROWS_AS(least_possible_auprc(Marks{0, 0}), Error);
}
