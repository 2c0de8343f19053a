/// The networks of one experiment, made from its configuration, and the distributions they stand for.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "damc/chains/likelihood.h"
#include "damc/chains/mixture.h"
#include "damc/config.h"
#include "damc/methods/encoding.h"
#include "damc/nets/critics.h"
#include "damc/sampler/amortizer.h"

namespace damc {

/// The widths of the sampler's denoiser.
DenoiserWidths denoiser_widths(const Config& config);
/// The sampler as a configuration describes it.
AmortizerOptions amortizer_options(const Config& config);

/// A VAE of the latent vectors that another one encodes images to.
struct SecondStage {
  SecondStage(std::int64_t nz, std::int64_t hidden, Init& init);
  /// Latent vectors of the first stage from those of this one, u [N, nz] ~ N(0, I); the decoder's noise is part of them.
  Tensor decode(const Tensor& u, Generator& random) const;

  std::unique_ptr<Layer> encoder, decoder;
  Likelihood likelihood;
  NoiseScale noise;
};

struct Model {
  /// Networks with fresh parameters from config.seed, on config.device, in config.precision.
  explicit Model(const Config& config, Dtype dtype = Dtype::f32);

  Config config;
  const Architecture& images;
  Device device;

 private:
  // Initialisation has a stream of its own, so that nothing else shifts it.
  Generator init_random_;
  Init init_;
  const std::unique_ptr<Layer> generator_;

  void make_prior(PriorKind kind);
  void make_critic(CriticKind kind);

 public:
  Layer& G;                    ///< of one latent layer or, with config.layers, of five
  std::optional<EnergyNet> E;  ///< of the methods that learn it by maximum likelihood
  std::vector<std::unique_ptr<EnergyNet>>
      ratios;                         ///< energies of the methods that learn them as density ratios
  std::optional<Amortizer> Q;         ///< the sampler; none: the method has none
  std::optional<Amortizer> Q_target;  ///< an EMA of Q that starts the chains while training, beside every Q
  std::unique_ptr<Layer> V;           ///< encoder (methods/encoding.h); none: z is found by chains
  std::optional<NoiseScale> noise;    ///< of p(x given z), where it is learned
  std::optional<SecondStage> second;  ///< of the method that has one
  std::unique_ptr<DataEnergy> image_energy;  ///< of the method that has one
  std::unique_ptr<PairCritic> critic;        ///< of pairs of image and z, of the methods that have one
  std::unique_ptr<Prior> prior;              ///< p(z)
  MixturePrior* mixture = nullptr;           ///< the prior, of the method whose prior is one
  Likelihood likelihood;                     ///< p(x given z)

  /// What there is of these, by the prefixes of parameters' names; the authors' are "G.", "E.", "Q.", "Q_dummy." (the target
  /// sampler).
  std::vector<std::pair<std::string, const Module*>> networks() const;
  /// Without the target sampler.
  std::int64_t parameter_count() const;
  /// All parameters by their names.
  StateDict state_dict() const;
  /// Throws UserError naming what is missing or has another shape. Without "Q_dummy." the target sampler
  /// becomes Q. Changes nothing when it throws.
  void load_state_dict(const StateDict& state) { load_all(state, *this); }
  /// The first half of that.
  void find_state(Loading& loading);

  /// Whether z of an image can be found.
  bool infers() const { return !image_energy; }

  // Experiments draw z in the same few ways everywhere; chains as the configuration says.
  /// Observations to posterior samples as evaluated: a start(), then noise-free posterior steps.
  Tensor infer(const Tensor& x, Generator& random) const { return refine(start(x, random), x); }
  /// The first half of that: q(z given x) of the sampler, without one the encoder's mean, or N(0, I) with neither, or where
  /// config.test_start says noise. Throws Error for a method that finds no z.
  Tensor start(const Tensor& x, Generator& random) const;
  /// The second half: noise-free posterior steps from z0.
  Tensor refine(const Tensor& z0, const Tensor& x) const;
  /// x of z [N, nz], [N, H, W, C] in [-1, 1].
  Tensor decode(const Tensor& z) const { return G.forward(z).value(); }

  /// What latent vectors are drawn from without an observation, of source_names() what the method has.
  std::vector<std::string> sources() const;
  /// Whether draw() knows the source: those, and "gaussian" for every model.
  bool has_source(const std::string& source) const;
  /// n latent vectors [n, nz]. Throws Error for a source that the method does not have.
  Tensor draw(const std::string& source, std::int64_t n, Generator& random) const;
};

/// "damc" (the sampler's q(z)), "lebm" (Langevin chains on the energy prior from N(0, I)), "resampling" (the energy prior
/// by importance resampling), "mixture", "second-stage" (a VAE's latent vectors) and "gaussian" (N(0, I)).
const std::vector<std::string>& source_names();

/// Streams of random numbers under one seed: each purpose has its own.
enum class Stream : std::uint64_t {
  init = 1,
  training = 2,
  evaluation = 3,
  sampling = 4,
  toy = 5,
  pool = 6,
  diagnosis = 7,
  prior = 8
};

inline Generator make_generator(const Config& config, Stream stream, Device device) {
  return Generator(static_cast<std::uint64_t>(config.seed), static_cast<std::uint64_t>(stream), device);
}

}  // namespace damc
