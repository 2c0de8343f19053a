/// GAN inversion: networks, objective and descent against PyTorch (golden/inversion.py), and weights of something else.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "autograd/checks/op_cases.h"
#include "autograd/grad.h"
#include "damc/inversion/descent.h"
#include "damc/inversion/energy.h"
#include "damc/inversion/sampler.h"
#include "damc/nets/denoiser.h"
#include "damc/nets/networks.h"
#include "tensor/backend.h"
#include "tensor/error.h"
#include "tensor/ops.h"
#include "tests/golden.h"
#include "tests/inversion_weights.h"

using namespace damc;

namespace {

const Golden& golden() {
  static const Golden values("inversion");
  return values;
}

Tensor input(const std::string& name, const Shape& shape, Dtype dtype, double bound = 1.0) {
  return golden_formula("inversion." + name, shape, bound).to(dtype);
}
Tensor wp(Dtype dtype) { return input("wp", {2, 48}, dtype, 1.7); }
Tensor target(Dtype dtype) { return input("target", {2, 16, 16, 3}, dtype); }

/// The worst error of what is compared, if the golden file has it.
class Worst {
 public:
  void compare(const std::string& name, const Tensor& got) {
    if (!golden().tensors().contains(name)) return;
    ++compared_;
    worst_ = std::max(worst_, golden().error(name, got));
  }
  auto observer(const std::string& network) {
    return
        [this, network](const std::string& part, const Tensor& out) { compare(network + "." + part, out); };
  }
  void check(int compared, double tolerance) const {
    CHECK(compared_ == compared);
    CHECK(worst_ < tolerance);
  }

 private:
  int compared_ = 0;
  double worst_ = 0.0;
};

constexpr Dtype kTypes[] = {Dtype::f64, Dtype::f32};
double tolerance(Dtype dtype) { return dtype == Dtype::f64 ? 1e-12 : 5e-6; }

template <class Net>
void refused(const StateDict& state, const std::string& words) {
  std::string message;
  try {
    const Net net(state);
  } catch (const UserError& error) {
    message = error.what();
  }
  CHECK_MESSAGE(message.find(words) != std::string::npos, "'", words, "' is not in: ", message);
}

}  // namespace

TEST_CASE("generator and mapping are PyTorch's") {
  for (const Dtype dtype : kTypes) {
    const StyleGan G(small_generator(), {}, dtype);
    CHECK(G.size() == 16);
    Worst worst;
    worst.compare("generator.image", G.synthesize(wp(dtype), worst.observer("generator")).value());
    const Tensor w = G.map(input("z", {3, 8}, dtype, 1.7));
    worst.compare("mapping.w", w);
    worst.compare("mapping.truncated", G.truncated(w));
    worst.check(9, tolerance(dtype));
  }
}

TEST_CASE("of each layer of the generator one image is kept for the gradient") {
  const StyleGan G(small_generator(), {}, Dtype::f64);
  const std::int64_t n = 16;
  const Variable w(input("many", {n, 48}, Dtype::f64), true);
  const Backend& cpu = backend(Device{});
  const auto before = static_cast<double>(cpu.bytes_in_use());
  const Variable image = G.forward(w);
  double one_each = 0.0;
  for (std::int64_t i = 0; i < G.sizes().layers(); ++i) {
    const std::int64_t size = StyleGanSizes::size(i), c = G.sizes().channels[static_cast<std::size_t>(i)];
    one_each += static_cast<double>(n * size * size * c) * 8.0;
  }
  const double kept = static_cast<double>(cpu.bytes_in_use()) - before;
  CHECK(kept > one_each);
  CHECK(kept < 1.5 * one_each);  // styles and statistics beside them
}

TEST_CASE("encoder and VGG-16 are PyTorch's") {
  for (const Dtype dtype : kTypes) {
    const Tensor images = input("images", {2, 16, 16, 3}, dtype);
    Worst worst;
    const InDomainEncoder encoder(small_encoder(), {}, dtype);
    CHECK(encoder.sizes().size() == 16);
    encoder.encode(images, worst.observer("encoder"));
    const Vgg vgg(small_vgg(), {}, dtype);
    vgg.features(images, worst.observer("vgg"));
    worst.check(8, tolerance(dtype));
  }
}

TEST_CASE("in tf32 networks round what they multiply") {
  StyleGan G(small_generator());
  InDomainEncoder encoder(small_encoder());
  Vgg vgg(small_vgg());
  const auto outputs = [&] {
    const Tensor x = target(Dtype::f32);
    return std::vector<Tensor>{G.forward(wp(Dtype::f32)).value(), encoder.forward(x).value(),
                               vgg.features(x).value()};
  };
  const std::vector<Tensor> exact = outputs();
  G.precision = encoder.precision = vgg.precision = MatmulPrecision::tf32;
  const std::vector<Tensor> rounded = outputs();
  for (std::size_t i = 0; i < exact.size(); ++i) {
    CAPTURE(i);
    const double error =
        std::sqrt(sum_squares(sub(rounded[i], exact[i])).item() / sum_squares(exact[i]).item());
    CHECK(error > 1e-5);
    CHECK(error < 5e-3);
  }
}

TEST_CASE("the in-domain objective and its gradient with respect to W+") {
  for (const Dtype dtype : kTypes) {
    const StyleGan G(small_generator(), {}, dtype);
    const Vgg vgg(small_vgg(), {}, dtype);
    const InDomainEncoder encoder(small_encoder(), {}, dtype);
    const InversionObjective objective(G, &vgg, &encoder, {1.5, 5e-5, 2.0});
    const Variable w(wp(dtype), true);
    const ObjectiveTerms terms = objective.terms(w, objective.observe(target(dtype)));
    Worst worst;
    worst.compare("objective.pixel", terms.pixel.value());
    worst.compare("objective.feature", terms.feature.value());
    worst.compare("objective.domain", terms.domain.value());
    worst.compare("objective.grad", grad(sum(objective.total(terms)), {w})[0]);
    worst.check(4, dtype == Dtype::f64 ? 1e-12 : 1e-3);  // in f32 another side of a kink may be taken
  }
}

TEST_CASE("the energy in the objective") {
  const StyleGan G(small_generator(), {}, Dtype::f64);
  const std::unique_ptr<EnergyNet> energy = read_energy(small_sampler(), 48, {}, Dtype::f64);
  const double factor = energy_factor(256);
  CHECK(factor == doctest::Approx(3.0 / 196608.0).epsilon(1e-12));
  const InversionObjective objective(G, nullptr, nullptr, {0.0, 0.0, 0.0, factor}, energy.get());
  const Variable w(wp(Dtype::f64), true);
  const ObjectiveTerms terms = objective.terms(w, objective.observe(target(Dtype::f64)));
  const Tensor wanted = add(energy->grad_z(w.value()), w.value());
  CHECK(relative_error(grad(sum(objective.total(terms)), {w})[0], mul(wanted, factor)) < 1e-12);
  StateDict state = small_sampler();
  state.erase("E.ebm.4.bias");
  CHECK_THROWS_AS(read_energy(state, 48), UserError);
  CHECK_THROWS_AS(read_energy(small_sampler(), 46), UserError);
  CHECK_THROWS_AS(read_energy(small_vgg(), 48), UserError);
}

TEST_CASE("five steps of Adam are PyTorch's, and every image is on its own") {
  const StyleGan G(small_generator(), {}, Dtype::f64);
  const Vgg vgg(small_vgg(), {}, Dtype::f64);
  const InversionObjective objective(G, &vgg, nullptr, {});
  Generator random(1);
  const Tensor start = wp(Dtype::f64), x = target(Dtype::f64);
  std::vector<Tensor> losses;
  const Descent descent =
      descend(objective, start, x, {5, 0.01}, random, [&](std::int64_t, const ObjectiveTerms& terms) {
        losses.push_back(objective.total(terms).value().reshape({1, 2}));
      });
  Worst worst;
  worst.compare("adam.losses", cat(losses, 0));
  worst.compare("adam.wp", descent.w_plus);
  worst.check(2, 1e-10);
  CHECK(descent.replaced == 0);
  CHECK(descent.returned == 0);
  CHECK(relative_error(start, wp(Dtype::f64)) == 0.0);
  const Descent second = descend(objective, start.narrow(0, 1, 1), x.narrow(0, 1, 1), {5, 0.01}, random);
  CHECK(relative_error(second.w_plus, descent.w_plus.narrow(0, 1, 1)) < 1e-12);
}

TEST_CASE("a W+ that is not a number begins anew, one that becomes so goes back") {
  const StyleGan G(small_generator(), {}, Dtype::f64);
  const InversionObjective pixels(G, nullptr, nullptr, {1.0, 0.0, 0.0});
  const Tensor start = wp(Dtype::f64), x = target(Dtype::f64);
  start.narrow(0, 0, 1).fill(std::numeric_limits<double>::quiet_NaN());
  Generator random(1), same(1);
  const Descent anew = descend(pixels, start, x, {0, 0.01}, random);
  CHECK(anew.replaced == 1);
  CHECK(relative_error(anew.w_plus.narrow(0, 0, 1), G.random_latents(2, same).narrow(0, 0, 1)) == 0.0);
  CHECK(relative_error(anew.w_plus.narrow(0, 1, 1), start.narrow(0, 1, 1)) == 0.0);

  // So large a rate makes the second W+ infinite, and the image of it not a number.
  const Descent lost = descend(pixels, wp(Dtype::f64), x, {2, 1e308}, random);
  CHECK(lost.returned == 2);
  CHECK(std::isfinite(sum(G.forward(lost.w_plus)).value().item()));
}

TEST_CASE("denoiser of 1024 throughout and energy of three hidden layers have the authors' names") {
  Generator random(1);
  Init init(random);
  const Denoiser denoiser(16, 16, DenoiserWidths{8, 8}, init);
  const StateDict p = denoiser.state_dict("p.");
  CHECK(p.at("p.in_layers.0._layer.0.weight").shape() == Shape{8, 32});
  CHECK(p.at("p.out_layers.1._skip.weight").shape() == Shape{8, 16});
  CHECK(p.at("p.out_layers.2._hyper_gate.weight").shape() == Shape{16, 16});
  const EnergyNet energy(16, 8, init, 3);
  const StateDict e = energy.state_dict();
  CHECK(e.at("ebm.4.weight").shape() == Shape{8, 8});
  CHECK(e.at("ebm.6.weight").shape() == Shape{1, 8});
  const Variable z(random.normal({3, 16}), true);
  CHECK(relative_error(energy.grad_z(z.value()), grad(sum(energy.forward(z)), {z})[0]) < 1e-6);
  CHECK(kInversionWidths.narrow == 1024);
}

TEST_CASE("the sampler of a checkpoint draws from its denoiser under its encoder's W+") {
  const InversionSampler sampler(small_sampler(), {}, Dtype::f64);
  const Tensor x = target(Dtype::f64);
  AncestralOptions options;
  options.steps = 12;
  Generator random(3), same(3);
  const Tensor got = sampler.sample(x, options, random);
  const Tensor condition = sampler.encoder().forward(x).value();
  const AncestralPlan plan(options, Dtype::f64, {});
  const auto plain = [&](std::int64_t step, const Tensor& z) {
    const Tensor logsnr = Tensor::full({2}, plan.logsnrs()[static_cast<std::size_t>(step)], Dtype::f64);
    return sub(sampler.denoiser().forward(z, logsnr, condition).value(), z);
  };
  const Tensor start = same.normal({2, 48}, Dtype::f64);
  CHECK(relative_error(got, reverse_process(start, plan, plain, &same)) < 1e-10);

  StateDict state = small_sampler();
  state.erase("Q.p.mid_layers.0._skip.bias");
  refused<InversionSampler>(state, "'Q.p.mid_layers.0._skip.bias'");
  state = small_sampler();
  state["Q.p.B"] = Tensor::zeros({46, 23});
  refused<InversionSampler>(state, "of 46 numbers, its encoder's of 48");
  refused<InversionSampler>(small_encoder(), "no tensor 'block0.conv.weight'");
}

TEST_CASE("weights of something else are refused by name") {
  StateDict state = small_generator();
  state.erase("synthesis.layer3.epilogue.bias");
  refused<StyleGan>(state, "have 3 layers");
  state = small_generator();
  state.erase("synthesis.layer3.conv.weight");
  refused<StyleGan>(state, "no tensor 'synthesis.layer3.conv.weight'");
  state = small_generator();
  state["synthesis.layer4.weight"] = Tensor::zeros({6, 8, 3, 3});
  refused<StyleGan>(
      state,
      "'synthesis.layer4.weight' of StyleGAN's generator has shape [6, 8, 3, 3], expected [3, 3, 8, 6]");
  state = small_generator();
  state["synthesis.lod"] = Tensor::full({}, 1.5);
  refused<StyleGan>(state, "lod");
  state["synthesis.lod"] = Tensor::full({}, 1.0, Dtype::i64);
  refused<StyleGan>(state, "lod");
  state["synthesis.lod"] = Tensor::zeros({1}, Dtype::i64);
  state["synthesis.output0.bias"] = Tensor::zeros({3});
  state["synthesis.layer2.blur.kernel"] = Tensor::full({8, 1, 3, 3}, 1.0 / 9.0);
  refused<StyleGan>(state, "'synthesis.layer2.blur.kernel' of the generator is not");
  state["synthesis.layer2.blur.kernel"] = Tensor::zeros({8, 1, 3, 3}, Dtype::i64);
  refused<StyleGan>(state, "'synthesis.layer2.blur.kernel' of the generator is not");
  state.erase("synthesis.layer2.blur.kernel");
  state["extra"] = Tensor::zeros({1});
  refused<StyleGan>(state, "'extra' is no tensor of StyleGAN's generator");
  refused<StyleGan>(small_vgg(), "have 0 layers");

  state = small_encoder();
  state["block2.bn1.bn.running_var"] = Tensor::zeros({4});
  refused<InDomainEncoder>(
      state, "'block2.bn1.bn.running_var' of the in-domain encoder has shape [4], expected [6]");
  refused<InDomainEncoder>(small_generator(), "no tensor 'block0.conv.weight'");
  state = small_vgg();
  state["layer24.weight"] = Tensor::zeros({8, 8, 3, 3});
  CHECK_NOTHROW(Vgg{state});
  state.erase("layer12.bias");
  refused<Vgg>(state, "no tensor 'layer12.bias'");
}
