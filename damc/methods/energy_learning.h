/// How an energy learns: from the ends of chains on the prior, and samples of the posterior.
#pragma once

#include <functional>

#include "damc/chains/energy_losses.h"
#include "damc/chains/langevin.h"
#include "damc/chains/prior.h"
#include "damc/chains/starts.h"
#include "optim/pieces.h"
#include "optim/stats.h"
#include "tensor/record.h"

namespace damc {

/// References to what outlives the learning.
struct EnergyParts {
  Learner* learner;      ///< of the network that `learned` reads
  const Prior* learned;  ///< whose energies the loss is of
  std::function<EnergyLoss(const Variable& at_plus, const Variable& at_minus)> loss;  ///< energy_losses.h
  const Prior* prior;        ///< that the chains walk on
  ChainOptions chains;       ///< of no steps: samples are those that the chains would start from
  Pieces pieces = Pieces();  ///< of z+; a piece has the z- of its rows
};

class EnergyLearning {
 public:
  /// `starts` and `random` outlive it.
  EnergyLearning(EnergyParts parts, const Starts& starts, Device device, Generator& random);

  /// z-: ends of chains that start where `starts` says, given the starts z0 of the posterior's.
  Tensor walk(const Tensor& z0, const Lap& after) { return chain_({z0}, after)[0]; }
  /// A step. Adds energy_plus, energy_minus and grad_norm_e.
  void update(const Tensor& z_plus, const Tensor& z_minus, Stats& stats, const Lap& after);

  Learner* learner() const { return parts_.learner; }

 private:
  std::array<Tensor, 3> step(const Tensor& z_plus, const Tensor& z_minus);

  EnergyParts parts_;
  Generator& random_;
  CapturedStep<1, 1> chain_;   // z0 -> z-
  CapturedStep<2, 3> update_;  // z+, z- -> mean E(z+), mean E(z-), gradient norm
};

}  // namespace damc
