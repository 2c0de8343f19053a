#include "damc/chains/prior.h"

namespace damc {

Variable GaussianPrior::energies(const Variable& z) const {
  return Tensor::zeros({z.size(0), 1}, z.dtype(), z.device());
}

Tensor GaussianPrior::gradient(const Tensor& z) const {
  return Tensor::zeros(z.shape(), z.dtype(), z.device());
}

}  // namespace damc
