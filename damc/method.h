/// Algorithm 1 and its ablations: how the networks of a model learn.
///
/// A method is four choices: the prior (chains/prior.h), the likelihood (chains/likelihood.h), where chains start
/// (chains/starts.h), and a sampler that is fitted to their ends or none (sampler/amortized_sampler.h). The key `method`
/// names one:
///
///   name      prior        chains start from       sampler
///   damc      energy       the target sampler      fitted to z+
///   damc-g    N(0, I)      the target sampler      fitted to z+
///   sr-lebm   energy       N(0, I)                 none
#pragma once

#include <memory>
#include <optional>

#include "damc/chains/starts.h"
#include "damc/model.h"
#include "optim/stats.h"
#include "tensor/error.h"
#include "tensor/record.h"

namespace damc {

/// A loss or a gradient norm was not finite.
class Divergence : public Error {
 public:
  using Error::Error;
};

class Method {
 public:
  /// By model.config; keeps a reference to the model and updates it. After `rollbacks` divergences the noise is another
  /// stream and all learning rates are halved so often.
  explicit Method(Model& model, std::int64_t rollbacks = 0);

  /// Iteration k (from 0) on images x [B, H, W, C] in [-1, 1], always equally many; `after` is told the name of every
  /// part when it is done. The numbers, as far as the method has them:
  ///   loss_q, loss_g         of the last sampler update and of the generator update
  ///   energy_plus, _minus    mean E(z+) and mean E(z-)
  ///   grad_norm_q, _g, _e    before clipping
  ///   z_norm                 root mean square of |z+| over the batch
  ///   chain_displacement     root mean square of |z+ - z0|: how far the posterior chain moved
  ///   lr_q, lr_g, lr_e       learning rates
  /// Nothing is read back from the device: once a loss or a gradient norm is not finite, neither the network it belongs
  /// to nor any after it is updated, and check() tells.
  Stats iterate(std::int64_t k, const Tensor& x, const Lap& after = {});
  /// Waits for the device. Throws Divergence naming the iteration (from 1, as files are numbered) and the number when a
  /// loss or a gradient norm was not finite since the last call.
  void check();

  /// Everything besides the model that the next iteration depends on: optimisers and the noise stream's
  /// position.
  StateDict state_dict() const;
  /// Throws UserError naming what is missing or has another shape.
  void load_state_dict(const StateDict& state);

 private:
  // Results of the parts of an iteration, and of the chains: z+ [B, nz], root mean square of |z+| and of |z+ - z0|.
  std::array<Tensor, 3> walk_posterior(const Tensor& z0, const Tensor& x);
  Tensor walk_prior(const Tensor& z0);
  std::array<Tensor, 3> update_energy(const Tensor& z_plus, const Tensor& z_minus);
  void begin(std::int64_t k);
  void add_rates(Stats& stats) const;
  std::vector<Learner*> learners() const;

  Model& model_;
  Generator random_;
  FiniteWatch watch_;
  std::unique_ptr<AmortizedSampler> sampler_;  // null: the method has none
  std::unique_ptr<Learner> generator_;
  std::unique_ptr<Learner> energy_;  // null: the prior does not learn
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
