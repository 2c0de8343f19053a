/// Langevin chains, Eq. (3): z <- z - s^2/2 dU/dz + s w, w ~ N(0, I); every row of z [N, nz] is a chain of
/// its own.
#pragma once

#include "damc/chains/potential.h"
#include "tensor/random.h"

namespace damc {

struct ChainOptions {
  std::int64_t steps;
  double step_size;  ///< s
};

/// The chain after `steps` steps on U(z) = potential.energy(z) + |z|^2/2, from z (not modified). With noise null the
/// noise term is left out. Only dU/dz is computed: no weight gradient.
Tensor langevin(const Potential& potential, const Tensor& z, const ChainOptions& options, Generator* noise);

}  // namespace damc
