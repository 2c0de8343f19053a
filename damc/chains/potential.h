/// What a Langevin chain walks on: the density of latent vectors p(z) ~ exp(-U(z)) with U(z) = energy(z) + |z|^2/2.
#pragma once

#include <functional>
#include <vector>

#include "autograd/variable.h"

namespace damc {

class Module;

/// Any density of your own: derive from this, or wrap a function in a FunctionPotential.
class Potential {
 public:
  virtual ~Potential() = default;
  /// U(z) - |z|^2/2, summed over the rows of z [N, nz] to a scalar. The standard normal part belongs to every chain and
  /// is added inside its update.
  virtual Variable energy(const Variable& z) const = 0;
  /// Its gradient with respect to z, [N, nz], and no weight's: by autograd, unless there is a shorter way.
  virtual Tensor gradient(const Tensor& z) const;
  /// The weights that it reads, which do not change while a chain runs.
  virtual std::vector<Tensor> weights() const { return {}; }
};

/// A potential whose energy is a function.
class FunctionPotential final : public Potential {
 public:
  explicit FunctionPotential(std::function<Variable(const Variable& z)> energy)
      : energy_(std::move(energy)) {}
  Variable energy(const Variable& z) const override { return energy_(z); }

 private:
  std::function<Variable(const Variable&)> energy_;
};

/// The values of a module's parameters, see Potential::weights().
std::vector<Tensor> weights_of(const Module& network);

}  // namespace damc
