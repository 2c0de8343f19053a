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

/// The energy-based prior of networks that are learned: their energies add up, mostly there is one.
class EnergyPrior final : public Prior {
 public:
  /// Keeps references to the networks, of which there is at least one.
  explicit EnergyPrior(std::vector<const EnergyNet*> networks) : networks_(std::move(networks)) {}
  Variable energies(const Variable& z) const override;
  Tensor gradient(const Tensor& z) const override;
  std::vector<Tensor> weights() const override;

 private:
  std::vector<const EnergyNet*> networks_;
};

}  // namespace damc
