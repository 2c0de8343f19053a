/// The model of the time: what the counting device counts, against the formulas of tools/bench/work.h and
/// against what a device that computes is given.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>

#include "tensor/error.h"
#include "tensor/ops.h"
#include "tensor/watch/trace.h"
#include "tools/bench/floors.h"
#include "tools/bench/suites.h"

using namespace damc;

namespace {

/// The model on the counting device, of which only shapes are read; it lives no longer than the device.
Model shapes_of(Config config) {
  config.device = CountingDevice::device.str();
  return Model(config);
}

/// GFLOP by which the sampler is cheaper than `diffusion_steps` passes of the denoiser: a time is embedded once
/// for all images, an image's embedding is multiplied once for all times.
double saved_by_sampler(const Model& model, std::int64_t batch) {
  const auto n = static_cast<double>(batch), steps = static_cast<double>(model.config.diffusion_steps);
  const auto time = static_cast<double>(kTimeEmbedding), image = static_cast<double>(model.config.nemb);
  double macs = (n - 1.0) * steps * 2.0 * time * time;
  for (const auto& block : model.Q->denoiser().blocks()) {
    const auto out = static_cast<double>(block->layer.weight.value().size(0));
    macs += out * ((n - 1.0) * steps * time + n * (steps - 1.0) * image);
  }
  return 2e-9 * macs;
}

/// GFLOP by which chains are cheaper than forward and input gradient of the energy: its last layer is a row of
/// weights, and a chain needs neither the energy nor a product to spread that row.
double saved_by_chains(const Config& config, std::int64_t chains, std::int64_t steps) {
  return 2e-9 * 2.0 * static_cast<double>(config.ndf * chains * steps);
}

void check_counts(const std::vector<CountedPart>& counted, const std::vector<PartWork>& formula,
                  const std::map<std::string, double>& saved) {
  REQUIRE(counted.size() == formula.size());
  for (std::size_t i = 0; i < counted.size(); ++i) {
    const std::string& part = formula[i].part;
    CAPTURE(part);
    CHECK(counted[i].part == part);
    const auto cheaper = saved.find(part);
    CHECK(
        1e-9 * counted[i].work.flop ==
        doctest::Approx(formula[i].gflop - (cheaper == saved.end() ? 0.0 : cheaper->second)).epsilon(1e-12));
    CHECK(counted[i].work.launches > 0);
    CHECK(counted[i].work.bytes > 0.0);
  }
}

Config in_precision(const char* precision, Config config) {
  config.precision = parse_precision(precision);
  return config;
}

/// Bytes that bf16 saves in a generator update: each activation is two bytes shorter wherever a kernel reads or
/// writes it. Casts at both ends and a tanh of its own, in f32, come on top.
double saved_by_bf16(const Config& config, std::int64_t batch) {
  const std::vector<ConvLayer> layers = generator_layers(config, batch);
  double saved = 0.0;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    // A transposed convolution reads what the convolution of this geometry writes.
    const auto in = static_cast<double>(layers[i].geometry.out_shape().numel());
    const auto out = static_cast<double>(layers[i].geometry.in_shape().numel());
    const bool first = i == 0, last = i + 1 == layers.size();
    saved += 2.0 * (in + out) * (first ? 2 : 3);  // forward, weights' gradient, input's gradient
    saved += 2.0 * out;                           // the bias's gradient
    if (!last) saved += 2.0 * 3 * out;            // the activation's gradient: two in, one out
    if (first) saved -= 6.0 * in;                 // z cast
    // The sums cast to f32, their tanh, which reads them again for its gradient, and that gradient cast.
    if (last) saved -= (6.0 + 8.0 + 4.0 + 6.0) * out;
  }
  return saved;
}

Config tiny() {
  Config c = preset_config("mnist-quick");
  c.nz = 4;
  c.ngf = c.nif = 2;
  c.nemb = c.ndf = 8;
  c.width = 0.0625;
  c.diffusion_steps = 5;
  c.posterior_steps = c.prior_steps = c.test_posterior_steps = c.sample_prior_steps = 3;
  return c;
}

/// The CPU in the place of cuda:0, counting the kernels that it runs.
class ObservedDevice {
 public:
  std::int64_t take() { return std::exchange(kernels_, 0); }

 private:
  std::int64_t kernels_ = 0;
  BackendOverride override_{
      CountingDevice::device,
      std::make_unique<ObservedBackend>(backend({}), [this](const char*, const Tensor&, const auto& call) {
        ++kernels_;
        call();
      })};
};

}  // namespace

TEST_CASE("a kernel counts its multiply-adds and every operand once") {
  CountingDevice device;
  const auto zeros = [](const Shape& shape) {
    return Tensor::zeros(shape, Dtype::f32, CountingDevice::device);
  };
  const Tensor x = zeros({2, 3}), w = zeros({5, 3}), bias = zeros({5}), image = zeros({2, 8, 8, 3}),
               filter = zeros({4, 3, 3, 3});
  KernelWork work = device.take();
  CHECK(work.launches == 5);
  CHECK(work.flop == 0.0);
  CHECK(work.bytes == 4.0 * (6 + 15 + 5 + 384 + 108));

  const Unary activation{UnaryOp::leaky_relu, 0.2};
  linear(x, w, bias, {activation});
  work = device.take();
  CHECK(work.launches == 1);
  CHECK(work.flop == 2.0 * 2 * 5 * 3);
  CHECK(work.bytes == 4.0 * (6 + 15 + 5 + 10));

  conv2d(image, filter, {}, {1, 1});
  work = device.take();
  CHECK(work.flop == 2.0 * 2 * 8 * 8 * 4 * 27);
  CHECK(work.bytes == 4.0 * (384 + 108 + 512));

  add(x, zeros({3}));  // the row is read once, though every row of x needs it
  CHECK(device.take().bytes == 4.0 * (3 + 6 + 3 + 6));
  mul(x, x);
  CHECK(device.take().bytes == 4.0 * (6 + 6));
  CHECK(x.narrow(0, 0, 1).narrow(1, 0, 1).item() == 0.0);
}

TEST_CASE("what is counted is the formulas' work for every preset and part") {
  constexpr std::int64_t batch = 3;
  for (const std::string& preset : model_preset_names()) {
    CAPTURE(preset);
    const Config config = preset_config(preset);
    std::vector<PartWork> iteration, sampling;
    double sampler = 0.0;
    {
      const CountingDevice device;
      const Model model = shapes_of(config);
      iteration = iteration_work(model, batch);
      sampling = sampling_work(model, batch);
      sampler = saved_by_sampler(model, batch);
    }
    CHECK(sampler > 0.0);
    const std::int64_t prior_chains = config.prior_noise_starts ? 2 * batch : batch;
    const double posterior = saved_by_chains(config, batch, config.posterior_steps),
                 prior = saved_by_chains(config, prior_chains, config.prior_steps),
                 test = saved_by_chains(config, batch, config.test_posterior_steps),
                 lebm = saved_by_chains(config, batch, config.sample_prior_steps);
    check_counts(count_iteration(config, batch), iteration,
                 {{"ancestral_sampling", sampler},
                  {"posterior_chain", posterior},
                  {"prior_chain", prior},
                  {"total", sampler + posterior + prior}});
    check_counts(count_sampling(config, batch), sampling,
                 {{"damc_latents", sampler},
                  {"damc_prior", sampler},
                  {"lebm_prior", lebm},
                  {"damc_posterior", sampler + test},
                  {"lebm_posterior", lebm}});
  }
}

TEST_CASE("a step of GAN inversion: forward and back through StyleGAN and VGG-16 of the release's sizes") {
  // Multiply-adds of an image. StyleGAN: where the image doubles a 4x4 transposed filter of the smaller one, and a 3x3
  // filter; then the image's 1x1.
  const auto conv = [](double size, double in, double out, double taps = 9.0) {
    return size * size * in * out * taps;
  };
  double macs = conv(4, 512, 512);
  double channels = 512;
  for (const auto& [size, out] :
       {std::pair{8, 512}, {16, 512}, {32, 512}, {64, 256}, {128, 128}, {256, 64}}) {
    macs += conv(size / 2, channels, out, 16.0) + conv(size, out, out);
    channels = out;
  }
  macs += conv(256, 64, 3, 1.0);
  // VGG-16 to relu4_3.
  macs += conv(256, 3, 64) + conv(256, 64, 64) + conv(128, 64, 128) + conv(128, 128, 128);
  macs += conv(64, 128, 256) + 2.0 * conv(64, 256, 256) + conv(32, 256, 512) + 2.0 * conv(32, 512, 512);
  const Config config = preset_config("invert-ffhq");
  const std::vector<CountedPart> two = count_inversion(config, 2), four = count_inversion(config, 4);
  REQUIRE(two[1].part == "adam_step");
  // Blurs, styles and the energy have little of it.
  CHECK(two[1].work.flop == doctest::Approx(2.0 * 2.0 * 2.0 * macs).epsilon(0.02));
  for (std::size_t i = 0; i < two.size(); ++i) {
    CAPTURE(two[i].part);
    CHECK(four[i].work.flop ==
          doctest::Approx(2.0 * two[i].work.flop).epsilon(0.005));  // times are embedded once
    CHECK(four[i].work.launches == two[i].work.launches);
  }
  CHECK(two[2].work.flop == doctest::Approx(two[0].work.flop + 100.0 * two[1].work.flop).epsilon(0.02));
}

TEST_CASE("a device that computes is given as many kernels as the one that counts") {
  constexpr std::int64_t batch = 2;
  const char* precision = "fp32";
  SUBCASE("fp32") {}
  SUBCASE("bf16") { precision = "bf16"; }
  Config config = in_precision(precision, tiny());
  const std::vector<CountedPart> iteration = count_iteration(config, batch);
  const std::vector<CountedPart> sampling = count_sampling(config, batch);
  ObservedDevice device;
  config.device = CountingDevice::device.str();
  std::size_t part = 0;
  run_iteration(
      config, batch, [&] { device.take(); },
      [&](const char* name) {
        CAPTURE(name);
        CHECK(iteration[part++].work.launches == device.take());
      });
  CHECK(part + 1 == iteration.size());
  part = 0;
  visit_sampling(config, batch, [&](const PartWork& work, const std::function<void()>& sample) {
    CAPTURE(work.part);
    device.take();
    sample();
    CHECK(sampling[part++].work.launches == device.take());
  });
  CHECK(part == sampling.size());
}

TEST_CASE("bf16 moves fewer bytes for the same operations, tf32 as many as fp32") {
  constexpr std::int64_t batch = 3;
  const Config svhn = preset_config("svhn");
  const auto same_work = [](const KernelWork& a, const KernelWork& b) {
    return a.flop == b.flop && a.bytes == b.bytes && a.launches == b.launches;
  };
  const auto compare = [&](const auto& counting) {
    const std::vector<CountedPart> fp32 = counting(svhn, batch),
                                   tf32 = counting(in_precision("tf32", svhn), batch),
                                   bf16 = counting(in_precision("bf16", svhn), batch);
    for (std::size_t i = 0; i < fp32.size(); ++i) {
      const std::string& part = fp32[i].part;
      CAPTURE(part);
      CHECK(same_work(tf32[i].work, fp32[i].work));
      CHECK(bf16[i].work.flop == fp32[i].work.flop);
      if (part == "prior_chain" || part == "energy_update" || part == "damc_latents") {  // no convolutions
        CHECK(same_work(bf16[i].work, fp32[i].work));
      } else {
        CHECK(bf16[i].work.bytes < fp32[i].work.bytes);
      }
      if (part == "generator_update") {
        CHECK(fp32[i].work.bytes - bf16[i].work.bytes == saved_by_bf16(svhn, batch));
        CHECK(bf16[i].work.launches == fp32[i].work.launches + 4);  // three casts and the tanh
      }
    }
  };
  compare(count_iteration);
  compare(count_sampling);
}

TEST_CASE("floors are work over rate, and the largest has a name") {
  const Gpu gpu{"test", "Test", 1.0, 2.0, 4.0, 100.0};
  const KernelWork work{4e9, 1e8, 1000};
  const Floors fp32 = floors(work, gpu, "fp32"), bf16 = floors(work, gpu, "bf16");
  CHECK(fp32.compute == doctest::Approx(4e-3));
  CHECK(floors(work, gpu, "tf32").compute == doctest::Approx(2e-3));
  CHECK(bf16.compute == doctest::Approx(1e-3));
  CHECK(fp32.memory == doctest::Approx(1e-3));
  CHECK(fp32.eager == doctest::Approx(1000 * kLaunchSeconds));
  CHECK(fp32.graph == doctest::Approx(1000 * kNodeSeconds));
  CHECK(fp32.largest(0.0) == std::string("compute"));
  CHECK(fp32.largest(5e-3) == std::string("launches"));
  CHECK(floors({1e9, 4e8, 1}, gpu, "fp32").largest(1e-6) == std::string("memory"));
  CHECK_THROWS_AS(gpu.rate("fp8"), Error);
}

TEST_CASE("GPUs go by name, a wrong one is told the right ones") {
  for (const char* name : {"h200", "h100", "a100", "a6000"}) {
    const Gpu& gpu = find_gpu(name);
    CHECK(gpu.name == std::string(name));
    CHECK(gpu.fp32 < gpu.tf32);
    CHECK(gpu.tf32 < gpu.bf16);
  }
  CHECK_THROWS_WITH_AS(find_gpu("h300"), "unknown GPU 'h300'\nhint: known are h200, h100, a100, a6000",
                       UserError);
}
