/// Operations on tensors, by PyTorch's names. Operands must share device and float type; elementwise operands
/// broadcast. bf16 is taken by copies, by sums, which are f32, and by convolutions with their activations, whose
/// filters and biases stay f32. Every function throws Error with the shapes in it when they do not fit. Results are
/// new tensors.
#pragma once

#include <concepts>
#include <vector>

#include "tensor/backend.h"
#include "tensor/tensor.h"

namespace damc {

/// Throws Error naming `op` for an undefined tensor and unless x is of f32 or f64.
void check_wide(const char* op, const Tensor& x);

// Pointwise.
/// The function's name in messages.
const char* name(const Unary& f);
Tensor unary(const Unary& f, const Tensor& x);
/// g f'(x) where y = f(x)
Tensor unary_vjp(const Unary& f, const Tensor& g, const Tensor& x, const Tensor& y);
Tensor binary(BinaryOp f, const Tensor& a, const Tensor& b);

/// What functions that are written once take: a Tensor, or a Variable (autograd/ops.h).
template <class X>
concept Operand = requires(const Unary& f, const X& x) {
  { unary(f, x) } -> std::same_as<X>;
};

/// scale x + shift
auto affine(const Operand auto& x, double scale, double shift) {
  return unary({UnaryOp::affine, scale, shift}, x);
}
auto exp(const Operand auto& x) { return unary({UnaryOp::exp}, x); }
auto log(const Operand auto& x) { return unary({UnaryOp::log}, x); }
auto sqrt(const Operand auto& x) { return unary({UnaryOp::sqrt}, x); }
auto square(const Operand auto& x) { return unary({UnaryOp::square}, x); }
auto reciprocal(const Operand auto& x) { return unary({UnaryOp::reciprocal}, x); }
auto sin(const Operand auto& x) { return unary({UnaryOp::sin}, x); }
auto cos(const Operand auto& x) { return unary({UnaryOp::cos}, x); }
auto atan(const Operand auto& x) { return unary({UnaryOp::atan}, x); }
auto erf(const Operand auto& x) { return unary({UnaryOp::erf}, x); }
auto tanh(const Operand auto& x) { return unary({UnaryOp::tanh}, x); }
auto sigmoid(const Operand auto& x) { return unary({UnaryOp::sigmoid}, x); }
/// Without PyTorch's threshold, above which it returns x.
auto softplus(const Operand auto& x) { return unary({UnaryOp::softplus}, x); }
auto silu(const Operand auto& x) { return unary({UnaryOp::silu}, x); }
auto gelu(const Operand auto& x) { return unary({UnaryOp::gelu}, x); }
auto abs(const Operand auto& x) { return unary({UnaryOp::abs}, x); }
/// As C has it: for exponents of 0.5 and -0.5 PyTorch takes roots, which differ at -inf and -0.
auto pow(const Operand auto& x, double exponent) { return unary({UnaryOp::pow, exponent}, x); }
auto leaky_relu(const Operand auto& x, double slope) { return unary({UnaryOp::leaky_relu, slope}, x); }
auto relu(const Operand auto& x) { return leaky_relu(x, 0.0); }
auto clamp(const Operand auto& x, double low, double high) { return unary({UnaryOp::clamp, low, high}, x); }
/// 1 for x > bound, else 0; it has no gradient.
auto greater(const Operand auto& x, double bound) { return unary({UnaryOp::greater, bound}, x); }

inline Tensor add(const Tensor& a, const Tensor& b) { return binary(BinaryOp::add, a, b); }
inline Tensor sub(const Tensor& a, const Tensor& b) { return binary(BinaryOp::sub, a, b); }
inline Tensor mul(const Tensor& a, const Tensor& b) { return binary(BinaryOp::mul, a, b); }
inline Tensor div(const Tensor& a, const Tensor& b) { return binary(BinaryOp::div, a, b); }
/// The larger and the smaller of each pair; NaN where one is.
inline Tensor maximum(const Tensor& a, const Tensor& b) { return binary(BinaryOp::maximum, a, b); }
inline Tensor minimum(const Tensor& a, const Tensor& b) { return binary(BinaryOp::minimum, a, b); }
/// 1 where a > b, a = b, else 0.
inline Tensor gt(const Tensor& a, const Tensor& b) { return binary(BinaryOp::gt, a, b); }
inline Tensor eq(const Tensor& a, const Tensor& b) { return binary(BinaryOp::eq, a, b); }
/// x where the mask is not 0, else 0 whatever x is.
inline Tensor masked(const Tensor& x, const Tensor& mask) { return binary(BinaryOp::masked, x, mask); }
auto mul(const Operand auto& x, double factor) { return affine(x, factor, -0.0); }  // keeps the sign of 0
auto add(const Operand auto& x, double term) { return affine(x, 1.0, term); }

inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator-(const Tensor& x) { return mul(x, -1.0); }
inline Tensor operator+(const Tensor& x, double c) { return add(x, c); }
inline Tensor operator+(double c, const Tensor& x) { return add(x, c); }
inline Tensor operator-(const Tensor& x, double c) { return add(x, -c); }
inline Tensor operator-(double c, const Tensor& x) { return affine(x, -1.0, c); }
inline Tensor operator*(const Tensor& x, double c) { return mul(x, c); }
inline Tensor operator*(double c, const Tensor& x) { return mul(x, c); }
/// x times 1 / c, which has to be a number of x's type.
inline Tensor operator/(const Tensor& x, double c) { return mul(x, 1.0 / c); }
inline Tensor operator/(double c, const Tensor& x) { return mul(reciprocal(x), c); }

// Views: the members of Tensor as functions, as which variables have them, too.
inline Tensor reshape(const Tensor& x, const Shape& shape) { return x.reshape(shape); }
inline Tensor permute(const Tensor& x, const Shape& order) { return x.permute(order); }
inline Tensor transpose(const Tensor& x, int first, int second) { return x.transpose(first, second); }
inline Tensor expand(const Tensor& x, const Shape& shape) { return x.expand(shape); }
inline Tensor narrow(const Tensor& x, int dim, std::int64_t start, std::int64_t length) {
  return x.narrow(dim, start, length);
}
inline Tensor cast(const Tensor& x, Dtype dtype) { return x.to(dtype); }
/// Zeros around x along a dimension, which is `size` long then; x begins at `start`. The adjoint of narrow.
Tensor pad(const Tensor& x, int dim, std::int64_t start, std::int64_t size);

// Reductions.
/// Sum of all elements, a scalar.
Tensor sum(const Tensor& x);
/// Sum over some dimensions, which disappear or, with keepdim, become 1.
Tensor sum(const Tensor& x, const std::vector<int>& dims, bool keepdim = false);
Tensor sum(const Tensor& x, int along, bool keepdim = false);
/// Sum of squares of all elements, a scalar.
Tensor sum_squares(const Tensor& x);
/// The sum of all their squares, in few passes however many tensors there are.
Tensor sum_squares(const std::vector<Tensor>& xs);
/// Sums over the dimensions along which `shape` was broadcast to x's shape; the adjoint of expand. Shares x's
/// memory when there is nothing to sum.
Tensor sum_to(const Tensor& x, const Shape& shape);

/// The shape of a reduction over `dims` of x: without them, or with ones in their places. Throws Error naming `op`.
Shape reduced_shape(const char* op, const Shape& x, const std::vector<int>& dims, bool keepdim);
/// wrap_dim for a dimension that must have elements. Throws Error naming `op` where it has none.
int filled_dim(const char* op, int dim, const Shape& x);
/// The mean of all elements, or over some dimensions; NaN of none.
auto mean(const Operand auto& x) { return mul(sum(x), 1.0 / static_cast<double>(x.numel())); }
template <Operand X>
X mean(const X& x, const std::vector<int>& dims, bool keepdim = false) {
  const X total = sum(x, dims, keepdim);
  return mul(total, static_cast<double>(total.numel()) / static_cast<double>(x.numel()));
}
auto mean(const Operand auto& x, int dim, bool keepdim = false) {
  return mean(x, std::vector<int>{dim}, keepdim);
}

/// The largest element along a dimension, which must have one; NaN where there is one.
Tensor max(const Tensor& x, int dim, bool keepdim = false);
// Whole numbers have a float type. argmax, arange and one_hot throw Error where it does not tell so many apart: f32 from
// 2^24 on.
/// Where the first of the largest elements along a dimension is: whole numbers of x's type.
Tensor argmax(const Tensor& x, int dim, bool keepdim = false);
/// 0, 1, .. n - 1
Tensor arange(std::int64_t n, Dtype dtype = Dtype::f32, Device device = {});
/// 1 at each index, 0 elsewhere: index of any shape, whole numbers of a float type; the result has one more dimension,
/// of size `classes`. An index that is no class throws Error on the CPU, in the name of `op`; a GPU is not waited for, and
/// gives a row of NaN.
Tensor one_hot(const Tensor& index, std::int64_t classes, const char* op = "one_hot");
/// e^x / sum e^x over a dimension, and its logarithm; of no elements none.
Tensor softmax(const Tensor& x, int dim);
Tensor log_softmax(const Tensor& x, int dim);

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
/// dL/dx from g = dL/dy; x and y are those of the pooling; a mean needs neither.
Tensor pool2d_grad_x(const Pooling& pooling, const Tensor& g, const Tensor& x, const Tensor& y);
/// The element of `from`, of x's shape, at the first of the largest elements of each window of x.
Tensor pool2d_select(const Pooling& pooling, const Tensor& x, const Tensor& from);
/// The largest element of each window; NaN where there is one.
inline Tensor max_pool2d(const Tensor& x, const PoolOptions& options) {
  return pool2d(pooling(PoolOp::max, x.shape(), options), x);
}
/// The mean of each window.
inline Tensor avg_pool2d(const Tensor& x, const PoolOptions& options) {
  return pool2d(pooling(PoolOp::mean, x.shape(), options), x);
}

// Convolutions, channels last: images N,H,W,C, filters Cout,kH,kW,Cin/groups.
Tensor conv2d(const Tensor& x, const Tensor& filter, const Tensor& bias, const ConvOptions& options = {},
              const ProductOptions& product = {});
/// filter Cin,kH,kW,Cout/groups
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
