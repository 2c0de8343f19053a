/// Checks gradients against finite differences; for the engine's own operations and for users' functions.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autograd/variable.h"

namespace damc {

struct GradcheckOptions {
  double step = 1e-3;             ///< of the difference quotient, relative to the size of what moves
  double tolerance = 1e-6;        ///< largest relative error
  std::uint64_t seed = 1;         ///< of the projection and the directions
  int directions = 4;             ///< random directions tried per input
  std::int64_t elementwise = 64;  ///< of inputs of up to so many elements each is tried instead
};

/// What was tried and where it was worst.
struct GradcheckResult {
  bool ok = true;
  bool kink = false;   ///< the failure is at a kink of f, not a mistake in its gradient
  double worst = 0.0;  ///< largest relative error seen
  std::size_t input = 0;
  std::string place;  ///< within the input: "element [1, 0]", or "random direction 2 of 4" where all is well
  double analytic = 0.0, numeric = 0.0;
  std::string message;  ///< one line with all of it; empty when ok
};

/// Compares grad() of L = sum(f(inputs) * c), c random, with a four-point central difference of L (error O(step^4)),
/// element by element or, of large inputs, along random directions; one that fails is narrowed down to the element
/// that is most at fault. The relative error of a derivative is |analytic - numeric| / max(|analytic|, |numeric|,
/// scale), scale the root mean square of the input's gradient.
///
/// A step is `step` times the size of the element; where that disagrees, other steps are tried, of which a right
/// gradient agrees with one and a wrong one with none. Where f has two one-sided derivatives, the failure is called a
/// kink: no gradient is right there; keep inputs away. Throws Error for inputs or results that are not f64.
GradcheckResult gradcheck(const std::function<Variable(const std::vector<Variable>&)>& f,
                          const std::vector<Tensor>& inputs, const GradcheckOptions& options = {});

/// The same for the second derivatives: checks the gradients of grad(f(inputs), inputs, create_graph, c), c random. They are
/// taken with respect to c as well, which counts as one more input.
GradcheckResult gradgradcheck(const std::function<Variable(const std::vector<Variable>&)>& f,
                              const std::vector<Tensor>& inputs, const GradcheckOptions& options = {});

}  // namespace damc
