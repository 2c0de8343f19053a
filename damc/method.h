/// How the networks of a model learn, by the method that the configuration names.
///
/// A method is a row of methods() (presets.h), and a composition of parts: a prior (chains/prior.h), learned or not; z by
/// chains (methods/by_chains.h), with starts, or by an encoder (methods/by_encoder.h); a sampler that is fitted to the z,
/// or none. Two methods are games (methods/meg.h, methods/bigan.h). It learns in phases, most in one; an iteration's
/// number says which, so that nothing of it needs to be saved.
#pragma once

#include <memory>

#include "damc/chains/pool.h"
#include "damc/methods/energy_learning.h"
#include "damc/methods/phase.h"
#include "damc/model.h"
#include "data/images.h"
#include "tensor/error.h"

namespace damc {

/// A loss or a gradient norm was not finite.
class Divergence : public Error {
 public:
  using Error::Error;
};

/// Throws UserError for a configuration whose batches so many processes cannot share.
void check_shares(const Config& config, std::int64_t processes);

class Method {
 public:
  /// By model.config; keeps a reference to the model and updates it. After `rollbacks` divergences the noise is another
  /// stream and all learning rates are halved so often. `images` says how many persistent chains there are to keep, with
  /// flips two for an image. `among`, which outlives the method, are the processes that learn together, all with the same
  /// model. Throws UserError as check_shares does.
  explicit Method(Model& model, std::int64_t rollbacks = 0, std::int64_t images = 0,
                  const Communicator& among = alone());

  /// Iteration k (from 0) on images x [B, H, W, C] in [-1, 1], always equally many, this process's share of the batch;
  /// `after` is told the name of every part when it is done. The numbers, the same in each process, as far as the method
  /// has them:
  ///   loss_q, loss_g         of the last sampler update and of the generator update, with an encoder of both
  ///   energy_plus, _minus    mean E(z+) and mean E(z-)
  ///   loss_d, loss_h, loss_v of critics and of an encoder in a game
  ///   gradient_penalty       mean |dE/dx|^2 of an energy of images
  ///   grad_norm_q, _g, _e, _v, _d, _h  before clipping, _v of an encoder, _d and _h of critics
  ///   z_norm                 root mean square of |z+|, or of an encoder's z, over the batch
  ///   chain_displacement     root mean square of |z+ - z0|: how far the posterior chain moved
  ///   lr_q, lr_g, lr_e, ...  learning rates of those that learn
  /// Nothing is read back from the device: once a loss or a gradient norm is not finite, neither the network it belongs
  /// to nor any after it is updated, and check() tells.
  Stats iterate(std::int64_t k, const Minibatch& batch, const Lap& after = {});
  /// When all iterations are done: what is fitted to a finished model, to all training images (a mixture to their codes).
  void finish(const Images& train);
  /// Waits for the device. Throws Divergence naming the iteration (from 1, as files are numbered) and the number when a
  /// loss or a gradient norm was not finite since the last call.
  void check();

  /// Everything besides the model that the next iteration depends on: optimisers, persistent chains and the noise stream's
  /// position.
  StateDict state_dict() const;
  /// Throws UserError naming what is missing or has another shape, and changes nothing then.
  void load_state_dict(const StateDict& state) { load_all(state, *this); }
  /// The first half of that.
  void find_state(Loading& loading);

 private:
  std::unique_ptr<AmortizedSampler> make_sampler();
  Learner* add_learner(const std::string& name, const std::string& key, Module& network, double rate,
                       std::int64_t first = 0);
  Phase& phase(std::int64_t k) const;
  void add_chain_phases();
  void add_encoder_phases();
  void add_critic_phase();
  EnergyParts contrastive(const Prior& prior);
  EnergyParts ratio(std::int64_t stage, std::int64_t first);
  std::vector<Learner*> learners() const;

  Model& model_;
  std::int64_t rollbacks_;
  Pieces pieces_;
  Generator random_;
  Generator prior_random_;  // of the prior chains of methods with an encoder
  FiniteWatch watch_;
  std::unique_ptr<AmortizedSampler> sampler_;  // null: the method has none
  std::vector<std::unique_ptr<Learner>> learners_;
  std::unique_ptr<Pool> pool_;                        // null: chains do not persist
  std::vector<std::unique_ptr<const Prior>> priors_;  // of the chains of ace's stages
  std::vector<std::unique_ptr<Phase>> phases_;
};

}  // namespace damc
