#include "damc/chains/langevin.h"

#include "tensor/ops.h"

namespace damc {

Tensor langevin(const Potential& potential, const Tensor& start, const ChainOptions& options,
                Generator* noise) {
  const PinnedWeights pinned(potential.weights());
  const double s = options.step_size;
  const Tensor z = start.clone();
  for (std::int64_t step = 0; step < options.steps; ++step) {
    // Eq. (3) with dU/dz = g + z: z <- (1 - s^2/2) z - s^2/2 g + s w
    noisy_update(z, potential.gradient(z), {1.0 - s * s / 2.0, -s * s / 2.0, s}, noise);
  }
  return z;
}

}  // namespace damc
