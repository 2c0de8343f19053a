/// GAN inversion as it is learned: networks that learn are the frozen ones, the small autoencoder, the sampler and the
/// energy beside a frozen generator.
#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "autograd/checks/op_cases.h"
#include "autograd/grad.h"
#include "damc/inversion/autoencoder.h"
#include "damc/inversion/sampler.h"
#include "damc/inversion/training.h"
#include "damc/metrics/digest.h"
#include "tensor/error.h"
#include "tensor/io/safetensors.h"
#include "tensor/ops.h"
#include "tests/golden.h"

using namespace damc;

namespace {

constexpr std::int64_t kSize = 8, kLatents = 32;  // 4 layers of 8

StateDict fresh_generator(std::uint64_t seed = 1) {
  Generator random(seed);
  return StyleGan::initial(StyleGanSizes::small(kSize, kLatents, 3), random);
}
StateDict fresh_encoder(std::uint64_t seed = 2) {
  Generator random(seed);
  return InDomainEncoder::initial(EncoderSizes::small(kSize, kLatents, 3), random);
}

InversionNetworks fresh_networks() {
  InversionNetworks nets;
  nets.generator = std::make_unique<StyleGan>(fresh_generator());
  nets.encoder = std::make_unique<InDomainEncoder>(fresh_encoder());
  return nets;
}

Config config_of(const std::string& preset, const std::string& method = "damc") {
  ConfigBuilder builder(preset);
  for (const auto& [key, value] : std::map<std::string, std::string>{{"method", method},
                                                                     {"nz", "32"},
                                                                     {"nemb", "32"},
                                                                     {"ngf", "3"},
                                                                     {"nif", "3"},
                                                                     {"ndf", "8"},
                                                                     {"denoiser_width", "16"},
                                                                     {"diffusion_steps", "5"},
                                                                     {"prior_steps", "4"},
                                                                     {"posterior_steps", "6"},
                                                                     {"phase_iterations", "2"},
                                                                     {"lr_w", "0.05"}})
    builder.set(key, value);
  return builder.finish();
}

Tensor images(std::int64_t n = 4) {
  return golden_formula("training.images", {n, kSize, kSize, 3}).to(Dtype::f32);
}

bool same(const StateDict& a, const StateDict& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [name, value] : a) {
    const auto numbers = [](const Tensor& t) {
      if (t.dtype() != Dtype::i64) return t.to_vector<double>();
      const std::vector<std::int64_t> whole = t.to_vector<std::int64_t>();
      return std::vector<double>(whole.begin(), whole.end());
    };
    if (!b.contains(name) || numbers(b.at(name)) != numbers(value)) return false;
  }
  return true;
}

StateDict all_of(const Training& training) {
  StateDict all = training.weights();
  all.merge(training.state_dict());
  return all;
}

/// A run of six iterations ends with the same bits when another object goes on after three.
template <class Make>
void goes_on_exactly(const Make& make) {
  const auto whole = make(), begun = make(), resumed = make();
  for (std::int64_t k = 0; k < 6; ++k) whole->iterate(k, images(), {});
  for (std::int64_t k = 0; k < 3; ++k) begun->iterate(k, images(), {});
  resumed->load_state_dict(all_of(*begun));
  for (std::int64_t k = 3; k < 6; ++k) resumed->iterate(k, images(), {});
  CHECK(same(all_of(*resumed), all_of(*whole)));
  StateDict state = all_of(*begun);
  state.erase("noise.position");
  CHECK_THROWS_AS(resumed->load_state_dict(state), UserError);
  CHECK(same(all_of(*resumed), all_of(*whole)));  // as before, all of it
}

/// The derivative of loss() along a direction of one parameter, by autograd and by differences.
template <class Net, class Loss>
void derivative_is_right(const Net& net, const std::string& name, const Loss& loss) {
  CAPTURE(name);
  Variable chosen;
  net.visit("", [&](const std::string& at, const Variable& parameter) {
    if (at == name) chosen = parameter;
  });
  REQUIRE(chosen.requires_grad());
  const Tensor direction = golden_formula("direction." + name, chosen.shape()).to(Dtype::f64);
  const double by_autograd = sum(mul(grad(loss(), {chosen})[0], direction)).item();
  constexpr double step = 1e-5;
  const Tensor before = chosen.value().clone();
  const auto moved = [&](double by) {
    chosen.value().copy_from(add(before, mul(direction, by)));
    return loss().value().item();
  };
  const double by_differences = (moved(step) - moved(-step)) / (2 * step);
  chosen.value().copy_from(before);
  CHECK(by_autograd == doctest::Approx(by_differences).epsilon(1e-6));
}

}  // namespace

TEST_CASE("small sizes have the release's layers") {
  const StyleGanSizes twin = StyleGanSizes::small(32, 512, 16);
  CHECK(twin.channels == std::vector<std::int64_t>{64, 64, 64, 64, 32, 32, 16, 16});
  CHECK(twin.latent == 64);
  CHECK(twin.latents() == 512);
  const EncoderSizes encoder = EncoderSizes::small(32, 512, 16);
  CHECK(encoder.channels == std::vector<std::int64_t>{16, 32, 64, 64});
  CHECK(encoder.size() == 32);
  CHECK_THROWS_AS(StyleGanSizes::small(28, 512, 16), Error);
  CHECK_THROWS_AS(StyleGanSizes::small(32, 510, 16), Error);
  CHECK_THROWS_AS(EncoderSizes::small(4, 512, 16), Error);
  const StyleGanSizes read = StyleGan::sizes_of(fresh_generator());
  CHECK(read.channels == std::vector<std::int64_t>{6, 6, 3, 3});
  CHECK(read.mapping == 1);
}

TEST_CASE("networks that learn compute what the frozen ones do, and have the release's tensors") {
  StateDict weights = fresh_generator();
  for (auto& [name, value] : weights) {  // biases and noise that are not zero
    if (name.ends_with("bias") || name.ends_with("apply_noise.weight"))
      value = golden_formula(name, value.shape(), 0.3);
  }
  const Tensor w = golden_formula("training.w", {2, kLatents}, 1.5).to(Dtype::f64);
  const StyleGan frozen(weights, {}, Dtype::f64);
  const auto G = StyleGan::learning(weights, {}, Dtype::f64);
  CHECK(relative_error(G->forward(w).value(), frozen.forward(w).value()) < 1e-13);
  CHECK(same(G->state_dict(), weights));
  CHECK(frozen.parameters().empty());
  Generator random(1), again(1);
  CHECK(relative_error(G->random_latents(2, random), frozen.random_latents(2, again)) < 1e-13);

  const auto E = InDomainEncoder::learning(fresh_encoder(), {}, Dtype::f64);
  const InDomainEncoder still(fresh_encoder(), {}, Dtype::f64);
  const Tensor x = images().to(Dtype::f64);
  CHECK(relative_error(E->forward(x).value(), still.forward(x).value()) == 0.0);
  CHECK(same(E->state_dict(), fresh_encoder()));
  CHECK(still.parameters().empty());
  for (const auto& [name, value] : E->state_dict()) CHECK(value.numel() > 0);
  double spread = sum_squares(still.forward(x).value()).item() / static_cast<double>(4 * kLatents);
  CHECK(spread > 0.1);  // of order 1, the scale that the generator's styles take
  CHECK(spread < 10.0);

  StateDict fused = weights;
  fused.erase("synthesis.layer2.conv.weight");
  fused["synthesis.layer2.weight"] = Tensor::zeros({3, 3, 6, 3});
  CHECK_NOTHROW(StyleGan{fused});
  CHECK_THROWS_AS(StyleGan::learning(fused), Error);
}

TEST_CASE("gradients of the networks' parameters") {
  const auto G = StyleGan::learning(fresh_generator(), {}, Dtype::f64);
  const Tensor w = golden_formula("training.w", {2, kLatents}, 1.5).to(Dtype::f64);
  const auto brightness = [&] { return sum(square(G->forward(w) - 0.3)); };
  for (const char* name :
       {"synthesis.layer0.const", "synthesis.layer1.conv.weight", "synthesis.layer2.conv.weight",
        "synthesis.layer2.epilogue.apply_noise.weight", "synthesis.layer3.epilogue.bias",
        "synthesis.layer1.epilogue.style_mod.dense.fc.weight", "synthesis.output1.conv.weight"})
    derivative_is_right(*G, name, brightness);
  const auto E = InDomainEncoder::learning(fresh_encoder(), {}, Dtype::f64);
  const Tensor x = images().to(Dtype::f64);
  const auto length = [&] { return sum(square(E->forward(x))); };
  for (const char* name : {"block0.conv.weight", "block1.conv.weight", "block1.wscale2.bias",
                           "block1.bn1.bn.bias", "block2.fc.weight", "block2.bn.bn.bias"})
    derivative_is_right(*E, name, length);
}

TEST_CASE("the mean W+ follows") {
  const auto G = StyleGan::learning(fresh_generator());
  const Tensor w = golden_formula("training.w", {5, kLatents}, 1.5).to(Dtype::f32);
  G->follow_mean(w, 0.25);
  const Tensor expected = mul(mean(w.reshape({-1, 8}), 0), 0.25);
  CHECK(relative_error(G->state_dict().at("truncation.w_avg"), expected) < 1e-6);
  const Tensor zero = Tensor::zeros({1, kLatents});
  CHECK(relative_error(G->truncated(zero),
                       mul(cat(std::vector<Tensor>(4, expected), 0), 0.3).reshape({1, -1})) < 1e-6);
}

TEST_CASE("the autoencoder learns to reconstruct, and writes what inversion reads") {
  const Config c = config_of("invert-mini-networks");
  AutoencoderTraining training(c, kSize, {});
  const Tensor x = images(8);
  double first = 0.0, last = 0.0;
  for (std::int64_t k = 0; k < 60; ++k) {
    const Stats stats = training.iterate(k, x, {});
    if (k == 0) first = stats["loss_g"];
    last = stats["loss_g"];
  }
  training.check();
  CHECK(last < 0.7 * first);
  const auto folder = std::filesystem::temp_directory_path() / "damc_test_autoencoder";
  std::filesystem::create_directories(folder);
  training.write_files(folder);
  const InversionNetworks nets = read_inversion_networks(
      {(folder / "generator.safetensors").string(), (folder / "encoder.safetensors").string(), ""}, {}, true);
  const Tensor w = nets.encoder->forward(x).value();
  CHECK(relative_error(w, training.encoder().forward(x).value()) < 1e-6);
  CHECK(relative_error(nets.generator->forward(w).value(), training.generator().forward(w).value()) < 1e-5);
  CHECK(nets.fingerprint() == "encoder " + sha256(training.encoder().state_dict()) + ", generator " +
                                  sha256(training.generator().state_dict()));
  std::filesystem::remove_all(folder);
  goes_on_exactly([&] { return std::make_unique<AutoencoderTraining>(c, kSize, Device{}); });
}

TEST_CASE("a warm-up on the encoder's W+, then Algorithm 1 beside a frozen generator") {
  const Config c = config_of("invert-mini");
  InversionTraining training(c, fresh_networks(), {});
  const StateDict fresh = training.weights();
  Stats stats = training.iterate(0, images(), {});
  CHECK(!stats.contains("posterior_start"));
  CHECK(!stats.contains("energy_plus"));
  CHECK(relative_error(training.weights().at("E.ebm.0.weight"), fresh.at("E.ebm.0.weight")) == 0.0);
  stats = training.iterate(1, images(), {});
  const StateDict warm = training.weights();  // the warm-up ends: the target sampler is the sampler
  CHECK(relative_error(warm.at("Q_dummy.p.in_layers.0._layer.0.weight"),
                       warm.at("Q.p.in_layers.0._layer.0.weight")) == 0.0);
  CHECK(relative_error(warm.at("Q.p.B"), fresh.at("Q.p.B")) > 0.0);
  stats = training.iterate(2, images(), {});
  training.check();
  CHECK(stats["posterior_end"] < stats["posterior_start"]);
  CHECK(stats.contains("energy_minus"));
  CHECK(relative_error(training.weights().at("E.ebm.0.weight"), warm.at("E.ebm.0.weight")) > 0.0);
  for (const auto& entry : training.weights())  // no weight of a frozen network
    CHECK_MESSAGE((entry.first.starts_with("E.ebm.") || entry.first.starts_with("Q")), entry.first);
  CHECK(training.weights().at("Q.p.in_layers.0._layer.0.weight").shape() == Shape{16, 64});
  goes_on_exactly([&] { return std::make_unique<InversionTraining>(c, fresh_networks(), Device{}); });
}

TEST_CASE("the warm-up teaches the sampler the encoder's W+ of each image") {
  Config c = config_of("invert-mini", "damc-g");
  c.phase_iterations = 1000;
  c.denoiser_width = 64;
  c.lr_q = 3e-3;
  c.diffusion_steps = 20;
  c.p_uncond = 0.0;
  InversionTraining training(c, fresh_networks(), {});
  const InDomainEncoder encoder(fresh_encoder());
  const Tensor x = images(16), condition = encoder.forward(x).value();
  for (std::int64_t k = 0; k < 150; ++k) training.iterate(k, x, {});
  const InversionSampler sampler(training.weights(), {}, Dtype::f32, &encoder);
  AncestralOptions options;
  options.steps = 20;
  Generator random(1);
  const double rest = sum_squares(sub(sampler.sample(x, options, random), condition)).item();
  const double spread = sum_squares(sub(condition, mean(condition, 0, true))).item();
  CHECK(rest < 0.5 * spread);  // of W+ that have nothing to do with the images: twice the spread
}

TEST_CASE("in-domain inversion gives the warm-up other W+, and draws no noise for them") {
  Config c = config_of("invert-mini", "lebm");
  c.warmup_steps = 5;
  InversionTraining in_domain(c, fresh_networks(), {});
  c.warmup_steps = 0;
  InversionTraining by_encoder(c, fresh_networks(), {});
  const Stats a = in_domain.iterate(0, images(), {}), b = by_encoder.iterate(0, images(), {});
  CHECK(a["energy_plus"] != b["energy_plus"]);
  CHECK(a["energy_minus"] == b["energy_minus"]);
}

TEST_CASE("methods have the parts that they learn") {
  const InversionTraining sampler(config_of("invert-mini", "damc-g"), fresh_networks(), {});
  const InversionTraining energy(config_of("invert-mini", "lebm"), fresh_networks(), {});
  for (const auto& entry : sampler.weights()) CHECK_MESSAGE(entry.first.starts_with("Q"), entry.first);
  for (const auto& entry : energy.weights()) CHECK_MESSAGE(entry.first.starts_with("E.ebm."), entry.first);
  const auto refused = [](const Config& c, InversionNetworks nets, const std::string& words) {
    std::string message;
    try {
      const InversionTraining training(c, std::move(nets), {});
    } catch (const UserError& error) {
      message = error.what();
    }
    CHECK_MESSAGE(message.find(words) != std::string::npos, message);
  };
  refused(config_of("invert-mini", "vae"), fresh_networks(), "method vae with GAN inversion");
  Config c = config_of("invert-mini");
  c.nz = 30;
  refused(c, fresh_networks(), "nz = 30, nemb = 32 where W+ has 32 numbers, 4 layers of 8");
  CHECK_THROWS_AS(require_training_files({}), UserError);
  CHECK_THROWS_AS(require_training_files({"G.pth", "", ""}), UserError);
  CHECK_NOTHROW(require_training_files({"G.pth", "E.pth", ""}));
}

TEST_CASE("an evaluation draws the same each time") {
  const InversionTraining training(config_of("invert-mini"), fresh_networks(), {});
  Images some{3, kSize, kSize, 3, {}, {}};
  some.pixels = std::vector<std::uint8_t>(static_cast<std::size_t>(some.n * some.image_size()), 100);
  const double error = training.evaluate(some);
  CHECK(error > 0.0);
  CHECK(error == training.evaluate(some));
}

TEST_CASE("images in a frame") {
  Images gray{2, 2, 1, 1, {}, {3, 4}};
  gray.pixels = std::vector<std::uint8_t>{10, 20, 30, 40};
  const Images out = framed(gray, 4, 3);
  CHECK(out.labels == gray.labels);
  for (std::int64_t i = 0; i < 2; ++i) {
    std::vector<std::uint8_t> expected(48, 0);
    for (std::size_t c = 0; c < 3; ++c) {
      expected[(1 * 4 + 1) * 3 + c] = static_cast<std::uint8_t>(20 * i + 10);
      expected[(2 * 4 + 1) * 3 + c] = static_cast<std::uint8_t>(20 * i + 20);
    }
    const auto image = out.image(i);
    CHECK(std::vector<std::uint8_t>(image.begin(), image.end()) == expected);
  }
  CHECK(framed(out, 4, 3).pixels.data() == out.pixels.data());
  CHECK_THROWS_AS(framed(out, 2, 3), UserError);
  CHECK_THROWS_AS(framed(out, 8, 1), UserError);
}
