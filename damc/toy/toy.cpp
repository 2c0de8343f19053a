#include "damc/toy/toy.h"

#include <algorithm>
#include <cmath>

#include "damc/chains/langevin.h"
#include "damc/model.h"
#include "tensor/error.h"

namespace damc {
namespace {

constexpr std::int64_t kEmbedding = 128;
constexpr double kNoise = 0.25;  // of the observations, sigma of the likelihood
constexpr double kPrecision = 1.0 / (2.0 * kNoise * kNoise);
constexpr double kStepSize = 0.1;
constexpr AmortizedSamplerOptions kFitting = {
    .updates = 6, .p_uncond = 0.1, .ema_every = 10, .ema_rho = 0.75};
constexpr double kRate = 2e-4;
constexpr LearnerOptions kLearning = {.rate = {.initial = kRate, .factor = 1.0, .every = 1, .least = kRate},
                                      .adam = {.weight_decay = 1e-2}};  // PyTorch's moments

Generator make_generator(const ToyOptions& options, Stream stream) {
  return Generator(options.seed, static_cast<std::uint64_t>(stream), options.device);
}

/// A multilayer perceptron 2-128-128-128-128 with ReLU between.
std::unique_ptr<Layer> make_encoder(Init& init) {
  auto encoder = std::make_unique<Sequential>();
  encoder->emplace<Linear>(2, kEmbedding, init);
  for (int i = 0; i < 3; ++i) {
    encoder->push_back(leaky_relu_layer(0.0));
    encoder->emplace<Linear>(kEmbedding, kEmbedding, init);
  }
  return encoder;
}

/// The sampler with fresh parameters; the same ones at each call.
Amortizer make_amortizer(const ToyOptions& options) {
  Generator random = make_generator(options, Stream::init);
  Init init(random);
  return Amortizer(make_encoder(init),
                   {.nz = 2,
                    .nemb = kEmbedding,
                    .widths = DenoiserWidths::scaled(options.width),
                    .sampling = {.steps = options.diffusion_steps}},
                   init);
}

}  // namespace

Toy::Toy(const ToyOptions& options)
    : options_(options),
      world_(make_generator(options, Stream::toy)),
      training_(make_generator(options, Stream::training)),
      evaluation_(make_generator(options, Stream::evaluation)),
      g_(world_),
      observation_(observe(sample_pinwheel(1, world_), world_)),
      latents_(sample_pinwheel(options.batch, world_)),
      likelihood_(g_, kNoise),
      Q_(make_amortizer(options)),
      Q_target_(make_amortizer(options)),
      watch_(options.device),
      sampler_(Q_, Q_target_, kFitting, kLearning, watch_) {}

double Toy::iterate() {
  sampler_.learner().begin(iterations_);
  watch_.begin(iterations_);
  const Tensor x = observe(latents_, training_);                                      // line 2
  const Tensor z0 = sampler_.sample(x, training_);                                    // line 3
  const Tensor z_plus = posterior_chain(z0, x, options_.posterior_steps, training_);  // line 5
  const double loss = sampler_.fit(x, z_plus, training_)[0].item();                   // line 7
  if (sampler_.follows_after(iterations_)) sampler_.follow();
  ENSURE(!watch_.read(), "iteration {}: the sampler diverges, its loss is {}", iterations_ + 1, loss);
  ++iterations_;
  return loss;
}

Tensor Toy::new_observations(std::int64_t n) { return observe(sample_pinwheel(n, evaluation_), evaluation_); }

Tensor Toy::sample(const Tensor& x) { return Q_.sample(x, evaluation_); }

Tensor Toy::long_run(const Tensor& x) {
  return posterior_chain(evaluation_.normal(x.shape()), x, options_.long_run_steps, evaluation_);
}

Tensor Toy::squared_errors(const Tensor& z, const Tensor& x) const {
  return sum(square(sub(x, g_.forward(z).value())), 1);
}

double Toy::reconstruction_error(const Tensor& z, const Tensor& x) const {
  return sum(squared_errors(z, x)).item() / static_cast<double>(z.size(0));
}

Tensor Toy::exact(const Tensor& x, const DensityView& view) {
  const Tensor centres = pixel_centres(view).to(options_.device), u = evaluation_.uniform({x.size(0), 3});
  const std::vector<double> z = centres.to_vector<double>(),
                            of_z = g_.forward(centres).value().to_vector<double>(),
                            observed = x.to_vector<double>(), uniform = u.to_vector<double>();
  std::vector<double> mass(z.size() / 2), draws;
  for (std::size_t i = 0; i < observed.size() / 2; ++i) {
    double total = 0.0;
    for (std::size_t j = 0; j < mass.size(); ++j) {
      const double dx = observed[2 * i] - of_z[2 * j], dy = observed[2 * i + 1] - of_z[2 * j + 1];
      const double prior = 0.5 * (z[2 * j] * z[2 * j] + z[2 * j + 1] * z[2 * j + 1]);
      mass[j] = total += std::exp(-kPrecision * (dx * dx + dy * dy) - prior);
    }
    const auto chosen = std::ranges::upper_bound(mass, total * uniform[3 * i]);
    const auto pixel = static_cast<std::size_t>(std::min(chosen, mass.end() - 1) - mass.begin());
    for (std::size_t c = 0; c < 2; ++c)
      draws.push_back(z[2 * pixel + c] + (uniform[3 * i + 1 + c] - 0.5) * view.pixel());
  }
  return Tensor::from(draws, x.shape()).to(Dtype::f32).to(options_.device);
}

/// x = g(z) + 0.25 w
Tensor Toy::observe(const Tensor& z, Generator& random) const {
  return add(g_.forward(z).value(), mul(random.normal(z.shape()), kNoise));
}

Tensor Toy::posterior_chain(const Tensor& z, const Tensor& x, int steps, Generator& random) const {
  return langevin(Posterior(likelihood_, prior_, x), z, {steps, kStepSize}, &random);
}

}  // namespace damc
