/// Differentiable operations, by PyTorch's names: the forward value and one vjp per input stand side by side
/// in the sources (pointwise.cpp, shapes.cpp, products.cpp, networks.cpp). Shapes and errors are those of the tensor
/// operations of the same name (tensor/ops.h), which has the pointwise functions for tensors and variables
/// alike; tensors are taken as constants.
#pragma once

#include "autograd/variable.h"
#include "tensor/ops.h"

namespace damc {

class Generator;

// Pointwise: exp, relu, pow ... are in tensor/ops.h.
Variable unary(const Unary& f, const Variable& x);
/// g f'(x) where y = f(x), as operations on g and x or y.
Variable unary_vjp(const Unary& f, const Variable& g, const Variable& x, const Variable& y);
/// x in another type; the gradient is cast back.
Variable cast(const Variable& x, Dtype dtype);

Variable add(const Variable& a, const Variable& b);
Variable sub(const Variable& a, const Variable& b);
Variable mul(const Variable& a, const Variable& b);
Variable div(const Variable& a, const Variable& b);
/// Where both are equal, each gets half of the gradient.
Variable maximum(const Variable& a, const Variable& b);
Variable minimum(const Variable& a, const Variable& b);
/// Its gradient, too, is 0 where the mask is.
Variable masked(const Variable& x, const Tensor& mask);
/// a where the condition is not 0, else b; what is not taken adds nothing, infinities and NaN included.
Variable where(const Tensor& condition, const Variable& a, const Variable& b);

inline Variable operator+(const Variable& a, const Variable& b) { return add(a, b); }
inline Variable operator-(const Variable& a, const Variable& b) { return sub(a, b); }
inline Variable operator*(const Variable& a, const Variable& b) { return mul(a, b); }
inline Variable operator/(const Variable& a, const Variable& b) { return div(a, b); }
inline Variable operator-(const Variable& x) { return mul(x, -1.0); }
inline Variable operator+(const Variable& x, double c) { return add(x, c); }
inline Variable operator+(double c, const Variable& x) { return add(x, c); }
inline Variable operator-(const Variable& x, double c) { return add(x, -c); }
inline Variable operator-(double c, const Variable& x) { return affine(x, -1.0, c); }
inline Variable operator*(const Variable& x, double c) { return mul(x, c); }
inline Variable operator*(double c, const Variable& x) { return mul(x, c); }
inline Variable operator/(const Variable& x, double c) { return mul(x, 1.0 / c); }
inline Variable operator/(double c, const Variable& x) { return mul(reciprocal(x), c); }

// Reductions; mean is in tensor/ops.h.
/// Sum of all elements, a scalar.
Variable sum(const Variable& x);
/// Sum over some dimensions, which disappear or, with keepdim, become 1.
Variable sum(const Variable& x, const std::vector<int>& dims, bool keepdim = false);
inline Variable sum(const Variable& x, int dim, bool keepdim = false) {
  return sum(x, std::vector<int>{dim}, keepdim);
}
Variable sum_to(const Variable& x, const Shape& shape);
/// The largest element along a dimension; its gradient goes to the first of them.
Variable max(const Variable& x, int dim, bool keepdim = false);
Variable softmax(const Variable& x, int dim = -1);
Variable log_softmax(const Variable& x, int dim = -1);
/// The mean over the rows of logits [N, C] of -sum target log_softmax(logits); target [N, C] holds each row's class
/// probabilities, or [N] its class as a whole number of the logits' type.
Variable cross_entropy(const Variable& logits, const Tensor& target);

// Shapes.
Variable reshape(const Variable& x, const Shape& shape);
/// Dimensions from `first` on become one.
Variable flatten(const Variable& x, int first = 1);
Variable permute(const Variable& x, const Shape& order);
Variable transpose(const Variable& x, int first, int second);
Variable expand(const Variable& x, const Shape& shape);
Variable narrow(const Variable& x, int dim, std::int64_t start, std::int64_t length);
Variable pad(const Variable& x, int dim, std::int64_t start, std::int64_t size);
/// Element i of a dimension, which disappears; negative i counts from the end.
Variable select(const Variable& x, int dim, std::int64_t i);
Variable cat(const std::vector<Variable>& parts, int dim);
/// The elements of a dimension that `index` [n] lists, whole numbers of x's type: x[.., n, ..]. Costs a product with n
/// rows of zeros and ones, so that an infinity or NaN spreads to what is selected beside it; gather takes elements alone.
Variable index_select(const Variable& x, int dim, const Tensor& index);
/// out[i, j, k] = x[i, index[i, j, k], k] for dim 1 and likewise; index has x's other sizes.
Variable gather(const Variable& x, int dim, const Tensor& index);

// Products. Gradients are multiplied in the precision of the product that they belong to.
/// a [.., M, K] b [.., K, N]: dimensions before the last two broadcast.
Variable matmul(const Variable& a, const Variable& b, MatmulPrecision precision = MatmulPrecision::f32);
/// act(x w^T + bias): x [.., in], w [out, in]; bias may be undefined.
Variable linear(const Variable& x, const Variable& w, const Variable& bias,
                const ProductOptions& options = {});

/// Learned Fourier features [sin 2 pi z B, cos 2 pi z B, z]: z [N, m], B [m, n]; [N, 2n + m].
Variable fourier_features(const Variable& z, const Variable& projection,
                          MatmulPrecision precision = MatmulPrecision::f32);

// Channels last, filters, biases and their gradients f32 for bf16 images: images N,H,W,C; filters
// Cout,kH,kW,Cin/groups (Cin,kH,kW,Cout/groups for the transposed convolution).
Variable conv2d(const Variable& x, const Variable& filter, const Variable& bias,
                const ConvOptions& options = {}, const ProductOptions& product = {});
Variable conv_transpose2d(const Variable& x, const Variable& filter, const Variable& bias,
                          const ConvOptions& options = {}, const ProductOptions& product = {});

// Networks.
/// The largest element of each window of an image; its gradient goes to the first of them.
Variable max_pool2d(const Variable& x, const PoolOptions& options);
/// The mean of each window.
Variable avg_pool2d(const Variable& x, const PoolOptions& options);
/// Each pixel of images N,H,W,C as a block of `factor`: nearest neighbours.
Variable upsample(const Variable& x, Pair factor);

/// act(w (x - mean) / sqrt(var + eps) + b), w and b f32 for a bf16 x, mean and (biased) variance over the pixels of
/// each image and channel.
Variable instance_norm(const Variable& x, const Variable& w, const Variable& b, double eps = 1e-5,
                       const Unary& activation = {});
/// The same without activation, w and b [N, C] of each image (AdaIN: Huang and Belongie, 2017); what a gradient needs
/// of images is x alone.
Variable adaptive_instance_norm(const Variable& x, const Variable& w, const Variable& b, double eps = 1e-5);
/// instance_norm over all rows of x [.., C], or all pixels of a batch; w, b [C].
Variable batch_norm(const Variable& x, const Variable& w, const Variable& b, double eps = 1e-5,
                    const Unary& activation = {});
/// (x - mean) / sqrt(var + eps) w + b over the last dimension; w, b of its size.
Variable layer_norm(const Variable& x, const Variable& w, const Variable& b, double eps = 1e-5);

/// Each element 0 with probability p, else divided by 1 - p.
Variable dropout(const Variable& x, double p, Generator& random);
/// Rows of weight [V, D] by their numbers, `index` of any shape and of weight's type: [.., D]; a product, as
/// index_select.
Variable embedding(const Tensor& index, const Variable& weight);

}  // namespace damc
