/// Differentiable operations, by PyTorch's names: the forward value and one vjp per input stand side by side
/// in ops.cpp. Shapes and errors are those of the tensor operations of the same name (tensor/ops.h); tensors
/// are taken as constants.
#pragma once

#include "autograd/variable.h"
#include "tensor/ops.h"

namespace damc {

Variable unary(const Unary& f, const Variable& x);
/// scale x + shift
inline Variable affine(const Variable& x, double scale, double shift) {
  return unary({UnaryOp::affine, scale, shift}, x);
}
inline Variable exp(const Variable& x) { return unary({UnaryOp::exp}, x); }
inline Variable log(const Variable& x) { return unary({UnaryOp::log}, x); }
inline Variable sqrt(const Variable& x) { return unary({UnaryOp::sqrt}, x); }
inline Variable square(const Variable& x) { return unary({UnaryOp::square}, x); }
inline Variable reciprocal(const Variable& x) { return unary({UnaryOp::reciprocal}, x); }
inline Variable sin(const Variable& x) { return unary({UnaryOp::sin}, x); }
inline Variable cos(const Variable& x) { return unary({UnaryOp::cos}, x); }
inline Variable atan(const Variable& x) { return unary({UnaryOp::atan}, x); }
inline Variable tanh(const Variable& x) { return unary({UnaryOp::tanh}, x); }
inline Variable sigmoid(const Variable& x) { return unary({UnaryOp::sigmoid}, x); }
inline Variable softplus(const Variable& x) { return unary({UnaryOp::softplus}, x); }
inline Variable silu(const Variable& x) { return unary({UnaryOp::silu}, x); }
inline Variable leaky_relu(const Variable& x, double slope) { return unary({UnaryOp::leaky_relu, slope}, x); }
inline Variable relu(const Variable& x) { return leaky_relu(x, 0.0); }
inline Variable clamp(const Variable& x, double low, double high) {
  return unary({UnaryOp::clamp, low, high}, x);
}
/// A step has no gradient: the result is a constant.
inline Variable greater(const Variable& x, double bound) { return greater(x.value(), bound); }

/// x in another type; the gradient is cast back.
Variable cast(const Variable& x, Dtype dtype);

Variable add(const Variable& a, const Variable& b);
Variable sub(const Variable& a, const Variable& b);
Variable mul(const Variable& a, const Variable& b);
Variable div(const Variable& a, const Variable& b);
inline Variable mul(const Variable& x, double factor) { return affine(x, factor, 0.0); }
inline Variable add(const Variable& x, double term) { return affine(x, 1.0, term); }

inline Variable operator+(const Variable& a, const Variable& b) { return add(a, b); }
inline Variable operator-(const Variable& a, const Variable& b) { return sub(a, b); }
inline Variable operator*(const Variable& a, const Variable& b) { return mul(a, b); }
inline Variable operator*(double factor, const Variable& x) { return mul(x, factor); }
inline Variable operator/(const Variable& a, const Variable& b) { return div(a, b); }
inline Variable operator-(const Variable& x) { return mul(x, -1.0); }

/// Sum of all elements, a scalar.
Variable sum(const Variable& x);
/// Sum over one dimension, which disappears.
Variable sum(const Variable& x, int along);
/// Mean of all elements, a scalar.
inline Variable mean(const Variable& x) { return mul(sum(x), 1.0 / static_cast<double>(x.value().numel())); }

/// x - log sum exp x over the last dimension.
Variable log_softmax(const Variable& x);
/// The mean over the rows of logits [N, C] of -sum target log_softmax(logits); target [N, C] holds each row's class
/// probabilities.
Variable cross_entropy(const Variable& logits, const Tensor& target);

Variable reshape(const Variable& x, const Shape& shape);
Variable narrow(const Variable& x, int dim, std::int64_t start, std::int64_t length);
Variable cat(const std::vector<Variable>& parts, int dim);

// Gradients are multiplied in the precision of the product that they belong to.
Variable matmul(const Variable& a, const Variable& b, MatmulPrecision precision = MatmulPrecision::f32);
/// act(x w^T + bias); bias may be undefined.
Variable linear(const Variable& x, const Variable& w, const Variable& bias,
                const ProductOptions& options = {});

/// Learned Fourier features [sin 2 pi z B, cos 2 pi z B, z]: z [N, m], B [m, n]; [N, 2n + m].
Variable fourier_features(const Variable& z, const Variable& projection,
                          MatmulPrecision precision = MatmulPrecision::f32);

// Channels last, filters, biases and their gradients f32 for bf16 images: images N,H,W,C; filters Cout,kH,kW,Cin
// (Cin,kH,kW,Cout for the transposed convolution).
Variable conv2d(const Variable& x, const Variable& filter, const Variable& bias,
                const ConvOptions& options = {}, const ProductOptions& product = {});
Variable conv_transpose2d(const Variable& x, const Variable& filter, const Variable& bias,
                          const ConvOptions& options = {}, const ProductOptions& product = {});

/// The largest element of each window of an image; its gradient goes to the first of them.
Variable max_pool2d(const Variable& x, const PoolOptions& options);
/// The mean of each window.
Variable avg_pool2d(const Variable& x, const PoolOptions& options);

/// act(w (x - mean) / sqrt(var + eps) + b), w and b f32 for a bf16 x, mean and (biased) variance over the pixels of
/// each image and channel.
Variable instance_norm(const Variable& x, const Variable& w, const Variable& b, double eps = 1e-5,
                       const Unary& activation = {});

}  // namespace damc
