/// Stochastic gradient descent with momentum as PyTorch computes it:
///
///   v <- momentum v + g + weight_decay p,  p <- p - lr v
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "nn/module.h"

namespace damc {

struct SgdOptions {
  double momentum = 0.0;
  double weight_decay = 0.0;
};

class Sgd {
 public:
  /// Updates the module's parameters. Throws Error unless they are of float types that it can compute with.
  explicit Sgd(const Module& module, const SgdOptions& options = {});

  /// One update; grads are in the order of module.parameters(). Throws Error when they do not fit, and changes nothing then.
  void step(const std::vector<Tensor>& grads, double lr);

 private:
  SgdOptions options_;
  std::vector<std::pair<std::string, Variable>> parameters_;  // by their names
  std::vector<Tensor> velocities_;                            // without momentum none
};

}  // namespace damc
