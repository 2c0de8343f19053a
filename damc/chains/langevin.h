/// Langevin chains, Eq. (3): z <- z - s^2/2 dU/dz + s w, w ~ N(0, I); every row of z [N, nz] is a chain of
/// its own.
#pragma once

#include <functional>
#include <initializer_list>
#include <vector>

#include "damc/nets/networks.h"
#include "tensor/random.h"

namespace damc {

/// A potential without its |z|^2/2, summed over the batch to a scalar; the standard normal part belongs to
/// every chain and is added inside the update.
using Potential = std::function<Variable(const Variable& z)>;
/// The gradient of such a potential, [N, nz].
using PotentialGradient = std::function<Tensor(const Tensor& z)>;

struct ChainOptions {
  int steps;
  double step_size;  ///< s
};

/// The chain after `steps` steps on U(z) = potential(z) + |z|^2/2, from z (not modified). With noise null the
/// noise term is left out. Only dU/dz is computed: no weight gradient.
Tensor langevin(const PotentialGradient& gradient, const Tensor& z, const ChainOptions& options,
                Generator* noise);
Tensor langevin(const Potential& potential, const Tensor& z, const ChainOptions& options, Generator* noise);

/// The networks' parameters: what chains leave as it is and hold (HeldWeights), each while it runs. Who calls them
/// many times in a row holds it over all calls.
std::vector<Tensor> weights_of(std::initializer_list<const Module*> networks);

/// Prior chain: U(z) = E(z) + |z|^2/2.
Tensor prior_langevin(const EnergyNet& E, const Tensor& z, const ChainOptions& options, Generator* noise);

/// Posterior chain given x: U(z) = |x - G(z)|^2 / (2 sigma^2) + E(z) + |z|^2/2.
Tensor posterior_langevin(const GeneratorNet& G, const EnergyNet& E, const Tensor& z, const Tensor& x,
                          double sigma, const ChainOptions& options, Generator* noise);

}  // namespace damc
