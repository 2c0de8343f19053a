#include "nn/layers.h"

#include <cmath>

#include "tensor/error.h"

namespace damc {

Linear::Linear(std::int64_t in, std::int64_t out, Init& init, bool with_bias)
    : weight(init.uniform({out, in}, in)),
      bias(with_bias ? init.uniform({out}, in) : Variable()),
      precision(init.precision()) {}

Variable Linear::forward_with(const Variable& x, const Unary& activation) const {
  return linear(x, weight, bias, {activation, precision});
}

void Linear::visit(const std::string& prefix, const Visitor& visitor) const {
  visitor(prefix + "weight", weight);
  if (bias.defined()) visitor(prefix + "bias", bias);
}

Conv2d::Conv2d(std::int64_t in, std::int64_t out, Pair kernel, const ConvOptions& options, Init& init,
               bool with_bias)
    : precision(init.precision()), options_(options) {
  check_groups("Conv2d", in, out, options.groups);
  const std::int64_t of_group = in / options.groups, fan_in = of_group * kernel.h * kernel.w;
  weight = init.uniform({out, kernel.h, kernel.w, of_group}, fan_in);
  if (with_bias) bias = init.uniform({out}, fan_in);
}

Variable Conv2d::forward_with(const Variable& x, const Unary& activation) const {
  return conv2d(x, weight, bias, options_, {activation, precision});
}

void Conv2d::visit(const std::string& prefix, const Visitor& visitor) const {
  visitor(prefix + "weight", weight);
  if (bias.defined()) visitor(prefix + "bias", bias);
}

ConvTranspose2d::ConvTranspose2d(std::int64_t in, std::int64_t out, Pair kernel, const ConvOptions& options,
                                 Init& init, bool with_bias)
    : precision(init.precision()), options_(options) {
  check_groups("ConvTranspose2d", in, out, options.groups);
  const std::int64_t of_group = out / options.groups, fan_in = of_group * kernel.h * kernel.w;
  weight = init.uniform({in, kernel.h, kernel.w, of_group}, fan_in);
  if (with_bias) bias = init.uniform({out}, fan_in);
}

Variable ConvTranspose2d::forward_with(const Variable& x, const Unary& activation) const {
  return conv_transpose2d(x, weight, bias, options_, {activation, precision});
}

void ConvTranspose2d::visit(const std::string& prefix, const Visitor& visitor) const {
  visitor(prefix + "weight", weight);
  if (bias.defined()) visitor(prefix + "bias", bias);
}

InstanceNorm2d::InstanceNorm2d(std::int64_t channels, Init& init)
    : weight(init.constant({channels}, 1.0)), bias(init.constant({channels}, 0.0)) {}

Variable InstanceNorm2d::forward_with(const Variable& x, const Unary& activation) const {
  return instance_norm(x, weight, bias, 1e-5, activation);
}

void InstanceNorm2d::visit(const std::string& prefix, const Visitor& visitor) const {
  visitor(prefix + "weight", weight);
  visitor(prefix + "bias", bias);
}

BatchNorm::BatchNorm(std::int64_t channels, Init& init, double eps, double momentum)
    : weight(init.constant({channels}, 1.0)),
      bias(init.constant({channels}, 0.0)),
      running_mean(init.constant({channels}, 0.0).detach()),
      running_var(init.constant({channels}, 1.0).detach()),
      eps_(eps),
      momentum_(momentum) {}

Variable BatchNorm::forward_with(const Variable& x, const Unary& activation) const {
  if (!training_) {
    const Variable scale = weight * pow(running_var + eps_, -0.5);
    return unary(activation, x * scale + (bias - running_mean * scale));
  }
  const std::int64_t channels = weight.size(0), rows = channels > 0 ? x.numel() / channels : 0;
  ENSURE(x.size(-1) == channels && rows > 1,
         "batch_norm: x is {}, expected [.., {}] and more than one row to train on", x.shape().str(),
         channels);
  Variable y = batch_norm(x, weight, bias, eps_, activation);  // before anything is gathered: it may refuse x
  const InstanceStats batch = instance_norm_stats(x.value().reshape({1, rows, 1, channels}), 0.0);
  const double unbiased = static_cast<double>(rows) / static_cast<double>(rows - 1);
  const auto gather = [&](const Variable& running, const Tensor& seen) {
    running.value().copy_from(running.value() * (1.0 - momentum_) + seen.reshape({channels}) * momentum_);
  };
  gather(running_mean, batch.mean);
  gather(running_var, pow(batch.rstd, -2.0) * unbiased);
  return y;
}

void BatchNorm::visit(const std::string& prefix, const Visitor& visitor) const {
  visitor(prefix + "weight", weight);
  visitor(prefix + "bias", bias);
  visitor(prefix + "running_mean", running_mean);
  visitor(prefix + "running_var", running_var);
}

LayerNorm::LayerNorm(std::int64_t size, Init& init, double eps)
    : weight(init.constant({size}, 1.0)), bias(init.constant({size}, 0.0)), eps_(eps) {}

void LayerNorm::visit(const std::string& prefix, const Visitor& visitor) const {
  visitor(prefix + "weight", weight);
  visitor(prefix + "bias", bias);
}

void Embedding::visit(const std::string& prefix, const Visitor& visitor) const {
  visitor(prefix + "weight", weight);
}

void Sequential::push_back(std::unique_ptr<Layer> layer) {
  ENSURE(layer, "Sequential: layer number {} is none", layers_.size());
  layers_.push_back(std::move(layer));
}

Variable Sequential::forward(const Variable& x) const {
  Variable y = x;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const auto* fusable = dynamic_cast<const FusableLayer*>(layers_[i].get());
    const auto* next =
        i + 1 < layers_.size() ? dynamic_cast<const Activation*>(layers_[i + 1].get()) : nullptr;
    if (fusable && next && fuses(next->function)) {
      y = fusable->forward_with(y, next->function);
      ++i;
    } else {
      y = layers_[i]->forward(y);
    }
  }
  return y;
}

void Sequential::visit(const std::string& prefix, const Visitor& visitor) const {
  for (std::size_t i = 0; i < layers_.size(); ++i)
    layers_[i]->visit(prefix + std::to_string(i) + ".", visitor);
}

Tensor sinusoidal_frequencies(std::int64_t size, Device device) {
  ENSURE(size >= 4 && size % 2 == 0, "sinusoidal_frequencies: size {}", size);
  const std::int64_t half = size / 2;
  std::vector<double> frequencies(static_cast<std::size_t>(half));
  for (std::int64_t i = 0; i < half; ++i) {
    frequencies[static_cast<std::size_t>(i)] =
        std::exp(-std::log(10000.0) * static_cast<double>(i) / static_cast<double>(half - 1));
  }
  return Tensor::from(frequencies, {half}, device);
}

Tensor sinusoidal_embedding(const Tensor& t, const Tensor& frequencies) {
  ENSURE(t.ndim() == 1 && frequencies.ndim() == 1, "sinusoidal_embedding: positions {}, frequencies {}",
         t.shape().str(), frequencies.shape().str());
  const Tensor angles = mul(t.reshape({-1, 1}), frequencies.to(t.dtype()));
  return cat(std::vector<Tensor>{sin(angles), cos(angles)}, 1);
}

}  // namespace damc
