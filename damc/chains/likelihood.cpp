#include "damc/chains/likelihood.h"

#include "autograd/grad.h"

namespace damc {

Variable Likelihood::misfit(const Variable& z, const Tensor& x) const {
  return (1.0 / (2.0 * sigma_ * sigma_)) * sum(square(decode(z) - x));
}

Variable Likelihood::loss(const Variable& z, const Tensor& x) const {
  return (1.0 / static_cast<double>(x.size(0))) * sum(square(decode(z) - x));
}

Variable Posterior::energy(const Variable& z) const { return likelihood_.misfit(z, x_) + prior_.energy(z); }

Tensor Posterior::gradient(const Tensor& z) const {
  const Variable leaf(z, true);
  return add(grad(likelihood_.misfit(leaf, x_), {leaf})[0], prior_.gradient(z));
}

std::vector<Tensor> Posterior::weights() const {
  std::vector<Tensor> weights = likelihood_.weights();
  const std::vector<Tensor> of_prior = prior_.weights();
  weights.insert(weights.end(), of_prior.begin(), of_prior.end());
  return weights;
}

}  // namespace damc
