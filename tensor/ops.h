/// Operations on tensors, by PyTorch's names. Operands must share device and float type; elementwise operands
/// broadcast. bf16 is taken by copies, by sums, which are f32, and by convolutions with their activations, whose
/// filters and biases stay f32. Every function throws Error with the shapes in it when they do not fit. Results are
/// new tensors.
#pragma once

#include <vector>

#include "tensor/backend.h"
#include "tensor/tensor.h"

namespace damc {

// Pointwise.
/// The function's name in messages.
const char* name(const Unary& f);
Tensor unary(const Unary& f, const Tensor& x);
/// g f'(x) where y = f(x)
Tensor unary_vjp(const Unary& f, const Tensor& g, const Tensor& x, const Tensor& y);
Tensor binary(BinaryOp f, const Tensor& a, const Tensor& b);

/// scale x + shift
inline Tensor affine(const Tensor& x, double scale, double shift) {
  return unary({UnaryOp::affine, scale, shift}, x);
}
inline Tensor exp(const Tensor& x) { return unary({UnaryOp::exp}, x); }
inline Tensor log(const Tensor& x) { return unary({UnaryOp::log}, x); }
inline Tensor sqrt(const Tensor& x) { return unary({UnaryOp::sqrt}, x); }
inline Tensor square(const Tensor& x) { return unary({UnaryOp::square}, x); }
inline Tensor reciprocal(const Tensor& x) { return unary({UnaryOp::reciprocal}, x); }
inline Tensor sin(const Tensor& x) { return unary({UnaryOp::sin}, x); }
inline Tensor cos(const Tensor& x) { return unary({UnaryOp::cos}, x); }
inline Tensor atan(const Tensor& x) { return unary({UnaryOp::atan}, x); }
inline Tensor tanh(const Tensor& x) { return unary({UnaryOp::tanh}, x); }
inline Tensor sigmoid(const Tensor& x) { return unary({UnaryOp::sigmoid}, x); }
inline Tensor softplus(const Tensor& x) { return unary({UnaryOp::softplus}, x); }
inline Tensor silu(const Tensor& x) { return unary({UnaryOp::silu}, x); }
inline Tensor leaky_relu(const Tensor& x, double slope) { return unary({UnaryOp::leaky_relu, slope}, x); }
inline Tensor clamp(const Tensor& x, double low, double high) {
  return unary({UnaryOp::clamp, low, high}, x);
}
inline Tensor greater(const Tensor& x, double bound) { return unary({UnaryOp::greater, bound}, x); }

inline Tensor add(const Tensor& a, const Tensor& b) { return binary(BinaryOp::add, a, b); }
inline Tensor sub(const Tensor& a, const Tensor& b) { return binary(BinaryOp::sub, a, b); }
inline Tensor mul(const Tensor& a, const Tensor& b) { return binary(BinaryOp::mul, a, b); }
inline Tensor div(const Tensor& a, const Tensor& b) { return binary(BinaryOp::div, a, b); }
inline Tensor mul(const Tensor& x, double factor) { return affine(x, factor, 0.0); }
inline Tensor add(const Tensor& x, double term) { return affine(x, 1.0, term); }

// Reductions.
/// Sum of all elements, a scalar.
Tensor sum(const Tensor& x);
/// Sum over one dimension, which disappears.
Tensor sum(const Tensor& x, int along);
/// Sum of squares of all elements, a scalar.
Tensor sum_squares(const Tensor& x);
/// The sum of all their squares, in few passes however many tensors there are.
Tensor sum_squares(const std::vector<Tensor>& xs);
/// Sums over the dimensions along which `shape` was broadcast to x's shape; the adjoint of expand. Shares x's
/// memory when there is nothing to sum.
Tensor sum_to(const Tensor& x, const Shape& shape);

/// Concatenates along a dimension.
Tensor cat(const std::vector<Tensor>& parts, int along);

// Products. `bias` may be undefined; the options' activation is one that fuses().
/// a [M, K] b [K, N], or batched [B, M, K] [B, K, N]; transposed views cost nothing.
Tensor matmul(const Tensor& a, const Tensor& b, MatmulPrecision precision = MatmulPrecision::f32);
/// act(x w^T + bias): x [N, in], w [out, in], bias [out].
Tensor linear(const Tensor& x, const Tensor& w, const Tensor& bias, const ProductOptions& options = {});

/// Learned Fourier features [sin 2 pi z B, cos 2 pi z B, z]: z [N, m], B [m, n]; [N, 2n + m].
Tensor fourier_features(const Tensor& z, const Tensor& projection,
                        MatmulPrecision precision = MatmulPrecision::f32);
/// The gradient with respect to z B [N, n], from g = dL/dy and the features y.
Tensor fourier_features_vjp(const Tensor& g, const Tensor& y, std::int64_t n);

/// out = act((y_1 + b) sigmoid(c_1) + y_2 + c_2) of the halves of the columns of y = x w^T: x [N, k], w [2n, k], b [n],
/// c [N, 2n] or [1, 2n]; out [N, n] may be columns of a wider tensor.
void gated_linear_out(const Tensor& out, const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& c,
                      const ProductOptions& options = {});

// Instance normalisation of x [N, H, W, C]; statistics, w and b are f32 for a bf16 x.
/// Mean and 1 / sqrt(variance + eps), [N, C], over the pixels of each image and channel; the variance is the biased one.
struct InstanceStats {
  Tensor mean, rstd;
};
InstanceStats instance_norm_stats(const Tensor& x, double eps);
/// act((x - mean) rstd w + b): w and b [C], an activation that fuses().
Tensor instance_norm(const Tensor& x, const InstanceStats& stats, const Tensor& w, const Tensor& b,
                     const Unary& activation = {});
/// [2, N, C]: the sums over pixels of g and of g (x - mean) rstd, from which all three gradients follow; g = dL/d((x -
/// mean) rstd w + b).
Tensor instance_norm_sums(const Tensor& g, const Tensor& x, const InstanceStats& stats);
/// dL/dx from the same g and its sums.
Tensor instance_norm_grad_x(const Tensor& g, const Tensor& x, const InstanceStats& stats, const Tensor& w,
                            const Tensor& sums);

// Pooling of N,H,W,C images.
Tensor pool2d(const Pooling& pooling, const Tensor& x);
/// dL/dx from g = dL/dy; x and y are those of the pooling.
Tensor pool2d_grad_x(const Pooling& pooling, const Tensor& g, const Tensor& x, const Tensor& y);
/// The largest element of each window; NaN where there is one.
inline Tensor max_pool2d(const Tensor& x, const PoolOptions& options) {
  return pool2d(pooling(PoolOp::max, x.shape(), options), x);
}
/// The mean of each window.
inline Tensor avg_pool2d(const Tensor& x, const PoolOptions& options) {
  return pool2d(pooling(PoolOp::mean, x.shape(), options), x);
}

// Convolutions, channels last: images N,H,W,C, filters Cout,kH,kW,Cin.
Tensor conv2d(const Tensor& x, const Tensor& filter, const Tensor& bias, const ConvOptions& options = {},
              const ProductOptions& product = {});
/// filter Cin,kH,kW,Cout
Tensor conv_transpose2d(const Tensor& x, const Tensor& filter, const Tensor& bias,
                        const ConvOptions& options = {}, const ProductOptions& product = {});
/// The three passes of the convolution with geometry s; g is the gradient of its output.
Tensor conv2d_forward(const ConvGeometry& s, const Tensor& x, const Tensor& filter, const Tensor& bias = {},
                      const ProductOptions& options = {});
Tensor conv2d_grad_x(const ConvGeometry& s, const Tensor& g, const Tensor& filter, const Tensor& bias = {},
                     const ProductOptions& options = {});
Tensor conv2d_grad_w(const ConvGeometry& s, const Tensor& g, const Tensor& x,
                     MatmulPrecision precision = MatmulPrecision::f32);

}  // namespace damc
