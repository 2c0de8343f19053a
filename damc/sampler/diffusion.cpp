#include "damc/sampler/diffusion.h"

#include <cmath>

#include "tensor/error.h"
#include "tensor/ops.h"

namespace damc {
namespace {

/// log sigmoid(x) without overflow
double log_sigmoid(double x) { return x > 0.0 ? -std::log1p(std::exp(-x)) : x - std::log1p(std::exp(x)); }

}  // namespace

LogSnrSchedule::LogSnrSchedule(double least, double most)
    : a_(std::atan(std::exp(-0.5 * least)) - std::atan(std::exp(-0.5 * most))),
      b_(std::atan(std::exp(-0.5 * most))) {
  ENSURE(least < most, "log-SNR schedule: minimum {} is not below maximum {}", least, most);
}

double LogSnrSchedule::operator()(double t) const { return -2.0 * std::log(std::tan(a_ * t + b_)); }

Tensor LogSnrSchedule::operator()(const Tensor& t) const {
  const Tensor angle = affine(t, a_, b_);
  return mul(sub(log(sin(angle)), log(cos(angle))), -2.0);
}

Tensor diffuse(const Tensor& z, const Tensor& eps, const Tensor& logsnr) {
  const Tensor column = logsnr.reshape({-1, 1});
  return add(mul(z, sqrt(sigmoid(column))), mul(eps, sqrt(sigmoid(mul(column, -1.0)))));
}

ReverseStep reverse_step(double logsnr_t, double logsnr_s, double gamma) {
  ReverseStep step = final_step(logsnr_t);
  const double r = std::exp(logsnr_t - logsnr_s);
  const double one_minus_r = -std::expm1(logsnr_t - logsnr_s);  // 1 - r loses its digits when t is near s
  step.keep = r * std::sqrt((1.0 + std::exp(-logsnr_t)) / (1.0 + std::exp(-logsnr_s)));
  step.pull = one_minus_r * std::exp(0.5 * log_sigmoid(logsnr_s));
  const double log_variance =
      std::log(one_minus_r) + gamma * log_sigmoid(-logsnr_t) + (1.0 - gamma) * log_sigmoid(-logsnr_s);
  step.noise = std::exp(0.5 * log_variance);
  return step;
}

ReverseStep solver_step(double logsnr_t, double logsnr_s, double eta) {
  ReverseStep step = final_step(logsnr_t);
  const double h = 0.5 * (logsnr_s - logsnr_t);  // of lambda = log(alpha / sigma)
  const double sigma_t = std::exp(0.5 * log_sigmoid(-logsnr_t)),
               sigma_s = std::exp(0.5 * log_sigmoid(-logsnr_s));
  step.keep = sigma_s / sigma_t * std::exp(-eta * h);
  step.pull = -std::expm1(-(1.0 + eta) * h) * std::exp(0.5 * log_sigmoid(logsnr_s));
  step.noise = sigma_s * std::sqrt(-std::expm1(-2.0 * eta * h));
  return step;
}

ReverseStep final_step(double logsnr_t) {
  // z_hat = sqrt(1 + e^-logsnr) (z_t - eps_hat / sqrt(1 + e^logsnr))
  const double z_scale = std::sqrt(1.0 + std::exp(-logsnr_t));
  return {z_scale, z_scale / std::sqrt(1.0 + std::exp(logsnr_t)), 0.0, 1.0, 0.0};
}

}  // namespace damc
