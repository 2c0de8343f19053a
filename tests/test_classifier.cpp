/// The classifier of digits: its parts, and that it learns.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "damc/classifier.h"
#include "data/batches.h"
#include "tensor/error.h"

using namespace damc;

namespace {

/// Images of `n` digits: digit d is a bright row d of pixels, twice, over a little noise.
Images striped_digits(std::int64_t n) {
  Images images{n, 28, 28, 1, {}, {}};
  std::vector<std::uint8_t> pixels;
  std::uint32_t state = 3;
  for (std::int64_t i = 0; i < n; ++i) {
    const auto digit = static_cast<std::int32_t>(i * 7 % 10);
    images.labels.push_back(digit);
    for (std::int64_t p = 0; p < 784; ++p) {
      state = state * 1664525u + 1013904223u;
      const std::int64_t row = p / 28;
      pixels.push_back(static_cast<std::uint8_t>((state >> 26) + (row == 2 * digit + 3 ? 180 : 0)));
    }
  }
  images.pixels = std::move(pixels);
  return images;
}

}  // namespace

TEST_CASE("one_hot") {
  const std::vector<std::int32_t> labels{2, 0};
  CHECK(one_hot(labels, 3).to_vector<float>() == std::vector<float>{0, 0, 1, 1, 0, 0});
  CHECK_THROWS_WITH_AS(one_hot(labels, 2), "one_hot: label 2 of image 0, expected 0 to 1", Error);
}

TEST_CASE("names, shapes and features") {
  Generator random(1);
  Init init(random);
  const Classifier net(init);
  const StateDict state = net.state_dict();
  CHECK(state.at("body.0.weight").shape() == Shape{32, 1, 4, 4});
  CHECK(state.at("head.weight").shape() == Shape{10, 128});
  CHECK(state.size() == 8);
  const Tensor x = random.normal({3, 28, 28, 1});
  CHECK(net.features(x).shape() == Shape{3, 128});
  CHECK(net.forward(x).shape() == Shape{3, 10});
}

TEST_CASE("it learns, and an interrupted training goes on bit for bit") {
  Config config = preset_config(kClassifierPreset);
  const Images images = striped_digits(200);
  Generator random(2);
  Init init(random);
  Classifier net(init);
  std::vector<float> pixels(static_cast<std::size_t>(images.n * images.image_size()));
  to_float(images, 0, images.n, pixels);
  const Tensor x = Tensor::from(pixels, {images.n, 28, 28, 1});
  const Tensor target = one_hot(images.labels, Classifier::kClasses);

  ClassifierTraining training(net, config, {});
  const double before = accuracy(net, images, {});
  const double first = training.iterate(0, x, target)["loss_c"];
  CHECK(first == doctest::Approx(std::log(10.0)).epsilon(0.1));
  for (int k = 1; k < 15; ++k) training.iterate(k, x, target);
  const StateDict state = training.state_dict(), weights = net.state_dict();
  for (int k = 15; k < 20; ++k) training.iterate(k, x, target);
  CHECK_NOTHROW(training.check());
  CHECK(before < 0.5);
  CHECK(accuracy(net, images, {}) > 0.95);

  Classifier other(init);
  ClassifierTraining resumed(other, config, {});
  other.load_state_dict(weights);
  load_all(state, resumed);
  for (int k = 15; k < 20; ++k) resumed.iterate(k, x, target);
  const StateDict ended = other.state_dict();
  for (const auto& entry : net.state_dict()) {
    CAPTURE(entry.first);
    CHECK(entry.second.to_vector<float>() == ended.at(entry.first).to_vector<float>());
  }
}

TEST_CASE("a loss that is not finite stops it") {
  Generator random(2);
  Init init(random);
  Classifier net(init);
  ClassifierTraining training(net, preset_config(kClassifierPreset), {});
  training.iterate(0, Tensor::full({2, 28, 28, 1}, std::numeric_limits<double>::quiet_NaN()),
                   Tensor::full({2, 10}, 0.1));
  CHECK_THROWS_AS(training.check(), Error);
}

TEST_CASE("accuracy needs labels") {
  Generator random(2);
  Init init(random);
  const Classifier net(init);
  Images images = striped_digits(3);
  images.labels.clear();
  CHECK_THROWS_AS(accuracy(net, images, {}), Error);
}
