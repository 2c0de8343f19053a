/// Maximum entropy generators (Kumar et al., 2019, "Maximum Entropy Generators for Energy-Based Models", MEG): an energy of
/// images falls at real ones and rises at those of a generator, which follows it down and is kept diverse by a network
/// that tells its images' own z from others.
#pragma once

#include "damc/methods/phase.h"
#include "damc/nets/critics.h"
#include "tensor/random.h"

namespace damc {

/// References to what outlives the phase.
struct MegParts {
  const Layer* generator;        ///< z [N, nz] -> x
  const DataEnergy* energy;      ///< E
  const PairCritic* statistics;  ///< H: whether z is that of x
  std::int64_t nz;
  double gradient_penalty;  ///< weight of |dE/dx|^2 at real images
  std::int64_t g_every;     ///< iterations between updates of generator and H
  Learner *learn_generator, *learn_energy, *learn_statistics;
};

class Meg final : public Phase {
 public:
  Meg(const MegParts& parts, Device device, Generator& random);

  /// An update of E, and every g_every-th iteration one of G and H. The numbers: loss_d, gradient_penalty (mean |dE/dx|^2),
  /// grad_norm_d; and when they learn loss_g, loss_h, grad_norm_g, grad_norm_h.
  Stats iterate(std::int64_t k, const Minibatch& batch, const Lap& after = {}) override;
  std::vector<Learner*> learners() const override;

 private:
  std::array<Tensor, 3> step_energy(const Tensor& x);
  std::array<Tensor, 4> step_generator(const Tensor& x);
  Tensor draw(const Tensor& x) { return random_.normal({x.size(0), parts_.nz}, x.dtype()); }

  MegParts parts_;
  Generator& random_;
  CapturedStep<1, 3> update_energy_;     // x -> loss, mean |dE/dx|^2, gradient norm
  CapturedStep<1, 4> update_generator_;  // x, of which the size counts -> losses of G and H, gradient norms
};

/// The loss of E: mean E(x) - mean E(fake) + weight mean |dE/dx|^2. Its value is that, its gradient is exact, and no second
/// derivative is taken: with v = dE/dx fixed, d|dE/dx|^2 = 2 d(v . dE/dx), a tangent pass.
struct PenalisedEnergy {
  Variable loss;
  Tensor squared_slope;  ///< mean |dE/dx|^2
};
PenalisedEnergy penalised_energy(const DataEnergy& energy, const Tensor& x, const Tensor& fake,
                                 double weight);

/// How well H tells pairs (x, z) that belong together from those that do not: mean softplus(-H) of the one and mean
/// softplus(H) of the other, halved. Here z goes one row on: rows are independent, so no random order is needed.
Variable pair_loss(const PairCritic& statistics, const Variable& x, const Variable& z);

}  // namespace damc
