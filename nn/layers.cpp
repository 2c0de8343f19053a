#include "nn/layers.h"

#include <cmath>

#include "tensor/error.h"

namespace damc {

Linear::Linear(std::int64_t in, std::int64_t out, Init& init, bool with_bias)
    : weight(init.uniform({out, in}, in)), bias(with_bias ? init.uniform({out}, in) : Variable()) {}

Variable Linear::forward(const Variable& x, const Unary* fused) const {
  return linear(x, weight, bias, fused);
}

void Linear::visit(const std::string& prefix, const Visitor& visitor) const {
  visitor(prefix + "weight", weight);
  if (bias.defined()) visitor(prefix + "bias", bias);
}

Conv2d::Conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride,
               std::int64_t padding, Init& init)
    : weight(init.uniform({out, kernel, kernel, in}, in * kernel * kernel)),
      bias(init.uniform({out}, in * kernel * kernel)),
      stride_(stride),
      padding_(padding) {}

Variable Conv2d::forward(const Variable& x, const Unary* fused) const {
  return conv2d(x, weight, bias, stride_, padding_, fused);
}

void Conv2d::visit(const std::string& prefix, const Visitor& visitor) const {
  visitor(prefix + "weight", weight);
  visitor(prefix + "bias", bias);
}

ConvTranspose2d::ConvTranspose2d(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride,
                                 std::int64_t padding, Init& init)
    : weight(init.uniform({in, kernel, kernel, out}, out * kernel * kernel)),
      bias(init.uniform({out}, out * kernel * kernel)),
      stride_(stride),
      padding_(padding) {}

Variable ConvTranspose2d::forward(const Variable& x, const Unary* fused) const {
  return conv_transpose2d(x, weight, bias, stride_, padding_, fused);
}

void ConvTranspose2d::visit(const std::string& prefix, const Visitor& visitor) const {
  visitor(prefix + "weight", weight);
  visitor(prefix + "bias", bias);
}

InstanceNorm2d::InstanceNorm2d(std::int64_t channels, Init& init)
    : weight(init.constant({channels}, 1.0)), bias(init.constant({channels}, 0.0)) {}

Variable InstanceNorm2d::forward(const Variable& x, const Unary* fused) const {
  return instance_norm(x, weight, bias, 1e-5, fused);
}

void InstanceNorm2d::visit(const std::string& prefix, const Visitor& visitor) const {
  visitor(prefix + "weight", weight);
  visitor(prefix + "bias", bias);
}

Variable Activation::forward(const Variable& x, const Unary* fused) const {
  ENSURE(!fused, "activation: nothing fuses into an activation");
  return unary(f_, x);
}

const Unary* Activation::as_activation() const {
  return f_.op == UnaryOp::leaky_relu || f_.op == UnaryOp::tanh ? &f_ : nullptr;
}

Variable Sequential::forward(const Variable& x, const Unary* fused) const {
  ENSURE(!fused, "sequential: nothing fuses into a sequence");
  Variable y = x;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const Unary* next = i + 1 < layers_.size() ? layers_[i + 1]->as_activation() : nullptr;
    if (next && layers_[i]->can_fuse()) {
      y = layers_[i++]->forward(y, next);
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
