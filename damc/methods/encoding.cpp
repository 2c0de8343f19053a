#include "damc/methods/encoding.h"

#include <cmath>
#include <numbers>

#include "tensor/error.h"

namespace damc {

Encoded encode(const Layer& encoder, const Tensor& x, std::int64_t nz, Generator& random) {
  const Variable heads = encoder.forward(x);
  const std::int64_t columns = heads.size(1);
  ENSURE(columns == nz || columns == 2 * nz, "an encoder of {} numbers for nz = {}", columns, nz);
  if (columns == nz) return {heads, heads, {}};
  const Variable mean = narrow(heads, 1, 0, nz), log_variance = narrow(heads, 1, nz, nz);
  const Tensor eps = random.normal(mean.shape(), x.dtype());
  return {mean + exp(0.5 * log_variance) * eps, mean, log_variance};
}

Tensor encoded_mean(const Layer& encoder, const Tensor& x, std::int64_t nz) {
  return encoder.forward(x).value().narrow(1, 0, nz).contiguous();
}

Variable kl_divergence(const Encoded& q) {
  const auto rows = static_cast<double>(q.mean.size(0)),
             numbers = static_cast<double>(q.mean.value().numel());
  const Variable whole = sum(square(q.mean)) + sum(exp(q.log_variance)) - sum(q.log_variance);
  return affine(whole, 0.5 / rows, -0.5 * numbers / rows);
}

Variable negative_elbo(const Likelihood& likelihood, double sigma, const Encoded& q, const Tensor& x) {
  return (0.5 / (sigma * sigma)) * likelihood.loss(q.z, x) + kl_divergence(q);
}

Variable negative_elbo(const Likelihood& likelihood, const NoiseScale& noise, const Encoded& q,
                       const Tensor& x) {
  const double numbers = static_cast<double>(x.numel()) / static_cast<double>(x.size(0));
  const Variable log_g = sum(noise.log());
  const Variable error = 0.5 * (exp(-2.0 * log_g) * likelihood.loss(q.z, x));
  return error + affine(log_g, numbers, 0.5 * numbers * std::log(2.0 * std::numbers::pi)) + kl_divergence(q);
}

Variable regularised_error(const Likelihood& likelihood, const Module& decoder, double latent_l2,
                           double filter_l2, const Encoded& q, const Tensor& x) {
  Variable loss = likelihood.loss(q.z, x) + (latent_l2 / static_cast<double>(x.size(0))) * sum(square(q.z));
  decoder.visit("", [&](const std::string& name, const Variable& parameter) {
    if (name.ends_with("weight")) loss = loss + filter_l2 * sum(square(parameter));
  });
  return loss;
}

}  // namespace damc
