/// The memory that training is said to need, and the batches that fit into a given one.
#include "tools/training_memory.h"

#include <doctest/doctest.h>

#include "damc/model.h"
#include "tools/bench/work.h"

using namespace damc;

namespace {

Config with_batch(Config config, std::int64_t batch) {
  config.batch = batch;
  return config;
}

}  // namespace

TEST_CASE("training needs its weights, gradients and moments, and what an image adds") {
  const Config config = preset_config("mnist-quick");
  const Model model(config);
  const auto parameters = [](const Module& network) {
    return sizeof(float) * static_cast<std::size_t>(network.parameter_count());
  };
  const std::size_t learned = parameters(model.G) + parameters(*model.E) + parameters(*model.Q);
  const std::size_t one = training_memory(with_batch(config, 1));
  const std::size_t fixed = 3 * learned + parameters(*model.Q_target);
  CHECK(one > fixed);
  CHECK(one < 2 * fixed);

  // An image's share: at least what the generator's layers keep of it for their gradients.
  std::size_t kept = 0;
  for (const ConvLayer& layer : generator_layers(config, 1))
    kept += sizeof(float) * static_cast<std::size_t>(layer.geometry.in_shape().numel());
  const std::size_t per_image = (training_memory(with_batch(config, 128)) - one) / 127;
  CHECK(per_image > kept);
  CHECK(per_image < 10 * kept);
}

TEST_CASE("bf16 halves the share of an image, where activations are what there is") {
  Config config = preset_config("celebahq");
  const auto per_image = [&](const char* precision) {
    config.precision = parse_precision(precision);
    return static_cast<double>(training_memory(with_batch(config, 65)) -
                               training_memory(with_batch(config, 1)));
  };
  const double ratio = per_image("bf16") / per_image("fp32");
  CHECK(ratio > 0.35);
  CHECK(ratio < 0.65);
}

TEST_CASE("a batch in pieces takes little more than one of their size") {
  Config config = preset_config("svhn");
  const std::size_t whole = training_memory(with_batch(config, 128)),
                    piece = training_memory(with_batch(config, 32));
  config.batch_gpu = 32;
  const std::size_t pieces = training_memory(with_batch(config, 128));
  // Besides: all images twice, as one minibatch is loaded beside the other, and a second set of gradients.
  const std::size_t besides = 2 * sizeof(float) * 96 * 32 * 32 * 3 + sizeof(float) * 18'000'000;
  CHECK(pieces > piece);
  CHECK(pieces < piece + 2 * besides);
  CHECK(pieces < whole - (whole - piece) / 2);
}

TEST_CASE("the largest batch is the one that just fits") {
  for (const std::string& preset : model_preset_names()) {
    CAPTURE(preset);
    const Config config = preset_config(preset);
    const std::size_t room = training_memory(with_batch(config, 37));
    const std::int64_t fits = largest_batch(with_batch(config, 100), room);
    CHECK(fits > 30);  // memory is not quite monotone: blocks fit into each other better or worse
    CHECK(training_memory(with_batch(config, fits)) <= room);
    CHECK(training_memory(with_batch(config, fits + 1)) > room);
    CHECK(largest_batch(with_batch(config, 37), 100 * room) == 36);  // below the one asked for
    CHECK(largest_batch(with_batch(config, 100), training_memory(with_batch(config, 1)) - 1) == 0);
  }
  CHECK(largest_batch(with_batch(preset_config("svhn"), 1), std::size_t{1} << 40) == 0);
}
