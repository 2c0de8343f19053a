#include "autograd/ops.h"

#include <algorithm>

#include "tensor/error.h"

namespace damc {
namespace {

/// A gradient that several inputs of one operation start from: worked out at the first call, kept for the
/// others.
class Shared {
 public:
  explicit Shared(Vjp compute) : state_(std::make_shared<State>(State{std::move(compute), {}})) {}
  const Tensor& operator()(const Tensor& g) const {
    if (!state_->value.defined()) state_->value = state_->compute(g);
    return state_->value;
  }

 private:
  struct State {
    Vjp compute;
    Tensor value;
  };
  std::shared_ptr<State> state_;
};

Variable pool2d(const char* op, const Pooling& p, const Variable& x) {
  const Tensor y = pool2d(p, x.value());
  return record(op, y, {{x, [p, x = x.value(), y](const Tensor& g) { return pool2d_grad_x(p, g, x, y); }}});
}

/// dL/d(a) for y = act(a), from y alone.
Shared before_activation(const Unary& activation, const Tensor& y) {
  if (activation.op == UnaryOp::identity) return Shared([](const Tensor& g) { return g; });
  return Shared([activation, y](const Tensor& g) { return unary_vjp(activation, g, y, y); });
}

}  // namespace

Variable unary(const Unary& f, const Variable& x) {
  const Tensor y = unary(f, x.value());
  return record(name(f), y, {{x, [f, x = x.value(), y](const Tensor& g) { return unary_vjp(f, g, x, y); }}});
}

Variable cast(const Variable& x, Dtype dtype) {
  if (x.dtype() == dtype) return x;
  return record("cast", x.value().to(dtype), {{x, [t = x.dtype()](const Tensor& g) { return g.to(t); }}});
}

Variable add(const Variable& a, const Variable& b) {
  return record("add", add(a.value(), b.value()),
                {{a, [s = a.shape()](const Tensor& g) { return sum_to(g, s); }},
                 {b, [s = b.shape()](const Tensor& g) { return sum_to(g, s); }}});
}

Variable sub(const Variable& a, const Variable& b) {
  return record("sub", sub(a.value(), b.value()),
                {{a, [s = a.shape()](const Tensor& g) { return sum_to(g, s); }},
                 {b, [s = b.shape()](const Tensor& g) { return mul(sum_to(g, s), -1.0); }}});
}

Variable mul(const Variable& a, const Variable& b) {
  return record("mul", mul(a.value(), b.value()),
                {{a, [b = b.value(), s = a.shape()](const Tensor& g) { return sum_to(mul(g, b), s); }},
                 {b, [a = a.value(), s = b.shape()](const Tensor& g) { return sum_to(mul(g, a), s); }}});
}

Variable div(const Variable& a, const Variable& b) {
  const Tensor y = div(a.value(), b.value());
  return record(
      "div", y,
      {{a, [b = b.value(), s = a.shape()](const Tensor& g) { return sum_to(div(g, b), s); }},
       {b, [y, b = b.value()](const Tensor& g) { return mul(sum_to(mul(g, div(y, b)), b.shape()), -1.0); }}});
}

Variable sum(const Variable& x) {
  return record("sum", sum(x.value()), {{x, [s = x.shape()](const Tensor& g) { return g.expand(s); }}});
}

Variable sum(const Variable& x, int along) {
  const int dim = wrap_dim("sum", along, x.shape());
  return record("sum", sum(x.value(), dim), {{x, [s = x.shape(), dim](const Tensor& g) {
                                                Shape kept = s;
                                                kept[dim] = 1;
                                                return g.reshape(kept).expand(s);
                                              }}});
}

Variable log_softmax(const Variable& x) {
  const std::int64_t classes = x.size(-1), rows = x.value().numel() / std::max<std::int64_t>(classes, 1);
  const Tensor in = x.value().reshape({rows, classes});
  // Less the largest of its row, which no exponential overflows.
  const Tensor largest = max_pool2d(in.reshape({rows, 1, classes, 1}), {.kernel = {1, classes}});
  const Tensor moved = sub(in, largest.reshape({rows, 1}));
  const Tensor y = sub(moved, log(sum(exp(moved), 1)).reshape({rows, 1}));
  return record("log_softmax", y.reshape(x.shape()),
                {{x, [y](const Tensor& g) {
                    const Tensor gs = g.reshape(y.shape());
                    return sub(gs, mul(exp(y), sum(gs, 1).reshape({y.size(0), 1}))).reshape(g.shape());
                  }}});
}

Variable cross_entropy(const Variable& logits, const Tensor& target) {
  ENSURE(logits.value().ndim() == 2 && logits.shape() == target.shape(),
         "cross_entropy: logits are {}, targets {}, expected [N, C] both", logits.shape().str(),
         target.shape().str());
  return mul(sum(mul(log_softmax(logits), target)), -1.0 / static_cast<double>(logits.size(0)));
}

Variable reshape(const Variable& x, const Shape& shape) {
  return record("reshape", x.value().reshape(shape),
                {{x, [s = x.shape()](const Tensor& g) { return g.reshape(s); }}});
}

Variable narrow(const Variable& x, int dim, std::int64_t start, std::int64_t length) {
  return record("narrow", x.value().narrow(dim, start, length),
                {{x, [s = x.shape(), dim, start, length](const Tensor& g) {
                    const Tensor gx = Tensor::zeros(s, g.dtype(), g.device());
                    gx.narrow(dim, start, length).copy_from(g);
                    return gx;
                  }}});
}

Variable cat(const std::vector<Variable>& parts, int dim) {
  std::vector<Tensor> values;
  for (const Variable& part : parts) values.push_back(part.value());
  const Tensor y = cat(values, dim);
  std::vector<Input> inputs;
  std::int64_t start = 0;
  for (const Variable& part : parts) {
    const std::int64_t length = part.size(dim);
    inputs.push_back({part, [dim, start, length](const Tensor& g) { return g.narrow(dim, start, length); }});
    start += length;
  }
  return record("cat", y, inputs);
}

// y = a b: ga = g b^T, gb = a^T g
Variable matmul(const Variable& a, const Variable& b, MatmulPrecision p) {
  return record("matmul", matmul(a.value(), b.value(), p),
                {{a, [p, b = b.value()](const Tensor& g) { return matmul(g, b.transpose(-1, -2), p); }},
                 {b, [p, a = a.value()](const Tensor& g) { return matmul(a.transpose(-1, -2), g, p); }}});
}

// y = act(x w^T + bias), gs = dL/d(x w^T + bias): gx = gs w, gw = gs^T x, gb = sum of gs over rows
Variable linear(const Variable& x, const Variable& w, const Variable& bias, const ProductOptions& options) {
  const Tensor y = linear(x.value(), w.value(), bias.value(), options);
  const Shared gs = before_activation(options.activation, y);
  const MatmulPrecision p = options.precision;
  return record("linear", y,
                {{x, [gs, p, w = w.value()](const Tensor& g) { return matmul(gs(g), w, p); }},
                 {w, [gs, p, x = x.value()](const Tensor& g) { return matmul(gs(g).transpose(0, 1), x, p); }},
                 {bias, [gs](const Tensor& g) { return sum(gs(g), 0); }}});
}

// y = [sin 2 pi z B, cos 2 pi z B, z], gt = dL/d(z B): gz = g_3 + gt B^T, gB = z^T gt
Variable fourier_features(const Variable& z, const Variable& projection, MatmulPrecision p) {
  const Tensor y = fourier_features(z.value(), projection.value(), p);
  const std::int64_t m = z.size(1), n = projection.size(1);
  const Shared gt([y, n](const Tensor& g) { return fourier_features_vjp(g, y, n); });
  return record(
      "fourier_features", y,
      {{z, [gt, m, n, p, B = projection.value()](
               const Tensor& g) { return add(g.narrow(1, 2 * n, m), matmul(gt(g), B.transpose(0, 1), p)); }},
       {projection,
        [gt, p, z = z.value()](const Tensor& g) { return matmul(z.transpose(0, 1), gt(g), p); }}});
}

Variable conv2d(const Variable& x, const Variable& filter, const Variable& bias, const ConvOptions& options,
                const ProductOptions& product) {
  const ConvGeometry s = conv_geometry(x.shape(), filter.shape(), options);
  const Tensor y = conv2d_forward(s, x.value(), filter.value(), bias.value(), product);
  const Shared gs = before_activation(product.activation, y);
  const ProductOptions plain{{}, product.precision};
  return record(
      "conv2d", y,
      {{x, [=, w = filter.value()](const Tensor& g) { return conv2d_grad_x(s, gs(g), w, {}, plain); }},
       {filter, [=, x = x.value()](const Tensor& g) { return conv2d_grad_w(s, gs(g), x, plain.precision); }},
       {bias, [gs, c = s.out_c](const Tensor& g) { return sum_to(gs(g), {c}); }}});
}

// The input gradient of a convolution, so its own gradients are that convolution's other two passes.
Variable conv_transpose2d(const Variable& x, const Variable& filter, const Variable& bias,
                          const ConvOptions& options, const ProductOptions& product) {
  const ConvGeometry s = conv_transpose_geometry(x.shape(), filter.shape(), options);
  const Tensor y = conv_transpose2d(x.value(), filter.value(), bias.value(), options, product);
  const Shared gs = before_activation(product.activation, y);
  const ProductOptions plain{{}, product.precision};
  return record(
      "conv_transpose2d", y,
      {{x, [=, w = filter.value()](const Tensor& g) { return conv2d_forward(s, gs(g), w, {}, plain); }},
       {filter, [=, x = x.value()](const Tensor& g) { return conv2d_grad_w(s, x, gs(g), plain.precision); }},
       {bias, [gs, c = s.in_c](const Tensor& g) { return sum_to(gs(g), {c}); }}});
}

Variable max_pool2d(const Variable& x, const PoolOptions& options) {
  return pool2d("max_pool2d", pooling(PoolOp::max, x.shape(), options), x);
}

Variable avg_pool2d(const Variable& x, const PoolOptions& options) {
  return pool2d("avg_pool2d", pooling(PoolOp::mean, x.shape(), options), x);
}

Variable instance_norm(const Variable& x, const Variable& w, const Variable& b, double eps,
                       const Unary& activation) {
  const InstanceStats stats = instance_norm_stats(x.value(), eps);
  const Tensor y = instance_norm(x.value(), stats, w.value(), b.value(), activation);
  const Shared gs = before_activation(activation, y);
  const Shared sums(
      [gs, stats, x = x.value()](const Tensor& g) { return instance_norm_sums(gs(g), x, stats); });
  return record("instance_norm", y,
                {{x, [=, x = x.value(), w = w.value()](
                         const Tensor& g) { return instance_norm_grad_x(gs(g), x, stats, w, sums(g)); }},
                 {w, [sums, s = w.shape()](const Tensor& g) { return sum_to(sums(g).narrow(0, 1, 1), s); }},
                 {b, [sums, s = b.shape()](const Tensor& g) { return sum_to(sums(g).narrow(0, 0, 1), s); }}});
}

}  // namespace damc
