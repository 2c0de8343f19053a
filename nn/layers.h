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

/// Convolution; weight Cout,kH,kW,Cin/groups. Throws Error where channels do not divide into the groups.
class Conv2d final : public FusableLayer {
 public:
  Conv2d(std::int64_t in, std::int64_t out, Pair kernel, const ConvOptions& options, Init& init,
         bool with_bias = true);
  Variable forward_with(const Variable& x, const Unary& activation) const override;
  void visit(const std::string& prefix, const Visitor& visitor) const override;

  Variable weight, bias;
  MatmulPrecision precision;

 private:
  ConvOptions options_;
};

/// Transposed convolution; weight Cin,kH,kW,Cout/groups. Its fan_in is Cout/groups kH kW, as PyTorch counts it. Throws
/// Error likewise.
class ConvTranspose2d final : public FusableLayer {
 public:
  ConvTranspose2d(std::int64_t in, std::int64_t out, Pair kernel, const ConvOptions& options, Init& init,
                  bool with_bias = true);
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

/// Batch normalisation of x [.., C], weight (1 at first) and bias (0). It trains on the statistics of each batch and
/// gathers them: running <- (1 - momentum) running + momentum batch's, the variance the unbiased one; eval() takes what
/// was gathered.
class BatchNorm final : public FusableLayer {
 public:
  BatchNorm(std::int64_t channels, Init& init, double eps = 1e-5, double momentum = 0.1);
  Variable forward_with(const Variable& x, const Unary& activation) const override;
  void visit(const std::string& prefix, const Visitor& visitor) const override;
  void train(bool on = true) override { training_ = on; }

  Variable weight, bias;
  Variable running_mean, running_var;  ///< buffers

 private:
  double eps_, momentum_;
  bool training_ = true;
};
using BatchNorm1d = BatchNorm;
using BatchNorm2d = BatchNorm;

/// Normalisation over the last dimension, of size `size`.
class LayerNorm final : public Layer {
 public:
  LayerNorm(std::int64_t size, Init& init, double eps = 1e-5);
  Variable forward(const Variable& x) const override { return layer_norm(x, weight, bias, eps_); }
  void visit(const std::string& prefix, const Visitor& visitor) const override;

  Variable weight, bias;

 private:
  double eps_;
};

/// While it trains, each element is 0 with probability p, else divided by 1 - p.
class Dropout final : public Layer {
 public:
  /// Keeps a reference to the generator.
  Dropout(double p, Generator& random) : p_(p), random_(random) {}
  Variable forward(const Variable& x) const override { return training_ ? dropout(x, p_, random_) : x; }
  void train(bool on = true) override { training_ = on; }

 private:
  double p_;
  Generator& random_;
  bool training_ = true;
};

/// A row of weight [V, D], N(0, 1) at first, for each whole number of x.
class Embedding final : public Layer {
 public:
  Embedding(std::int64_t count, std::int64_t size, Init& init) : weight(init.normal({count, size})) {}
  Variable forward(const Variable& x) const override { return embedding(x.value(), weight); }
  void visit(const std::string& prefix, const Visitor& visitor) const override;

  Variable weight;
};

/// Dimensions from the second on become one.
class Flatten final : public Layer {
 public:
  Variable forward(const Variable& x) const override { return flatten(x); }
};

/// Each pixel as a block: nearest neighbours.
class Upsample final : public Layer {
 public:
  explicit Upsample(Pair factor) : factor_(factor) {}
  Variable forward(const Variable& x) const override { return upsample(x, factor_); }

 private:
  Pair factor_;
};

/// The largest element of each window.
class MaxPool2d final : public Layer {
 public:
  explicit MaxPool2d(const PoolOptions& options) : options_(options) {}
  explicit MaxPool2d(Pair kernel) : options_{kernel} {}
  Variable forward(const Variable& x) const override { return max_pool2d(x, options_); }

 private:
  PoolOptions options_;
};

/// The mean of each window.
class AvgPool2d final : public Layer {
 public:
  explicit AvgPool2d(const PoolOptions& options) : options_(options) {}
  explicit AvgPool2d(Pair kernel) : options_{kernel} {}
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
inline std::unique_ptr<Layer> relu_layer() { return leaky_relu_layer(0.0); }
inline std::unique_ptr<Layer> gelu_layer() { return std::make_unique<Activation>(Unary{UnaryOp::gelu}); }
inline std::unique_ptr<Layer> sigmoid_layer() {
  return std::make_unique<Activation>(Unary{UnaryOp::sigmoid});
}
inline std::unique_ptr<Layer> tanh_layer() { return std::make_unique<Activation>(Unary{UnaryOp::tanh}); }
inline std::unique_ptr<Layer> silu_layer() { return std::make_unique<Activation>(Unary{UnaryOp::silu}); }

/// Layers one after the other; parameters are named by position ("0.weight"). An activation that can be
/// fused into the layer before it costs no pass of its own.
class Sequential final : public Layer {
 public:
  /// Throws Error for none.
  void push_back(std::unique_ptr<Layer> layer);
  /// Makes a layer at the end, and returns it.
  template <class L, class... Args>
  L& emplace(Args&&... args) {
    auto layer = std::make_unique<L>(std::forward<Args>(args)...);
    L& made = *layer;
    push_back(std::move(layer));
    return made;
  }
  void train(bool on = true) override {
    for (const auto& layer : layers_) layer->train(on);
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
