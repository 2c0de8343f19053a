/// How the networks of a model learn, by the method that the configuration names.
///
/// A method is a row of methods() (presets.h): a prior, where chains start, a sampler that is fitted to their ends or
/// none. It learns in phases, most in one; an iteration's number says which, so that nothing of it needs to be saved.
#pragma once

#include <memory>

#include "damc/methods/by_chains.h"
#include "damc/model.h"
#include "tensor/error.h"

namespace damc {

/// A loss or a gradient norm was not finite.
class Divergence : public Error {
 public:
  using Error::Error;
};

class Method {
 public:
  /// By model.config; keeps a reference to the model and updates it. After `rollbacks` divergences the noise is another
  /// stream and all learning rates are halved so often. `images` says how many persistent chains there are to keep, with
  /// flips two for an image.
  explicit Method(Model& model, std::int64_t rollbacks = 0, std::int64_t images = 0);

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
  Stats iterate(std::int64_t k, const Minibatch& batch, const Lap& after = {});
  /// Waits for the device. Throws Divergence naming the iteration (from 1, as files are numbered) and the number when a
  /// loss or a gradient norm was not finite since the last call.
  void check();

  /// Everything besides the model that the next iteration depends on: optimisers, persistent chains and the noise stream's
  /// position.
  StateDict state_dict() const;
  /// Throws UserError naming what is missing or has another shape.
  void load_state_dict(const StateDict& state);

 private:
  std::unique_ptr<AmortizedSampler> make_sampler(std::int64_t rollbacks);
  std::unique_ptr<Learner> make_learner(const char* name, const char* key, Module& network, double rate,
                                        std::int64_t rollbacks);
  void add_phases();
  std::vector<Learner*> learners() const;

  Model& model_;
  Generator random_;
  FiniteWatch watch_;
  std::unique_ptr<AmortizedSampler> sampler_;  // null: the method has none
  std::unique_ptr<Learner> generator_;
  std::unique_ptr<Learner> energy_;  // null: the prior does not learn
  std::unique_ptr<Pool> pool_;       // null: chains do not persist
  std::vector<std::unique_ptr<ByChains>> phases_;
};

}  // namespace damc
