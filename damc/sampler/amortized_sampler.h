/// The sampler as it learns (Section 3.2): a network that is fitted to the ends of chains, and a slower copy of it, the
/// target sampler, from whose samples the next chains start.
#pragma once

#include "damc/sampler/amortizer.h"
#include "optim/learner.h"
#include "optim/pieces.h"

namespace damc {

struct AmortizedSamplerOptions {
  std::int64_t updates = 6;     ///< M, of an iteration
  double p_uncond = 0.2;        ///< probability that an observation is left out
  bool split_losses = false;    ///< a loss with all observations and one with none, instead
  std::int64_t ema_every = 10;  ///< iterations between the target sampler's moves
  double ema_rho = 0.005;       ///< rho: how far it moves
};

class AmortizedSampler {
 public:
  /// Keeps references to the sampler q_phi, the target sampler and the watch.
  AmortizedSampler(Amortizer& Q, Amortizer& target, const AmortizedSamplerOptions& options,
                   const LearnerOptions& learning, FiniteWatch& watch);

  Learner& learner() { return learner_; }

  /// Line 3 of Algorithm 1: z0 ~ q(z given x) of the target sampler, one for each observation.
  Tensor sample(const Tensor& x, Generator& random) const { return target_.sample(x, random); }
  /// Line 7: M steps on Eq. (8), the diffusion loss with z_plus [N, nz] as data and x [N, ...] as observations. Returns
  /// loss and gradient norm of the last step. Which observations count as unconditional is drawn once.
  std::array<Tensor, 2> fit(const Tensor& x, const Tensor& z_plus, const Pieces& pieces, Generator& random);
  std::array<Tensor, 2> fit(const Tensor& x, const Tensor& z_plus, Generator& random) {
    return fit(x, z_plus, Pieces(), random);
  }
  /// Whether the target sampler moves after iteration k (from 0).
  bool follows_after(std::int64_t k) const { return (k + 1) % options_.ema_every == 0; }
  /// phi_bar <- rho phi + (1 - rho) phi_bar
  void follow();

 private:
  Amortizer& Q_;
  Amortizer& target_;
  Variable loss(const Tensor& x, const Tensor& z_plus, const Tensor& mask, Generator& random) const;

  AmortizedSamplerOptions options_;
  FiniteWatch& watch_;
  Learner learner_;
};

}  // namespace damc
