/// The four networks of one experiment, made from its configuration.
#pragma once

#include <filesystem>
#include <optional>

#include "damc/chains/langevin.h"
#include "damc/config.h"
#include "damc/nets/networks.h"
#include "damc/sampler/amortizer.h"

namespace damc {

/// The sampler as a configuration describes it.
AmortizerOptions amortizer_options(const Config& config);

struct Model {
  /// Networks with fresh parameters from config.seed, on config.device, in config.precision. While a model in f32
  /// lives, the device multiplies all f32 operands in its way; throws Error where a living one has another.
  explicit Model(const Config& config, Dtype dtype = Dtype::f32);

  Config config;
  const Architecture& images;
  Device device;

 private:
  std::optional<HeldProducts> products_;  // f64 is always exact
  // Initialisation has a stream of its own, so that nothing else shifts it.
  Generator init_random_;
  Init init_;

 public:
  GeneratorNet G;
  EnergyNet E;
  Amortizer Q;        ///< the sampler
  Amortizer Q_dummy;  ///< the target sampler, an EMA of Q that starts the chains while training

  /// All parameters by the authors' names: "G.", "E.", "Q.", "Q_dummy.".
  StateDict state_dict() const;
  /// Throws UserError naming what is missing or has another shape. Without "Q_dummy." the target sampler
  /// becomes Q.
  void load_state_dict(const StateDict& state);

  // Experiments draw z in the same few ways everywhere; chains as the configuration says.
  /// Observations to posterior samples as evaluated: q(z given x), then noise-free posterior steps.
  Tensor infer(const Tensor& x, Generator& random) const { return refine(Q.sample(x, random), x); }
  /// The second half of that: noise-free posterior steps from z0.
  Tensor refine(const Tensor& z0, const Tensor& x) const;
  /// n latent vectors from the energy prior: Langevin chains from N(0, I).
  Tensor sample_lebm(std::int64_t n, Generator& random) const;
};

/// Streams of random numbers under one seed: each purpose has its own.
enum class Stream : std::uint64_t { init = 1, training = 2, evaluation = 3, sampling = 4, toy = 5 };

inline Generator make_generator(const Config& config, Stream stream, Device device) {
  return Generator(static_cast<std::uint64_t>(config.seed), static_cast<std::uint64_t>(stream), device);
}

}  // namespace damc
