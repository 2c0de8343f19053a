/// Layers by PyTorch's names, with its parameters, defaults and initialisation. Images are N,H,W,C.
#pragma once

#include <memory>
#include <optional>

#include "autograd/ops.h"
#include "nn/init.h"
#include "nn/module.h"

namespace damc {

/// A module of one input and one output.
class Layer : public Module {
 public:
  virtual Variable forward(const Variable& x) const = 0;
  void visit(const std::string&, const Visitor&) const override {}
};

/// A layer that can apply an activation, one that fuses(), to its result in the same pass.
class FusableLayer : public Layer {
 public:
  Variable forward(const Variable& x) const final { return forward_with(x, {}); }
  virtual Variable forward_with(const Variable& x, const Unary& activation) const = 0;
};

/// y = x W^T + b; x [N, in], weight [out, in], bias [out].
class Linear final : public FusableLayer {
 public:
  Linear(std::int64_t in, std::int64_t out, Init& init, bool bias = true);
  Variable forward_with(const Variable& x, const Unary& activation) const override;
  void visit(const std::string& prefix, const Visitor& visitor) const override;

  Variable weight, bias;  ///< bias is undefined when there is none
  MatmulPrecision precision;
};

/// Convolution; weight Cout,kH,kW,Cin.
class Conv2d final : public FusableLayer {
 public:
  Conv2d(std::int64_t in, std::int64_t out, Pair kernel, const ConvOptions& options, Init& init);
  Variable forward_with(const Variable& x, const Unary& activation) const override;
  void visit(const std::string& prefix, const Visitor& visitor) const override;

  Variable weight, bias;
  MatmulPrecision precision;

 private:
  ConvOptions options_;
};

/// Transposed convolution; weight Cin,kH,kW,Cout. Its fan_in is Cout kH kW, as PyTorch counts it.
class ConvTranspose2d final : public FusableLayer {
 public:
  ConvTranspose2d(std::int64_t in, std::int64_t out, Pair kernel, const ConvOptions& options, Init& init);
  Variable forward_with(const Variable& x, const Unary& activation) const override;
  void visit(const std::string& prefix, const Visitor& visitor) const override;

  Variable weight, bias;
  MatmulPrecision precision;

 private:
  ConvOptions options_;
};

/// Instance normalisation with affine weight (1 at first) and bias (0); eps 1e-5.
class InstanceNorm2d final : public FusableLayer {
 public:
  InstanceNorm2d(std::int64_t channels, Init& init);
  Variable forward_with(const Variable& x, const Unary& activation) const override;
  void visit(const std::string& prefix, const Visitor& visitor) const override;

  Variable weight, bias;
};

/// The largest element of each window.
class MaxPool2d final : public Layer {
 public:
  explicit MaxPool2d(const PoolOptions& options) : options_(options) {}
  Variable forward(const Variable& x) const override { return max_pool2d(x, options_); }

 private:
  PoolOptions options_;
};

/// The mean of each window.
class AvgPool2d final : public Layer {
 public:
  explicit AvgPool2d(const PoolOptions& options) : options_(options) {}
  Variable forward(const Variable& x) const override { return avg_pool2d(x, options_); }

 private:
  PoolOptions options_;
};

/// A pointwise function as a layer.
class Activation final : public Layer {
 public:
  explicit Activation(const Unary& f) : function(f) {}
  Variable forward(const Variable& x) const override { return unary(function, x); }

  const Unary function;
};

inline std::unique_ptr<Layer> leaky_relu_layer(double slope) {
  return std::make_unique<Activation>(Unary{UnaryOp::leaky_relu, slope});
}
inline std::unique_ptr<Layer> tanh_layer() { return std::make_unique<Activation>(Unary{UnaryOp::tanh}); }
inline std::unique_ptr<Layer> silu_layer() { return std::make_unique<Activation>(Unary{UnaryOp::silu}); }

/// Layers one after the other; parameters are named by position ("0.weight"). An activation that can be
/// fused into the layer before it costs no pass of its own.
class Sequential final : public Layer {
 public:
  void push_back(std::unique_ptr<Layer> layer) { layers_.push_back(std::move(layer)); }
  template <class L, class... Args>
  void emplace(Args&&... args) {
    push_back(std::make_unique<L>(std::forward<Args>(args)...));
  }
  Variable forward(const Variable& x) const override;
  void visit(const std::string& prefix, const Visitor& visitor) const override;

 private:
  std::vector<std::unique_ptr<Layer>> layers_;
};

/// The size/2 frequencies exp(-log(10000) i / (size/2 - 1)) of a sinusoidal embedding, in f64.
Tensor sinusoidal_frequencies(std::int64_t size, Device device = {});
/// [sin half, cos half] of positions t [N] times frequencies [size/2]: out [N, size].
Tensor sinusoidal_embedding(const Tensor& t, const Tensor& frequencies);

}  // namespace damc
