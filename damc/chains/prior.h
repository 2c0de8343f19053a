/// The prior of the latent vectors, p(z) ~ exp(-E(z)) N(z; 0, I) (Eq. (1)).
#pragma once

#include "damc/chains/potential.h"
#include "damc/nets/networks.h"

namespace damc {

/// A chain on it is a prior chain: U(z) = E(z) + |z|^2/2.
class Prior : public Potential {
 public:
  /// E(z) of every row of z [N, nz], [N, 1]
  virtual Variable energies(const Variable& z) const = 0;
  Variable energy(const Variable& z) const override { return sum(energies(z)); }
};

/// N(0, I): E = 0.
class GaussianPrior final : public Prior {
 public:
  Variable energies(const Variable& z) const override;
  Tensor gradient(const Tensor& z) const override;
};

/// The energy-based prior of a network that is learned.
class EnergyPrior final : public Prior {
 public:
  /// Keeps a reference to the network.
  explicit EnergyPrior(const EnergyNet& E) : E_(E) {}
  Variable energies(const Variable& z) const override { return E_.forward(z); }
  Tensor gradient(const Tensor& z) const override { return E_.grad_z(z); }
  std::vector<Tensor> weights() const override { return weights_of(E_); }

 private:
  const EnergyNet& E_;
};

}  // namespace damc
