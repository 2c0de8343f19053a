/// The diffusion in log signal-to-noise ratio (Section 2.2): forward process, reverse step and their
/// schedule.
///
/// logsnr falls from its maximum at t = 0 (data) to its minimum at t = 1 (noise).
#pragma once

#include "tensor/tensor.h"

namespace damc {

/// logsnr(t) = -2 log tan(a t + b), b = atan(exp(-max/2)), a = atan(exp(-min/2)) - b, t in [0, 1].
class LogSnrSchedule {
 public:
  LogSnrSchedule(double least, double most);
  double operator()(double t) const;
  /// The same for a tensor of times.
  Tensor operator()(const Tensor& t) const;

 private:
  double a_, b_;
};

/// z_t = sqrt(sigmoid(logsnr)) z + sqrt(sigmoid(-logsnr)) eps, Eq. (4); z, eps [N, nz], logsnr [N].
Tensor diffuse(const Tensor& z, const Tensor& eps, const Tensor& logsnr);

/// One step of the ancestral sampler, Eq. (5), as numbers: z_s = keep z_t + pull z_hat + noise w with w ~
/// N(0, I) and z_hat = z_scale z_t - eps_scale eps_hat the prediction of z.
struct ReverseStep {
  double z_scale, eps_scale;
  double keep, pull, noise;
};

/// From logsnr_t to the larger logsnr_s. gamma = 1 is the 'large' variance (1 - r) sigmoid(-logsnr_t), gamma
/// = 0 the posterior's 'small' one (1 - r) sigmoid(-logsnr_s), r = exp(logsnr_t - logsnr_s); logarithms are
/// interpolated between.
ReverseStep reverse_step(double logsnr_t, double logsnr_s, double gamma);

/// The same step by the differential equation that has the process's marginals (Lu et al., DPM-Solver++, Eq. (9) and its
/// stochastic form): exact for a z_hat that does not change within it, and then DDIM's (Song et al.). eta is the share of
/// the noise, from 0, none, to 1, the posterior's 'small' variance.
ReverseStep solver_step(double logsnr_t, double logsnr_s, double eta);

/// The last step, to t = 0: the prediction itself.
ReverseStep final_step(double logsnr_t);

}  // namespace damc
