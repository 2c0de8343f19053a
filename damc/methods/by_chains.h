/// Learning by Langevin chains: Algorithm 1, or what of it a method has.
#pragma once

#include <functional>
#include <memory>

#include "damc/chains/energy_losses.h"
#include "damc/chains/likelihood.h"
#include "damc/chains/pool.h"
#include "damc/chains/starts.h"
#include "damc/config.h"
#include "damc/methods/minibatch.h"
#include "optim/stats.h"
#include "tensor/record.h"

namespace damc {

/// What takes part. Those that are null do not: networks that they would teach stay as they are. All are references to
/// what outlives the phase.
struct ChainParts {
  const Likelihood* likelihood;
  const Prior* prior;         ///< of both kinds of chains
  AmortizedSampler* sampler;  ///< fitted to z+; with `start` sampler its target starts the chains
  Pool* pool;                 ///< with `start` pool
  Learner* generator;         ///< of the likelihood's decoder
  Learner* energy;            ///< of the network that `learned` reads
  const Prior* learned;       ///< what energy's loss is of; with `energy` only
  std::function<EnergyLoss(const Variable& at_plus, const Variable& at_minus)>
      energy_loss;  ///< energy_losses.h
};

class ByChains {
 public:
  /// Chains as the configuration says; `random` outlives the phase.
  ByChains(const Config& config, ChainParts parts, Device device, Generator& random);

  /// Iteration k, see Method.
  Stats iterate(std::int64_t k, const Minibatch& batch, const Lap& after = {});
  /// All that learn, in the order of their updates.
  std::vector<Learner*> learners() const;

 private:
  // Results of the parts of an iteration, and of the chains: z+ [B, nz], root mean square of |z+| and of |z+ - z0|.
  std::array<Tensor, 3> walk_posterior(const Tensor& z0, const Tensor& x);
  Tensor walk_prior(const Tensor& z0);
  std::array<Tensor, 3> update_energy(const Tensor& z_plus, const Tensor& z_minus);

  Config config_;
  ChainParts parts_;
  Generator& random_;
  std::unique_ptr<Starts> starts_;
  CapturedStep<1, 1> draw_starts_;       // x -> z0
  CapturedStep<2, 3> posterior_chain_;   // z0, x -> z+, rms |z+|, rms |z+ - z0|
  CapturedStep<1, 1> prior_chain_;       // z0 -> z-
  CapturedStep<2, 2> update_sampler_;    // x, z+ -> loss, gradient norm
  CapturedStep<2, 2> update_generator_;  // x, z+ -> loss, gradient norm
  CapturedStep<2, 3> update_energy_;     // z+, z- -> mean E(z+), mean E(z-), gradient norm
  CapturedStep<0, 0> update_target_;     // the target sampler
};

}  // namespace damc
