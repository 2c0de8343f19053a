/// Algorithm 1: learning the energy prior E, the generator G and the amortised sampler Q together.
#pragma once

#include <span>

#include "damc/model.h"
#include "optim/adam.h"
#include "optim/schedule.h"

namespace damc {

/// What one iteration did. Scalars stay on the device until they are read.
struct IterationStats {
  Tensor loss_q, loss_g;                         ///< of the last sampler update and of the generator update
  Tensor energy_plus, energy_minus;              ///< mean E(z+) and mean E(z-)
  Tensor grad_norm_q, grad_norm_g, grad_norm_e;  ///< before clipping
  Tensor z_norm;                                 ///< root mean square of |z+| over the batch
  Tensor displacement;  ///< root mean square of |z+ - z0|: how far the posterior chain moved
  double lr_q, lr_g, lr_e;
};

class Trainer {
 public:
  /// Keeps a reference to the model and updates it.
  explicit Trainer(Model& model);

  /// Iteration k (from 0) on images x [B, H, W, C] in [-1, 1]. Throws Error naming the iteration and the term
  /// when a loss or a gradient norm is not finite; the network it belongs to is not updated.
  IterationStats iterate(std::int64_t k, const Tensor& x);

  /// Everything besides the model that the next iteration depends on: optimisers and the noise stream's
  /// position.
  StateDict state_dict() const;
  void load_state_dict(const StateDict& state);

 private:
  Tensor draw_samples(const Tensor& x);
  Tensor posterior_chain(const Tensor& z0, const Tensor& x);
  Tensor prior_chain(const Tensor& z0);
  void update_sampler(std::int64_t k, const Tensor& x, const Tensor& z_plus, IterationStats& stats);
  void update_generator(std::int64_t k, const Tensor& x, const Tensor& z_plus, IterationStats& stats);
  void update_energy(std::int64_t k, const Tensor& z_plus, const Tensor& z_minus, IterationStats& stats);
  Tensor apply(std::int64_t k, const char* term, const Variable& loss, const Module& network, Adam& adam,
               double lr);

  friend class IterationBenchmark;  // times the parts one by one

  Model& model_;
  Generator random_;
  Adam adam_q_, adam_g_, adam_e_;
  ExponentialDecay rate_q_, rate_g_, rate_e_;
};

}  // namespace damc
