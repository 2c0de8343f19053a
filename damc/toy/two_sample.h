/// How far apart two sets of points are.
#pragma once

#include "tensor/tensor.h"

namespace damc {

/// The energy distance between the empirical distributions of x [N, d] and y [M, d] (Szekely and Rizzo,
/// 2013):
///
///   D(x, y)^2 = 2 E|X - Y| - E|X - X'| - E|Y - Y'|,  X, X' uniform on the rows of x, Y, Y' on those of y
///
/// with Euclidean norms and all pairs, a row's distance 0 to itself included. D is a metric: 0 for equal sets
/// only, in square roots of the points' unit. Two independent sets of one distribution are not at 0 but near
/// sqrt((1/N + 1/M) E|X - X'|). Exact and in double: no subsampling; costs (N + M)^2 / 2 distances.
/// Throws Error unless both are non-empty matrices of equally many columns.
double energy_distance(const Tensor& x, const Tensor& y);

}  // namespace damc
