/// The toy example of Appendix E.1: the amortised sampler learns posteriors of a known likelihood, and long
/// Langevin chains say what it should have learned.
///
/// z ~ pinwheel, x = g(z) + 0.25 w, both [N, 2]. Chains run on U(z) = |x - g(z)|^2 / (2 0.25^2) + |z|^2/2: the pinwheel
/// decides which x occur, while the posterior that is sampled has the standard normal prior, as in the paper's chains.
/// Training sees as many z as a minibatch holds, drawn once, under noise that is new in every iteration, as in the
/// authors' code.
#pragma once

#include "damc/chains/likelihood.h"
#include "damc/sampler/amortized_sampler.h"
#include "damc/toy/density.h"
#include "damc/toy/pinwheel.h"

namespace damc {

struct ToyOptions {
  std::uint64_t seed = 1;    ///< decides g, the z that are trained on, and the observation
  std::int64_t batch = 500;  ///< z that are trained on, all in every iteration
  int posterior_steps = 50;  ///< of a training chain
  int long_run_steps = 1000;
  int diffusion_steps = 100;
  double width = 0.5;  ///< of the denoiser (Table S6's f); two dimensions need less than images do
  Device device = {};
};

class Toy {
 public:
  explicit Toy(const ToyOptions& options);

  /// One iteration of Algorithm 1 without lines 4 and 6, for there is no E and g is known. Returns the loss of
  /// the last sampler update; throws Error when it is not finite.
  double iterate();

  /// n observations of new z, [n, 2]
  Tensor new_observations(std::int64_t n);
  /// The one observation whose posterior is known, [1, 2]; drawn by the seed.
  const Tensor& observation() const { return observation_; }
  /// z ~ q(z given x) for every row of x [n, 2], [n, 2]
  Tensor sample(const Tensor& x);
  /// Ends of long chains from N(0, I) given each row of x [n, 2], [n, 2]
  Tensor long_run(const Tensor& x);
  /// Where chains end that are long enough: a draw from each row's posterior itself, exp(-U(z)) at the view's pixels, even
  /// within them, [n, 2].
  Tensor exact(const Tensor& x, const DensityView& view = {});
  /// |x - g(z)|^2 of every row of z and x [n, 2], [n]
  Tensor squared_errors(const Tensor& z, const Tensor& x) const;
  /// Their mean.
  double reconstruction_error(const Tensor& z, const Tensor& x) const;

 private:
  Tensor observe(const Tensor& z, Generator& random) const;
  Tensor posterior_chain(const Tensor& z, const Tensor& x, int steps, Generator& random) const;

  ToyOptions options_;
  Generator world_, training_, evaluation_;  // evaluations must not shift the training's stream
  RandomMlp g_;
  Tensor observation_, latents_;
  GaussianPrior prior_;
  Likelihood likelihood_;
  Amortizer Q_, Q_target_;
  FiniteWatch watch_;
  AmortizedSampler sampler_;
  std::int64_t iterations_ = 0;
};

}  // namespace damc
