/// Checks gradients against finite differences; for the engine's own operations and for users' functions.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autograd/variable.h"

namespace damc {

struct GradcheckOptions {
  double step = 1e-3;       ///< of the difference quotient, relative to inputs of size 1
  double tolerance = 1e-6;  ///< largest relative error
  std::uint64_t seed = 1;   ///< of the projection and the directions
  int directions =
      4;  ///< random directions tried per input; inputs of up to `elementwise` elements: each one
  std::int64_t elementwise = 64;
};

struct GradcheckResult {
  bool ok = true;
  double worst = 0.0;   ///< largest relative error seen
  std::string message;  ///< where the worst is, with both values; empty when ok
};

/// Compares grad() of L = sum(f(inputs) * c), c random, with a four-point central difference of L (error
/// O(step^4)). The relative error of a derivative is |analytic - numeric| / max(|analytic|, |numeric|,
/// scale), scale the root mean square of the input's gradient along unit directions. Inputs must be f64; keep
/// them away from kinks. Throws Error for f32 inputs.
GradcheckResult gradcheck(const std::function<Variable(const std::vector<Variable>&)>& f,
                          const std::vector<Tensor>& inputs, const GradcheckOptions& options = {});

}  // namespace damc
