/// Pooling, normalisation and other parts of networks, on variables.
#include "autograd/memo.h"
#include "autograd/ops.h"

#include "tensor/error.h"
#include "tensor/random.h"

namespace damc {
namespace {

/// Windows, and where the largest of their elements lie: those that x has and y is. For means both are undefined.
struct Windows {
  Pooling pooling;
  Tensor x, y;
};

// What a pooling takes of the pixels for its windows, and what it returns to them: linear, and each other's gradients.
Tensor to_windows(const Windows& s, const Tensor& h) {
  return s.pooling.op == PoolOp::max ? pool2d_select(s.pooling, s.x, h) : pool2d(s.pooling, h);
}
Tensor to_pixels(const Windows& s, const Tensor& g) { return pool2d_grad_x(s.pooling, g, s.x, s.y); }
Variable to_pixels(const Windows& s, const Variable& g);

Variable to_windows(const Windows& s, const Variable& h) {
  return record("pool2d_select", to_windows(s, h.value()),
                {{h, [s](const auto& g) { return to_pixels(s, g); }}});
}
Variable to_pixels(const Windows& s, const Variable& g) {
  return record("pool2d_grad_x", to_pixels(s, g.value()),
                {{g, [s](const auto& h) { return to_windows(s, h); }}});
}

Variable pool2d(const char* op, const Pooling& p, const Variable& x) {
  const Tensor y = pool2d(p, x.value());
  const bool kept = p.op == PoolOp::max;
  const Windows s{p, kept ? x.value() : Tensor(), kept ? y : Tensor()};
  return record(op, y, {{x, [s](const auto& g) { return to_pixels(s, g); }}});
}

/// What the gradients of an instance normalisation share.
struct Norm {
  InstanceStats stats;
  double eps;
  Memo sums;  // of gs = dL/d((x - mean) rstd w + b)
};

Tensor norm_grad_x(const Norm& norm, const Tensor& gs, const Tensor& x, const Tensor& w) {
  return instance_norm_grad_x(gs, x, norm.stats, w, norm.sums(gs));
}
Tensor norm_grad_w(const Norm& norm, const Tensor& gs, const Tensor& /*x*/, const Shape& shape) {
  return sum_to(norm.sums(gs).narrow(0, 1, 1), shape);
}
Tensor norm_grad_b(const Norm& norm, const Tensor& gs, const Shape& shape) {
  return sum_to(norm.sums(gs).narrow(0, 0, 1), shape);
}

// The same as operations.
const std::vector<int> pixels{1, 2};

Variable rstd_of(const Variable& centred, double eps) {
  return pow(mean(square(centred), pixels, true) + eps, -0.5);
}
Variable centred(const Variable& x) { return x - mean(x, pixels, true); }

Variable norm_grad_x(const Norm& norm, const Variable& gs, const Variable& x, const Variable& w) {
  const Variable d = centred(x), rstd = rstd_of(d, norm.eps), unit = d * rstd;
  return w * rstd * (centred(gs) - unit * mean(gs * unit, pixels, true));
}
Variable norm_grad_w(const Norm& norm, const Variable& gs, const Variable& x, const Shape& shape) {
  const Variable d = centred(x);
  return sum_to(sum(gs * d * rstd_of(d, norm.eps), pixels), shape);
}
Variable norm_grad_b(const Norm&, const Variable& gs, const Shape& shape) {
  return sum_to(sum(gs, pixels), shape);
}

// With a w of each image, [N, 1, 1, C].
Tensor adaptive_grad_x(const Norm& norm, const Tensor& g, const Tensor& x, const Tensor& w) {
  const Tensor one = Tensor::full({w.size(3)}, 1.0, w.dtype(), w.device());
  const Tensor sums = mul(norm.sums(g), w.reshape({w.size(0), w.size(3)}));
  return instance_norm_grad_x(mul(g, w), x, norm.stats, one, sums);
}
Variable adaptive_grad_x(const Norm& norm, const Variable& g, const Variable& x, const Variable& w) {
  return norm_grad_x(norm, g, x, w);
}

/// A normalisation of no pixels, whose statistics are no numbers: nothing, and gradients of 0.
Variable without_pixels(const Variable& x, const Variable& w, const Variable& b) {
  return cast(cast(x, w.dtype()) * w + b, x.dtype());
}

Norm make_norm(const InstanceStats& stats, double eps, const Tensor& x) {
  return {stats, eps, Memo([stats, x](const Tensor& g) { return instance_norm_sums(g, x, stats); })};
}

}  // namespace

Variable max_pool2d(const Variable& x, const PoolOptions& options) {
  return pool2d("max_pool2d", pooling(PoolOp::max, x.shape(), options), x);
}

Variable avg_pool2d(const Variable& x, const PoolOptions& options) {
  return pool2d("avg_pool2d", pooling(PoolOp::mean, x.shape(), options), x);
}

Variable upsample(const Variable& x, Pair factor) {
  ENSURE(x.ndim() == 4 && factor.h >= 1 && factor.w >= 1, "upsample: image {} (N,H,W,C), factor {}",
         x.shape().str(), factor.str());
  const std::int64_t n = x.size(0), h = x.size(1), w = x.size(2), c = x.size(3);
  return reshape(expand(reshape(x, {n, h, 1, w, 1, c}), {n, h, factor.h, w, factor.w, c}),
                 {n, h * factor.h, w * factor.w, c});
}

Variable instance_norm(const Variable& x, const Variable& w, const Variable& b, double eps,
                       const Unary& activation) {
  const InstanceStats stats = instance_norm_stats(x.value(), eps);
  const Tensor y = instance_norm(x.value(), stats, w.value(), b.value(), activation);
  if (y.numel() == 0) return without_pixels(x, w, b);
  const BeforeActivation gs(activation, y);
  const Norm norm = make_norm(stats, eps, x.value());
  const Shape shape = w.shape();
  return record(
      "instance_norm", y,
      {{x, gs.then([norm, x = Saved(x), w = Saved(w)](const auto& g) {
          return norm_grad_x(norm, g, x(g), w(g));
        })},
       {w, gs.then([norm, shape, x = Saved(x)](const auto& g) { return norm_grad_w(norm, g, x(g), shape); })},
       {b, gs.then([norm, shape](const auto& g) { return norm_grad_b(norm, g, shape); })}});
}

// y = u w + b, u = (x - mean) rstd: gw = sum g u and gb = sum g over the pixels, gx = that of u from g w
Variable adaptive_instance_norm(const Variable& x, const Variable& w, const Variable& b, double eps) {
  ENSURE(x.ndim() == 4 && w.shape() == Shape({x.size(0), x.size(3)}) && b.shape() == w.shape(),
         "adaptive_instance_norm: image {} (N,H,W,C), w {} and b {}, expected [N, C]", x.shape().str(),
         w.shape().str(), b.shape().str());
  const InstanceStats stats = instance_norm_stats(x.value(), eps);
  const Shape of_image{x.size(0), 1, 1, x.size(3)};
  const Tensor slope = mul(stats.rstd, w.value());
  const Tensor level = sub(b.value(), mul(stats.mean, slope));
  const Tensor y = add(mul(x.value(), slope.reshape(of_image)), level.reshape(of_image));
  if (y.numel() == 0) return without_pixels(x, reshape(w, of_image), reshape(b, of_image));
  const Norm norm = make_norm(stats, eps, x.value());
  const Shape shape = w.shape();
  return record(
      "adaptive_instance_norm", y,
      {{x, [norm, of_image, x = Saved(x),
            w = Saved(w)](const auto& g) { return adaptive_grad_x(norm, g, x(g), reshape(w(g), of_image)); }},
       {w, [norm, shape, x = Saved(x)](const auto& g) { return norm_grad_w(norm, g, x(g), shape); }},
       {b, [norm, shape](const auto& g) { return norm_grad_b(norm, g, shape); }}});
}

Variable batch_norm(const Variable& x, const Variable& w, const Variable& b, double eps,
                    const Unary& activation) {
  const std::int64_t channels = x.size(-1);
  ENSURE(channels > 0, "batch_norm: x is {}, without channels", x.shape().str());
  const Variable one_image = reshape(x, {1, x.numel() / channels, 1, channels});
  return reshape(instance_norm(one_image, w, b, eps, activation), x.shape());
}

Variable layer_norm(const Variable& x, const Variable& w, const Variable& b, double eps) {
  const std::int64_t size = x.size(-1);
  ENSURE(size > 0, "layer_norm: x is {}, without elements in a row", x.shape().str());
  const auto constant = [&](double value) { return Tensor::full({1}, value, x.dtype(), x.device()); };
  const Variable rows = reshape(x, {x.numel() / size, size, 1, 1});
  return reshape(instance_norm(rows, constant(1.0), constant(0.0), eps), x.shape()) * w + b;
}

Variable dropout(const Variable& x, double p, Generator& random) {
  ENSURE(p >= 0.0 && p < 1.0, "dropout: probability {}, expected one of [0, 1)", p);
  return x * (greater(random.uniform(x.shape(), x.dtype()), p) / (1.0 - p));
}

Variable embedding(const Tensor& index, const Variable& weight) {
  ENSURE(weight.ndim() == 2, "embedding: weight is {}, expected [V, D]", weight.shape().str());
  Shape shape = index.shape();
  shape.push_back(weight.size(1));
  const Tensor rows = one_hot(index.reshape({index.numel()}), weight.size(0), "embedding");
  return reshape(matmul(rows, weight), shape);
}

}  // namespace damc
