#include "damc/chains/potential.h"

#include "autograd/grad.h"
#include "nn/module.h"

namespace damc {

Tensor Potential::gradient(const Tensor& z) const {
  const Variable leaf(z, true);
  return grad(energy(leaf), {leaf})[0];
}

std::vector<Tensor> weights_of(const Module& network) {
  std::vector<Tensor> weights;
  for (const Variable& parameter : network.parameters()) weights.push_back(parameter.value());
  return weights;
}

}  // namespace damc
