/// Bidirectional adversarial learning (Donahue et al., 2017, BiGAN; for anomalies Zenati et al., 2018): a critic tells pairs
/// of an image and its code from pairs of a latent vector and its image; generator and encoder learn to have it fail,
/// which they do where they are each other's inverse.
#pragma once

#include "damc/methods/phase.h"
#include "damc/nets/critics.h"
#include "tensor/random.h"

namespace damc {

/// References to what outlives the phase.
struct BiGanParts {
  const Layer* generator;    ///< G: z [N, nz] -> x
  const Layer* encoder;      ///< Q: x -> z, a point
  const PairCritic* critic;  ///< D: the logit of (x, Q(x)) against (G(z), z)
  std::int64_t nz;
  Learner *learn_generator, *learn_encoder, *learn_critic;
};

class BiGan final : public Phase {
 public:
  BiGan(const BiGanParts& parts, Device device, Generator& random);

  /// An update of D, then with the same z one of G and Q. The numbers: loss_d, loss_g, loss_v, grad_norm_d, _g, _v.
  Stats iterate(std::int64_t k, const Minibatch& batch, const Lap& after = {}) override;
  std::vector<Learner*> learners() const override;

 private:
  std::array<Tensor, 3> step_critic(const Tensor& x);
  std::array<Tensor, 4> step_others(const Tensor& x, const Tensor& z);

  BiGanParts parts_;
  Generator& random_;
  CapturedStep<1, 3> update_critic_;  // x -> z, loss, gradient norm
  CapturedStep<2, 4> update_others_;  // x, z -> losses of G and Q, gradient norms
};

}  // namespace damc
