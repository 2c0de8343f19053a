/// Whether the steps of a Langevin chain are short enough.
///
/// Along an eigenvector of U's Hessian with eigenvalue h a step is z <- (1 - s^2 h / 2) z + s w: a chain is stable while
/// its stability number, s^2/2 times the largest h, is below 2. For U = energy + |z|^2/2 that is s^2/2 (c + 1), with c the
/// energy's largest curvature: L / sigma^2 for a Gaussian likelihood, L the largest eigenvalue of J^T J.
#pragma once

#include "damc/chains/likelihood.h"
#include "tensor/random.h"

namespace damc {

/// The stability number above which a chain diverges.
inline constexpr double kLargestStability = 2.0;

/// Iterations of the power method. What they find is a lower bound, some per cent too small where eigenvalues crowd.
inline constexpr int kPowerIterations = 16;

/// L / sigma^2 at every row of z [N, nz], [N]: J = dG/dz, J v by central differences, J^T u by the vjp. This is the
/// Gauss-Newton part of the misfit's Hessian, for which no x is needed. Starts from random directions.
Tensor largest_curvature(const Likelihood& likelihood, const Tensor& z, Generator& random,
                         int iterations = kPowerIterations);

/// The largest |eigenvalue| of the Hessian of potential.energy at every row of z [N, nz], [N], by central differences of
/// its gradient.
Tensor largest_curvature(const Potential& potential, const Tensor& z, Generator& random,
                         int iterations = kPowerIterations);

/// The stability number of chains with steps of size s where the energy has these curvatures [N]: that of the row where
/// it is largest. Reads it from the device.
double stability(const Tensor& curvatures, double s);

}  // namespace damc
