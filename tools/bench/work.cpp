#include "tools/bench/work.h"

#include <numeric>

#include "tensor/error.h"

namespace damc {
namespace {

/// Multiply-adds of one pass over each layer of a network, in order.
using Layers = std::vector<double>;

double forward(const Layers& layers) { return std::accumulate(layers.begin(), layers.end(), 0.0); }

/// Forward, input and weight gradients of a network whose own input needs no gradient.
double update(const Layers& layers) { return 3.0 * forward(layers) - layers.front(); }

/// The linear layers among a module's parameters named `prefix...`: weights have two dimensions.
Layers linear_layers(const Module& module, const std::string& prefix, std::int64_t batch) {
  Layers layers;
  module.visit("", [&](const std::string& name, const Variable& parameter) {
    if (name.starts_with(prefix) && parameter.value().ndim() == 2) {
      layers.push_back(static_cast<double>(parameter.value().numel() * batch));
    }
  });
  return layers;
}

Layers macs_of(const std::vector<ConvLayer>& convolutions) {
  Layers layers;
  for (const ConvLayer& layer : convolutions) layers.push_back(static_cast<double>(layer.geometry.macs()));
  return layers;
}

/// The networks of a model as layers, on `batch` images.
struct Work {
  Work(const Model& model, std::int64_t batch)
      : config(model.config),
        generator(macs_of(generator_layers(config, batch))),
        encoder(macs_of(encoder_layers(config, batch))),
        energy(linear_layers(*model.E, "", batch)),
        denoiser(linear_layers(model.Q->denoiser(), "", batch)),
        prior_emb(linear_layers(*model.Q, "prior_emb.", batch)),
        projection(static_cast<double>(model.Q->denoiser().fourier_projection().value().numel() * batch)) {}

  double ancestral() const { return static_cast<double>(config.diffusion_steps) * forward(denoiser); }
  double prior_chain(std::int64_t steps) const { return static_cast<double>(steps) * 2.0 * forward(energy); }
  double posterior_chain(std::int64_t steps) const {
    return prior_chain(steps) + static_cast<double>(steps) * 2.0 * forward(generator);
  }
  double sampler_update() const {
    // Two inputs of the denoiser need no gradient: the times' embedding (its first layer) and z.
    const double one_loss = update(denoiser) - projection;
    return update(encoder) + update(prior_emb) + one_loss * (config.split_losses ? 2.0 : 1.0);
  }

  const Config& config;
  Layers generator, encoder, energy, denoiser, prior_emb;
  double projection;
};

PartWork part(const char* name, double macs) { return {name, 2e-9 * macs}; }

}  // namespace

std::vector<ConvLayer> generator_layers(const Config& config, std::int64_t batch) {
  const Architecture& images = architecture(config.architecture);
  std::vector<ConvLayer> layers;
  Shape x{batch, 1, 1, config.nz};
  for (const ConvSpec& spec : images.generator) {
    const std::int64_t out = spec.width == 0 ? images.channels : spec.width * config.ngf;
    const ConvGeometry s =
        conv_transpose_geometry(x, {x.back(), spec.kernel, spec.kernel, out}, {spec.stride, spec.padding});
    layers.push_back({fmt::format("G.gen.{}", 2 * layers.size()), true, s});
    x = s.in_shape();
  }
  return layers;
}

std::vector<ConvLayer> encoder_layers(const Config& config, std::int64_t batch) {
  const Architecture& images = architecture(config.architecture);
  std::vector<ConvLayer> layers;
  Shape x{batch, images.size, images.size, images.channels};
  for (const ConvSpec& spec : images.encoder) {
    const std::int64_t out = spec.width == 0 ? config.nemb : spec.width * config.nif;
    const ConvGeometry s =
        conv_geometry(x, {out, spec.kernel, spec.kernel, x.back()}, {spec.stride, spec.padding});
    layers.push_back({fmt::format("Q.encoder.net.{}", 3 * layers.size()), false, s});
    x = s.out_shape();
  }
  return layers;
}

std::vector<PartWork> iteration_work(const Model& model, std::int64_t batch) {
  const Work work(model, batch);
  const Config& c = model.config;
  const double prior_starts = c.prior_noise_starts ? 2.0 : 1.0;
  std::vector<PartWork> parts = {
      part("ancestral_sampling", forward(work.encoder) + work.ancestral()),
      part("posterior_chain", work.posterior_chain(c.posterior_steps)),
      part("prior_chain", work.prior_chain(c.prior_steps) * prior_starts),
      part("sampler_updates", work.sampler_update() * static_cast<double>(c.q_updates)),
      part("generator_update", update(work.generator)),
      part("energy_update", update(work.energy) * (1.0 + prior_starts)),
  };
  PartWork total{"total", 0.0};
  for (const PartWork& one : parts) total.gflop += one.gflop;
  parts.push_back(total);
  return parts;
}

std::vector<PartWork> sampling_work(const Model& model, std::int64_t batch) {
  const Work work(model, batch);
  const Config& c = model.config;
  const double decode = forward(work.generator);
  return {
      part("damc_latents", work.ancestral()),
      part("damc_prior", forward(work.prior_emb) + work.ancestral() + decode),
      part("lebm_prior", work.prior_chain(c.sample_prior_steps) + decode),
      part("damc_posterior",
           forward(work.encoder) + work.ancestral() + work.posterior_chain(c.test_posterior_steps) + decode),
      part("lebm_posterior", work.posterior_chain(c.sample_prior_steps) + decode),
  };
}

}  // namespace damc
