/// Learning through an encoder: generator and encoder by one loss, and what of a prior and a sampler a method has
/// beside them.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "damc/methods/encoding.h"
#include "damc/methods/energy_learning.h"
#include "damc/methods/phase.h"
#include "optim/pieces.h"

namespace damc {

/// What takes part; references to what outlives the phase.
struct EncoderParts {
  const Layer* encoder;  ///< encoding.h
  std::int64_t nz;
  std::function<Variable(const Encoded& q, const Tensor& x)> loss;
  std::vector<Learner*>
      learners;  ///< by that loss, together: generator, encoder and others; none: they are frozen
  AmortizedSampler* sampler = nullptr;     ///< fitted to z, which learns nothing from it; null: none
  std::optional<EnergyParts> energy = {};  ///< learns from z, and from chains that start from N(0, I)
  Pieces pieces = Pieces();                ///< of the observations
  const Layer* first = nullptr;  ///< null, or a frozen encoder whose z are the observations of this phase
};

class ByEncoder final : public Phase {
 public:
  /// The generators outlive the phase. Prior chains have one of their own, so that they shift no other's numbers.
  ByEncoder(EncoderParts parts, Device device, Generator& random, Generator& prior_random);

  Stats iterate(std::int64_t k, const Minibatch& batch, const Lap& after = {}) override;
  std::vector<Learner*> learners() const override;

 private:
  Tensor encode_all(const Layer& encoder, const Tensor& x);
  std::array<Tensor, 5> learn(const Tensor& x);

  EncoderParts parts_;
  Generator& random_;
  FromNoise starts_;
  std::optional<EnergyLearning> energy_;
  CapturedStep<1, 1> observe_;         // x -> z of the first encoder
  CapturedStep<1, 1> encode_;          // x -> z
  CapturedStep<1, 5> learn_;           // x -> z, loss, gradient norms of the first two learners, rms |z|
  CapturedStep<2, 2> update_sampler_;  // x, z -> loss, gradient norm
  CapturedStep<0, 0> update_target_;   // the target sampler
};

}  // namespace damc
