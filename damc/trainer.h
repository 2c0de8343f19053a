/// Algorithm 1: learning the energy prior E, the generator G and the amortised sampler Q together.
#pragma once

#include "damc/model.h"
#include "optim/adam.h"
#include "optim/schedule.h"
#include "tensor/error.h"
#include "tensor/record.h"

namespace damc {

/// What one iteration did. Scalars stay on the device until they are read; the next iteration may overwrite
/// them.
struct IterationStats {
  Tensor loss_q, loss_g;                         ///< of the last sampler update and of the generator update
  Tensor energy_plus, energy_minus;              ///< mean E(z+) and mean E(z-)
  Tensor grad_norm_q, grad_norm_g, grad_norm_e;  ///< before clipping
  Tensor z_norm;                                 ///< root mean square of |z+| over the batch
  Tensor displacement;  ///< root mean square of |z+ - z0|: how far the posterior chain moved
  double lr_q, lr_g, lr_e;
};

/// A loss or a gradient norm was not finite.
class Divergence : public Error {
 public:
  using Error::Error;
};

class Trainer {
 public:
  /// Keeps a reference to the model and updates it. After `rollbacks` divergences the noise is another stream and all
  /// learning rates are halved so often.
  explicit Trainer(Model& model, std::int64_t rollbacks = 0);

  /// Iteration k (from 0) on images x [B, H, W, C] in [-1, 1], always equally many. Nothing is read back from
  /// the device: once a loss or a gradient norm is not finite, neither the network it belongs to nor any after
  /// it is updated, and check() tells.
  IterationStats iterate(std::int64_t k, const Tensor& x);
  /// Waits for the device. Throws Divergence naming the iteration (from 1, as files are numbered) and the term when a
  /// loss or a gradient norm was not finite since the last call.
  void check();

  /// Everything besides the model that the next iteration depends on: optimisers and the noise stream's
  /// position.
  StateDict state_dict() const;
  void load_state_dict(const StateDict& state);

 private:
  /// A network that is updated, as errors call it.
  enum class Term { sampler, generator, energy };

  Captured step(const char* name, std::vector<std::string> inputs, Tensors (Trainer::*body)(const Tensors&));

  // The steps of an iteration. Each is recorded as a whole (tensor/record.h).
  Tensors draw_samples(const Tensors& in);      // x -> z0
  Tensors posterior_chain(const Tensors& in);   // z0, x -> z+, rms |z+|, rms |z+ - z0|
  Tensors prior_chain(const Tensors& in);       // z0 -> z-
  Tensors update_sampler(const Tensors& in);    // x, z+ -> loss, gradient norm
  Tensors update_generator(const Tensors& in);  // x, z+ -> loss, gradient norm
  Tensors update_energy(const Tensors& in);     // z+, z- -> mean E(z+), mean E(z-), gradient norm
  Tensors update_average(const Tensors& in);    // the target sampler
  Tensor apply(Term term, const Variable& loss, const Module& network, Adam& adam);

  friend class IterationBenchmark;  // times the steps one by one

  Model& model_;
  Generator random_;
  Adam adam_q_, adam_g_, adam_e_;
  ExponentialDecay rate_q_, rate_g_, rate_e_;
  FiniteWatch watch_;
  Captured draw_samples_, posterior_chain_, prior_chain_, update_sampler_, update_generator_, update_energy_,
      update_average_;
};

}  // namespace damc
