/// Adam (Kingma and Ba, 2015) and AdamW (Loshchilov and Hutter, 2019) as PyTorch computes them:
///
///   m <- b1 m + (1 - b1) g,  v <- b2 v + (1 - b2) g^2
///   p <- p (1 - lr wd) - lr / (1 - b1^t) m / (sqrt(v / (1 - b2^t)) + eps)
///
/// With weight decay 0 both are the same, so there is one class.
#pragma once

#include "nn/module.h"
#include "optim/watch.h"

namespace damc {

struct AdamOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.0;  ///< decoupled (AdamW's)
};

class Adam {
 public:
  /// Updates the module's parameters. Throws Error unless they are of one float type on one device.
  Adam(Module& module, const AdamOptions& options);

  /// Writes the learning rate of the next updates to the device, so that a captured update finds it there.
  void set_rate(double lr) { schedule_.narrow(0, 0, 1).fill(lr); }
  /// One update. grads are in the order of module.parameters(), zeros for one that the loss does not depend on: it goes on by
  /// its moments and decays, where PyTorch leaves it out; `norm` is their global_norm. With max_norm >
  /// 0 they are scaled down together so that it is at most max_norm (PyTorch's clip_grad_norm_). Nothing
  /// changes once `watch` has seen a number that is not finite.
  void update(const std::vector<Tensor>& grads, const Tensor& norm, double max_norm,
              const FiniteWatch* watch = nullptr);
  /// set_rate and update.
  void step(const std::vector<Tensor>& grads, const Tensor& norm, double lr, double max_norm = 0.0) {
    set_rate(lr);
    update(grads, norm, max_norm);
  }

  /// Moments and step count under prefix + "m.<parameter>", "v.<parameter>", "schedule".
  StateDict state_dict(const std::string& prefix) const;
  /// Throws UserError naming what is missing or has another shape, and changes nothing then.
  void load_state_dict(const StateDict& state, const std::string& prefix);
  /// The first half of that.
  void find_state(Loading& loading, const std::string& prefix) const;

 private:
  struct Slot {
    std::string name;
    Variable parameter;
    Tensor m, v;
  };

  AdamOptions options_;
  std::vector<Slot> slots_;
  Tensor schedule_;  // f64 {learning rate, beta1^t, beta2^t} on the device
};

/// The norm of all gradients together, a scalar on the device.
Tensor global_norm(const std::vector<Tensor>& grads);

}  // namespace damc
