#include "damc/chains/prior.h"

namespace damc {

Variable GaussianPrior::energies(const Variable& z) const {
  return Tensor::zeros({z.size(0), 1}, z.dtype(), z.device());
}

Tensor GaussianPrior::gradient(const Tensor& z) const {
  return Tensor::zeros(z.shape(), z.dtype(), z.device());
}

Variable EnergyPrior::energies(const Variable& z) const {
  Variable total = networks_.at(0)->forward(z);
  for (std::size_t i = 1; i < networks_.size(); ++i) total = total + networks_[i]->forward(z);
  return total;
}

Tensor EnergyPrior::gradient(const Tensor& z) const {
  Tensor total = networks_.at(0)->grad_z(z);
  for (std::size_t i = 1; i < networks_.size(); ++i) total = add(total, networks_[i]->grad_z(z));
  return total;
}

std::vector<Tensor> EnergyPrior::weights() const {
  std::vector<Tensor> all;
  for (const EnergyNet* network : networks_) {
    const std::vector<Tensor> its = weights_of(*network);
    all.insert(all.end(), its.begin(), its.end());
  }
  return all;
}

}  // namespace damc
