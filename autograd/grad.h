/// Reverse-mode differentiation of a recorded computation.
#pragma once

#include <functional>
#include <vector>

#include "autograd/variable.h"

namespace damc {

/// d sum(y * seed) / dx for every x of xs, in their order; a scalar y needs no seed. An x that y does not
/// depend on gets zeros. Each gradient is contiguous and has memory of its own. Only edges on a path from y to some x
/// are walked. The graph is consumed: what an edge saved is freed as soon as its vjp has run. Throws Error for a y
/// that was not computed from any variable that takes a gradient, a non-scalar y without seed, an x that takes no
/// gradient, or a graph that was consumed before.
std::vector<Tensor> grad(const Variable& y, const std::vector<Variable>& xs, const Tensor& seed = {});

/// The same, and `ready`(i, gradient of xs[i]) gets each as soon as it is final, while those of what was computed before are
/// still to be found: the last layer's first. Those of xs that y does not depend on come at the end.
void grad(const Variable& y, const std::vector<Variable>& xs,
          const std::function<void(std::size_t i, const Tensor& gradient)>& ready);

/// The same, and the graph stays, for another gradient: grad(y, xs, retain_graph).
inline constexpr struct RetainGraph {
} retain_graph;
std::vector<Tensor> grad(const Variable& y, const std::vector<Variable>& xs, RetainGraph,
                         const Tensor& seed = {});

/// The same, and the gradients can be differentiated: grad(y, xs, create_graph). They may be views, or share memory.
/// Throws Error for an operation on the way whose gradient is not made of operations.
inline constexpr struct CreateGraph {
} create_graph;
std::vector<Variable> grad(const Variable& y, const std::vector<Variable>& xs, CreateGraph,
                           const Variable& seed = {});

}  // namespace damc
