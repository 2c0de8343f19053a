/// Reverse-mode differentiation of a recorded computation.
#pragma once

#include <vector>

#include "autograd/variable.h"

namespace damc {

/// d sum(y * seed) / dx for every x of xs, in their order; a scalar y needs no seed. An x that y does not
/// depend on gets zeros. Only edges on a path from y to some x are walked. The graph is consumed: what an
/// edge saved is freed as soon as its vjp has run. Throws Error for a non-scalar y without seed, a leaf that
/// takes no gradient, or a graph that was consumed before.
std::vector<Tensor> grad(const Variable& y, const std::vector<Variable>& xs, const Tensor& seed = {});

}  // namespace damc
