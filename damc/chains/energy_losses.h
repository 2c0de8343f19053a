/// What an energy learns by: its values at samples of the posterior, and at samples of the prior.
#pragma once

#include "autograd/ops.h"

namespace damc {

struct EnergyLoss {
  Variable plus, minus;  ///< mean E(z+), mean E(z-)
  Variable loss;
};

/// mean E(z+) - mean E(z-), whose gradient is Eq. (2)'s for alpha; energies are also kept small, by l2 times their mean
/// squares. E(z+) and E(z-) are [N, 1].
inline EnergyLoss contrastive_loss(const Variable& at_plus, const Variable& at_minus, double l2) {
  const Variable plus = mean(at_plus), minus = mean(at_minus);
  if (l2 == 0.0) return {plus, minus, plus - minus};
  return {plus, minus, plus - minus + l2 * (mean(square(at_plus)) + mean(square(at_minus)))};
}

/// Noise-contrastive: of a classifier with logit -E that tells samples of the posterior from those of the prior. At its
/// optimum -E is the logarithm of the ratio of their densities.
inline EnergyLoss ratio_loss(const Variable& at_plus, const Variable& at_minus) {
  return {mean(at_plus), mean(at_minus), mean(softplus(at_plus)) + mean(softplus(-at_minus))};
}

}  // namespace damc
