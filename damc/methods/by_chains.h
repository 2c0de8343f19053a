/// Learning by Langevin chains: Algorithm 1, or what of it a method has.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "damc/chains/likelihood.h"
#include "damc/chains/pool.h"
#include "damc/config.h"
#include "damc/methods/energy_learning.h"
#include "damc/methods/phase.h"
#include "optim/pieces.h"

namespace damc {

/// What takes part. What is null does not: networks that it would teach stay as they are. References to what outlives
/// the phase.
struct ChainParts {
  const Likelihood* likelihood;
  const Prior* prior;                   ///< of the posterior chains
  AmortizedSampler* sampler = nullptr;  ///< fitted to z+; with `start` sampler its target starts the chains
  Pool* pool = nullptr;                 ///< with `start` pool
  Learner* generator = nullptr;         ///< of the likelihood's decoder
  std::optional<EnergyParts> energy = {};
  Pieces pieces = Pieces();  ///< of the observations
};

class ByChains final : public Phase {
 public:
  /// Posterior chains as the configuration says; `random` outlives the phase.
  ByChains(const Config& config, const ChainParts& parts, Device device, Generator& random);

  Stats iterate(std::int64_t k, const Minibatch& batch, const Lap& after = {}) override;
  std::vector<Learner*> learners() const override;

 private:
  std::span<const std::int64_t> own(std::span<const std::int64_t> rows) const;
  std::array<Tensor, 3> walk_posterior(const Tensor& z0, const Tensor& x);
  std::array<Tensor, 2> update_generator(const Tensor& x, const Tensor& z_plus);

  ChainOptions chains_;
  ChainParts parts_;
  Generator& random_;
  std::unique_ptr<Starts> starts_;
  std::optional<EnergyLearning> energy_;
  CapturedStep<1, 1> draw_starts_;       // x -> z0
  CapturedStep<2, 3> posterior_chain_;   // z0, x -> z+, rms |z+|, rms |z+ - z0|
  CapturedStep<2, 2> update_sampler_;    // x, z+ -> loss, gradient norm
  CapturedStep<2, 2> update_generator_;  // x, z+ -> loss, gradient norm
  CapturedStep<0, 0> update_target_;     // the target sampler
};

}  // namespace damc
