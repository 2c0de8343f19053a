/// Ancestral sampling (Eq. (5)) from the denoiser, and the same in fewer steps by other solvers: without gradients, and
/// with everything that does not depend on z_t taken out of the loop.
///
/// In a block only W and W_s see z_t. Its context c = SiLU(W_c SiLU([temb; xemb]) + b_c) is a function of a
/// part per time and a part per image, so gates and shifts of many steps come from a few large products, and
/// W and W_s share one.
#pragma once

#include <functional>

#include "damc/choices.h"
#include "damc/nets/denoiser.h"
#include "damc/sampler/diffusion.h"
#include "tensor/random.h"

namespace damc {

struct AncestralOptions {
  Solver solver = Solver::ancestral;
  int steps = 100;
  LogSnrSchedule schedule{-5.1, 9.8};
  double gamma = 1.0;     ///< variance of ancestral sampling: 1 'large' .. 0 'small'
  double eta = 0.0;       ///< share of the noise of the other solvers: 0, deterministic, .. 1
  double guidance = 0.0;  ///< w: eps = (1 + w) eps_cond - w eps_uncond
};

/// The times of a sampler, made once: a captured step finds them on the device.
class AncestralPlan {
 public:
  /// For networks of this type on this device. Throws Error for fewer than two steps.
  AncestralPlan(const AncestralOptions& options, Dtype dtype, Device device);

  const AncestralOptions& options() const { return options_; }
  /// logsnr of every step, in sampling order.
  const std::vector<double>& logsnrs() const { return logsnrs_; }
  /// The same on the device, [steps].
  const Tensor& times() const { return times_; }

 private:
  AncestralOptions options_;
  std::vector<double> logsnrs_;
  Tensor times_;
};

/// Runs i = steps-1 .. 0 at times t = i / (steps-1) from z [N, nz] (not modified) by the plan's solver, with
/// net(number of the step, z_t) = eps_hat - z_t, [N, nz]. With noise null every noise term is left out.
Tensor reverse_process(const Tensor& z, const AncestralPlan& plan,
                       const std::function<Tensor(std::int64_t step, const Tensor& z)>& net,
                       Generator* noise);

/// The same with a denoiser's net, from z ~ N(0, I) under xemb [N, nemb], or [1, nemb] for all z alike, which saves the
/// other rows' gates and shifts. `unconditional` [N, nemb] is needed for guidance only; undefined, there is none.
Tensor ancestral_sample(const Denoiser& denoiser, const Tensor& z, const Tensor& xemb,
                        const Tensor& unconditional, const AncestralPlan& plan, Generator* noise);

inline Tensor ancestral_sample(const Denoiser& denoiser, const Tensor& z, const Tensor& xemb,
                               const Tensor& unconditional, const AncestralOptions& options,
                               Generator* noise) {
  return ancestral_sample(denoiser, z, xemb, unconditional, AncestralPlan(options, z.dtype(), z.device()),
                          noise);
}

}  // namespace damc
