/// Matrix products and convolutions of variables.
#include <numbers>

#include "autograd/memo.h"
#include "autograd/ops.h"
#include "tensor/error.h"

namespace damc {
namespace {

/// A product of matrices, or of as many in a and in b. y = a b: ga = g b^T, gb = a^T g.
Variable product(const Variable& a, const Variable& b, MatmulPrecision p) {
  return record("matmul", matmul(a.value(), b.value(), p),
                {{a, [p, b = Saved(b)](const auto& g) { return matmul(g, transpose(b(g), -1, -2), p); }},
                 {b, [p, a = Saved(a)](const auto& g) { return matmul(transpose(a(g), -1, -2), g, p); }}});
}

Shape batch_of(const Shape& shape) {
  Shape batch;
  for (int d = 0; d + 2 < shape.ndim(); ++d) batch.push_back(shape[d]);
  return batch;
}

Shape with_matrix(Shape batch, std::int64_t rows, std::int64_t columns) {
  batch.push_back(rows);
  batch.push_back(columns);
  return batch;
}

// The three passes of a convolution are one trilinear form of image, filter and output; each pass's gradients are the
// other two.
Tensor forward_pass(const ConvGeometry& s, const Tensor& x, const Tensor& w, MatmulPrecision p) {
  return conv2d_forward(s, x, w, {}, {{}, p});
}
Tensor grad_x_pass(const ConvGeometry& s, const Tensor& g, const Tensor& w, MatmulPrecision p) {
  return conv2d_grad_x(s, g, w, {}, {{}, p});
}
Tensor grad_w_pass(const ConvGeometry& s, const Tensor& g, const Tensor& x, MatmulPrecision p) {
  return conv2d_grad_w(s, g, x, p);
}
Variable grad_x_pass(const ConvGeometry& s, const Variable& g, const Variable& w, MatmulPrecision p);
Variable grad_w_pass(const ConvGeometry& s, const Variable& g, const Variable& x, MatmulPrecision p);

Variable forward_pass(const ConvGeometry& s, const Variable& x, const Variable& w, MatmulPrecision p) {
  return record("conv2d", forward_pass(s, x.value(), w.value(), p),
                {{x, [=, w = Saved(w)](const auto& h) { return grad_x_pass(s, h, w(h), p); }},
                 {w, [=, x = Saved(x)](const auto& h) { return grad_w_pass(s, h, x(h), p); }}});
}

Variable grad_x_pass(const ConvGeometry& s, const Variable& g, const Variable& w, MatmulPrecision p) {
  return record("conv2d_grad_x", grad_x_pass(s, g.value(), w.value(), p),
                {{g, [=, w = Saved(w)](const auto& h) { return forward_pass(s, h, w(h), p); }},
                 {w, [=, g = Saved(g)](const auto& h) { return grad_w_pass(s, g(h), h, p); }}});
}

Variable grad_w_pass(const ConvGeometry& s, const Variable& g, const Variable& x, MatmulPrecision p) {
  return record("conv2d_grad_w", grad_w_pass(s, g.value(), x.value(), p),
                {{g, [=, x = Saved(x)](const auto& h) { return forward_pass(s, x(h), h, p); }},
                 {x, [=, g = Saved(g)](const auto& h) { return grad_x_pass(s, g(h), h, p); }}});
}

/// dL/d(z B) of y = [sin 2 pi z B, cos 2 pi z B, z], B [m, n].
Variable fourier_features_vjp(const Variable& g, const Variable& y, std::int64_t n) {
  const auto sines = [n](const Variable& v) { return narrow(v, 1, 0, n); };
  const auto cosines = [n](const Variable& v) { return narrow(v, 1, n, n); };
  return (2.0 * std::numbers::pi) * (sines(g) * cosines(y) - cosines(g) * sines(y));
}

}  // namespace

Variable matmul(const Variable& a, const Variable& b, MatmulPrecision p) {
  const bool batched = a.ndim() == 3 && b.ndim() == 3 && a.size(0) == b.size(0);
  if (batched || (a.ndim() == 2 && b.ndim() == 2)) return product(a, b, p);
  ENSURE(a.ndim() >= 2 && b.ndim() >= 2 && a.size(-1) == b.size(-2), "matmul: a is {}, b is {}",
         a.shape().str(), b.shape().str());
  const std::int64_t m = a.size(-2), k = a.size(-1), n = b.size(-1);
  if (b.ndim() == 2) {  // the same matrix for all: one product
    const Shape batch = batch_of(a.shape());
    return reshape(product(reshape(a, {batch.numel() * m, k}), b, p), with_matrix(batch, m, n));
  }
  const Shape batch = broadcast_shapes("matmul", batch_of(a.shape()), batch_of(b.shape()));
  const auto stacked = [&](const Variable& x, std::int64_t rows, std::int64_t columns) {
    return reshape(expand(x, with_matrix(batch, rows, columns)), {batch.numel(), rows, columns});
  };
  return reshape(product(stacked(a, m, k), stacked(b, k, n), p), with_matrix(batch, m, n));
}

// y = act(x w^T + bias), gs = dL/d(x w^T + bias): gx = gs w, gw = gs^T x, gb = sum of gs over rows
Variable linear(const Variable& x, const Variable& w, const Variable& bias, const ProductOptions& options) {
  if (x.ndim() > 2 && w.ndim() == 2) {
    const Shape batch = batch_of(x.shape());
    const Variable rows = reshape(x, {batch.numel() * x.size(-2), x.size(-1)});
    return reshape(linear(rows, w, bias, options), with_matrix(batch, x.size(-2), w.size(0)));
  }
  const Tensor y = linear(x.value(), w.value(), bias.value(), options);
  const BeforeActivation gs(options.activation, y);
  const MatmulPrecision p = options.precision;
  return record(
      "linear", y,
      {{x, gs.then([p, w = Saved(w)](const auto& g) { return matmul(g, w(g), p); })},
       {w, gs.then([p, x = Saved(x)](const auto& g) { return matmul(transpose(g, 0, 1), x(g), p); })},
       {bias, gs.then([](const auto& g) { return sum(g, 0); })}});
}

// y = [sin 2 pi z B, cos 2 pi z B, z], gt = dL/d(z B): gz = g_3 + gt B^T, gB = z^T gt
Variable fourier_features(const Variable& z, const Variable& projection, MatmulPrecision p) {
  const Tensor features = fourier_features(z.value(), projection.value(), p);
  const std::int64_t m = z.size(1), n = projection.size(1);
  const Memo of_tensor([features, n](const Tensor& g) { return fourier_features_vjp(g, features, n); });
  const auto gt = [of_tensor, n](const auto& g, const auto& y) {
    if constexpr (std::is_same_v<decltype(g), const Tensor&>) {
      return of_tensor(g);
    } else {
      return fourier_features_vjp(g, y, n);
    }
  };
  return record("fourier_features", features,
                {{z, Vjp::of_result(features,
                                    [gt, m, n, p, B = Saved(projection)](const auto& g, const auto& y) {
                                      return add(narrow(g, 1, 2 * n, m),
                                                 matmul(gt(g, y), transpose(B(g), 0, 1), p));
                                    })},
                 {projection, Vjp::of_result(features, [gt, p, z = Saved(z)](const auto& g, const auto& y) {
                    return matmul(transpose(z(g), 0, 1), gt(g, y), p);
                  })}});
}

Variable conv2d(const Variable& x, const Variable& filter, const Variable& bias, const ConvOptions& options,
                const ProductOptions& product) {
  const ConvGeometry s = conv_geometry(x.shape(), filter.shape(), options);
  const Tensor y = conv2d_forward(s, x.value(), filter.value(), bias.value(), product);
  const BeforeActivation gs(product.activation, y);
  const MatmulPrecision p = product.precision;
  return record(
      "conv2d", y,
      {{x, gs.then([s, p, w = Saved(filter)](const auto& g) { return grad_x_pass(s, g, w(g), p); })},
       {filter, gs.then([s, p, x = Saved(x)](const auto& g) { return grad_w_pass(s, g, x(g), p); })},
       {bias, gs.then([c = s.out_c](const auto& g) { return sum_to(g, {c}); })}});
}

// The input gradient of a convolution, so its own gradients are that convolution's other two passes.
Variable conv_transpose2d(const Variable& x, const Variable& filter, const Variable& bias,
                          const ConvOptions& options, const ProductOptions& product) {
  const ConvGeometry s = conv_transpose_geometry(x.shape(), filter.shape(), options);
  const Tensor y = conv_transpose2d(x.value(), filter.value(), bias.value(), options, product);
  const BeforeActivation gs(product.activation, y);
  const MatmulPrecision p = product.precision;
  return record(
      "conv_transpose2d", y,
      {{x, gs.then([s, p, w = Saved(filter)](const auto& g) { return forward_pass(s, g, w(g), p); })},
       {filter, gs.then([s, p, x = Saved(x)](const auto& g) { return grad_w_pass(s, x(g), g, p); })},
       {bias, gs.then([c = s.in_c](const auto& g) { return sum_to(g, {c}); })}});
}

}  // namespace damc
