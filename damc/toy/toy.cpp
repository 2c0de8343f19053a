#include "damc/toy/toy.h"

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
  return Amortizer(
      make_encoder(init),
      {.nz = 2, .nemb = kEmbedding, .width = options.width, .sampling = {.steps = options.diffusion_steps}},
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

double Toy::reconstruction_error(const Tensor& z, const Tensor& x) const {
  return sum_squares(sub(x, g_.forward(z).value())).item() / static_cast<double>(z.size(0));
}

Tensor Toy::exact_density(const DensityView& view) const {
  const Tensor z = pixel_centres(view).to(options_.device);
  const Tensor misfit = sum(square(sub(observation_, g_.forward(z).value())), 1);
  const Tensor U = add(mul(misfit, kPrecision), mul(sum(square(z), 1), 0.5));
  const Tensor density = exp(mul(U, -1.0));
  const double mass = sum(density).item() * view.pixel() * view.pixel();
  return mul(density, 1.0 / mass).reshape({view.size, view.size});
}

/// x = g(z) + 0.25 w
Tensor Toy::observe(const Tensor& z, Generator& random) const {
  return add(g_.forward(z).value(), mul(random.normal(z.shape()), kNoise));
}

Tensor Toy::posterior_chain(const Tensor& z, const Tensor& x, int steps, Generator& random) const {
  return langevin(Posterior(likelihood_, prior_, x), z, {steps, kStepSize}, &random);
}

}  // namespace damc
