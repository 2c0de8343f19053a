#include "tensor/ops.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tensor/backend.h"
#include "tensor/error.h"
#include "tensor/kernels/tensor_list.h"
#include "tensor/step.h"

namespace damc {
namespace {

void check_devices(const char* op, const Tensor& a, const Tensor& b) {
  ENSURE(a.defined() && b.defined(), "{}: undefined tensor", op);
  ENSURE(a.device() == b.device(), "{}: one tensor on {}, one on {}", op, a.device().str(), b.device().str());
}

void check_pair(const char* op, const Tensor& a, const Tensor& b) {
  check_devices(op, a, b);
  ENSURE(a.dtype() == b.dtype() && a.dtype() != Dtype::i64, "{}: types {} and {}", op, name(a.dtype()),
         name(b.dtype()));
}

/// The same for operations that have no kernel for bf16.
void check_wide_pair(const char* op, const Tensor& a, const Tensor& b) {
  check_pair(op, a, b);
  ENSURE(a.dtype() != Dtype::bf16, "{}: not for bf16; cast to f32", op);
}

/// An image and the parameters that it meets: f32 for a bf16 image, otherwise of the image's type.
void check_parameter(const char* op, const Tensor& x, const Tensor& parameter) {
  check_devices(op, x, parameter);
  ENSURE(parameter.dtype() == computed(x.dtype()) && x.dtype() != Dtype::i64,
         "{}: types {} and {}; a filter or bias is {} there", op, name(x.dtype()), name(parameter.dtype()),
         name(computed(x.dtype())));
}

Tensor like(const Tensor& t, const Shape& shape) { return Tensor::empty(shape, t.dtype(), t.device()); }

/// What is fused into a product with `channels` columns.
void check_fused(const char* op, const Tensor& x, const Tensor& bias, std::int64_t channels,
                 const Unary& activation) {
  ENSURE(fuses(activation), "{}: {} cannot be fused into a product", op, name(activation.op));
  if (!bias.defined()) return;
  check_parameter(op, x, bias);
  ENSURE(bias.shape() == Shape{channels}, "{}: bias {} for {} channels", op, bias.shape().str(), channels);
}

/// x as contiguous [outer, reduced, inner] around dimensions [first, last).
Tensor around(const Tensor& x, int first, int last) {
  Shape grouped{1, 1, 1};
  for (int d = 0; d < x.ndim(); ++d) grouped[d < first ? 0 : d < last ? 1 : 2] *= x.shape()[d];
  return x.reshape(grouped);
}

/// x as an image [outer, size of `dim`, 1, inner] for each outer index.
Tensor columns_of(const Tensor& x, int dim) {
  const Tensor grouped = around(x, dim, dim + 1);
  return grouped.reshape({grouped.size(0), grouped.size(1), 1, grouped.size(2)});
}

/// Sums dimensions [first, last) of x into a tensor of `shape`.
Tensor sum_range(const Tensor& x, int first, int last, const Shape& shape) {
  ENSURE(x.defined(), "sum: undefined tensor");
  ENSURE(x.dtype() != Dtype::i64, "sum: not for i64");
  const Tensor grouped = around(x, first, last);
  const Tensor out = Tensor::empty(shape, computed(x.dtype()), x.device());
  backend(x.device()).sum(grouped, out);
  return out;
}

/// A matrix operand BLAS can read: unit stride in one of the last two dimensions.
Tensor blas_operand(const Tensor& t) {
  const int row = t.ndim() - 2, col = t.ndim() - 1;
  const bool rows_ok = t.strides()[col] == 1 && t.strides()[row] >= t.shape()[col];
  const bool columns_ok = t.strides()[row] == 1 && t.strides()[col] >= t.shape()[row];
  return rows_ok || columns_ok ? t : t.clone();
}

/// Images [N, H, W, C] as [N, pixels, C].
Tensor pixels_of(const Tensor& t) { return t.reshape({t.size(0), t.size(1) * t.size(2), t.size(3)}); }

/// The input gradient of a convolution with geometry s, under the name `op`; the transposed convolution is one.
Tensor spread(const char* op, const ConvGeometry& s, const Tensor& g, const Tensor& filter,
              const Tensor& bias, const ProductOptions& options) {
  check_parameter(op, g, filter);
  ENSURE(g.shape() == s.out_shape() && filter.shape() == s.filter_shape(),
         "{}: input {}, filter {}, expected {}, {}", op, g.shape().str(), filter.shape().str(),
         s.out_shape().str(), s.filter_shape().str());
  check_fused(op, g, bias, s.in_c, options.activation);
  const Tensor out = like(g, s.in_shape());
  backend(g.device()).conv2d_grad_x(s, g.contiguous(), filter.contiguous(), bias.contiguous(), options, out);
  return out;
}

/// Whether a type tells 0, 1, .. n - 1 apart.
void check_counts(const char* op, std::int64_t n, Dtype dtype) {
  const int digits = dtype == Dtype::f64 ? 53 : dtype == Dtype::f32 ? 24 : 8;
  ENSURE(n <= (std::int64_t{1} << digits) + 1, "{}: {} numbers in {}, which holds whole ones up to {}", op, n,
         name(dtype), std::int64_t{1} << digits);
}

void check_indices(const char* op, const std::vector<double>& indices, std::int64_t classes) {
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const double at = indices[i];
    ENSURE(at >= 0.0 && at < static_cast<double>(classes) && at == std::floor(at),
           "{}: index {} of element {}, expected a whole number from 0 to {}", op, at, i, classes - 1);
  }
}

}  // namespace

const char* name(const Unary& f) { return f.op == UnaryOp::leaky_relu && f.p0 == 0.0 ? "relu" : name(f.op); }

void check_wide(const char* op, const Tensor& x) {
  ENSURE(x.defined(), "{}: undefined tensor", op);
  ENSURE(x.dtype() != Dtype::i64, "{}: not for i64", op);
  ENSURE(x.dtype() != Dtype::bf16, "{}: not for bf16; cast to f32", op);
}

Tensor unary(const Unary& f, const Tensor& x) {
  check_wide(name(f), x);
  const Tensor out = like(x, x.shape());
  backend(x.device()).unary(f, x, out);
  return out;
}

Tensor unary_vjp(const Unary& f, const Tensor& g, const Tensor& x, const Tensor& y) {
  check_pair("unary_vjp", g, x);
  check_pair("unary_vjp", g, y);
  ENSURE(g.shape() == x.shape() && g.shape() == y.shape(), "unary_vjp: shapes {}, {}, {}", g.shape().str(),
         x.shape().str(), y.shape().str());
  const Tensor out = like(x, x.shape());
  backend(x.device()).unary_vjp(f, g, x.contiguous(), y.contiguous(), out);
  return out;
}

Tensor binary(BinaryOp f, const Tensor& a, const Tensor& b) {
  check_wide_pair(name(f), a, b);
  const Shape shape = broadcast_shapes(name(f), a.shape(), b.shape());
  const Tensor out = like(a, shape);
  backend(a.device()).binary(f, a.expand(shape), b.expand(shape), out);
  return out;
}

Tensor sum(const Tensor& x) { return sum_range(x, 0, x.ndim(), {}); }

Tensor sum(const Tensor& x, const std::vector<int>& dims, bool keepdim) {
  const Shape kept = reduced_shape("sum", x.shape(), dims, true);
  const Shape shape = keepdim ? kept : reduced_shape("sum", x.shape(), dims, false);
  return kept == x.shape() ? cast(x, computed(x.dtype())).reshape(shape) : sum_to(x, kept).reshape(shape);
}

Tensor sum(const Tensor& x, int along, bool keepdim) {
  const int dim = wrap_dim("sum", along, x.shape());
  return sum_range(x, dim, dim + 1, reduced_shape("sum", x.shape(), {dim}, keepdim));
}

Tensor sum_squares(const Tensor& x) { return sum_squares(std::vector<Tensor>{x}); }

Tensor sum_squares(const std::vector<Tensor>& xs) {
  ENSURE(!xs.empty(), "sum_squares: no tensors");
  std::vector<Tensor> parts;
  for (const Tensor& x : xs) {
    check_wide_pair("sum_squares", xs[0], x);
    parts.push_back(x.contiguous());
  }
  Tensor total;
  for (std::size_t first = 0; first < parts.size(); first += kMostTensors) {
    const auto count = std::min<std::size_t>(kMostTensors, parts.size() - first);
    const Tensor out = like(xs[0], {});
    backend(out.device()).sum_squares(std::span(parts).subspan(first, count), out);
    total = first > 0 ? add(total, out) : out;
  }
  return total;
}

Tensor sum_to(const Tensor& x, const Shape& shape) {
  const int extra = x.ndim() - shape.ndim();
  ENSURE(extra >= 0, "sum_to: {} to {}", x.shape().str(), shape.str());
  const auto kept = [&](int d) { return d >= extra && shape[d - extra] == x.shape()[d]; };
  for (int d = extra; d < x.ndim(); ++d) {
    ENSURE(kept(d) || shape[d - extra] == 1, "sum_to: {} to {}", x.shape().str(), shape.str());
  }
  Tensor out = x;
  // One pass per run of adjacent summed dimensions, from the last to the first; sizes of 1 stay until the
  // end.
  for (int last = x.ndim(); last > 0;) {
    if (kept(last - 1)) {
      --last;
      continue;
    }
    int first = last;
    Shape reduced = out.shape();
    for (; first > 0 && !kept(first - 1); --first) reduced[first - 1] = 1;
    out = sum_range(out, first, last, reduced);
    last = first;
  }
  return out.reshape(shape);
}

Shape reduced_shape(const char* op, const Shape& x, const std::vector<int>& dims, bool keepdim) {
  std::vector<bool> reduced(static_cast<std::size_t>(x.ndim()), false);
  for (const int dim : dims) reduced[static_cast<std::size_t>(wrap_dim(op, dim, x))] = true;
  Shape shape;
  for (int d = 0; d < x.ndim(); ++d) {
    if (!reduced[static_cast<std::size_t>(d)]) {
      shape.push_back(x[d]);
    } else if (keepdim) {
      shape.push_back(1);
    }
  }
  return shape;
}

int filled_dim(const char* op, int dim, const Shape& x) {
  const int d = wrap_dim(op, dim, x);
  ENSURE(x[d] > 0, "{}: dimension {} of shape {} has no elements", op, dim, x.str());
  return d;
}

Tensor pad(const Tensor& x, int along, std::int64_t start, std::int64_t size) {
  const int dim = wrap_dim("pad", along, x.shape());
  ENSURE(start >= 0 && size >= x.size(dim) && start <= size - x.size(dim),
         "pad: dimension {} of shape {} from {} on of {} elements", along, x.shape().str(), start, size);
  Shape shape = x.shape();
  shape[dim] = size;
  const Tensor out = Tensor::zeros(shape, x.dtype(), x.device());
  out.narrow(dim, start, x.size(dim)).copy_from(x);
  return out;
}

Tensor max(const Tensor& x, int along, bool keepdim) {
  check_wide("max", x);
  const int dim = filled_dim("max", along, x.shape());
  const Tensor columns = columns_of(x, dim);
  const Tensor y = max_pool2d(columns, {.kernel = {columns.size(1), 1}});
  return y.reshape(reduced_shape("max", x.shape(), {dim}, keepdim));
}

Tensor argmax(const Tensor& x, int along, bool keepdim) {
  check_wide("argmax", x);
  const int dim = filled_dim("argmax", along, x.shape());
  check_counts("argmax", x.size(dim), x.dtype());
  const Tensor columns = columns_of(x, dim);
  const Pooling p = pooling(PoolOp::max, columns.shape(), {.kernel = {columns.size(1), 1}});
  forbid_in_step("argmax's copy of whole numbers from the host");
  const Tensor index = arange(columns.size(1), x.dtype(), x.device()).reshape({-1, 1, 1});
  return pool2d_select(p, columns, index.expand(columns.shape()))
      .reshape(reduced_shape("argmax", x.shape(), {dim}, keepdim));
}

Tensor arange(std::int64_t n, Dtype dtype, Device device) {
  ENSURE(n >= 0 && dtype != Dtype::i64, "arange: {} numbers of {}", n, name(dtype));
  check_counts("arange", n, dtype);
  std::vector<double> numbers(static_cast<std::size_t>(n));
  std::iota(numbers.begin(), numbers.end(), 0.0);
  return Tensor::from(numbers, {n}, device).to(dtype);
}

Tensor one_hot(const Tensor& index, std::int64_t classes, const char* op) {
  check_wide(op, index);
  check_counts(op, classes, index.dtype());
  forbid_in_step(fmt::format("{}'s copy of whole numbers from the host (make one_hot rows before)", op));
  Shape column = index.shape();
  column.push_back(1);
  const Tensor hot = eq(index.reshape(column), arange(classes, index.dtype(), index.device()));
  const bool on_host = index.device().type == DeviceType::cpu;
  if (on_host) check_indices(op, index.to_vector<double>(), classes);
  return on_host ? hot : div(hot, sum(hot, -1, true));  // of no class: 0 / 0
}

Tensor softmax(const Tensor& x, int along) {
  check_wide("softmax", x);
  const int dim = wrap_dim("softmax", along, x.shape());
  if (x.size(dim) == 0) return like(x, x.shape());
  const Tensor y = exp(sub(x, max(x, dim, true)));  // no exponential overflows
  return div(y, sum(y, dim, true));
}

Tensor log_softmax(const Tensor& x, int along) {
  check_wide("log_softmax", x);
  const int dim = wrap_dim("log_softmax", along, x.shape());
  if (x.size(dim) == 0) return like(x, x.shape());
  const Tensor moved = sub(x, max(x, dim, true));
  return sub(moved, log(sum(exp(moved), dim, true)));
}

Tensor cat(const std::vector<Tensor>& parts, int along) {
  ENSURE(!parts.empty(), "cat: no tensors");
  Shape shape = parts[0].shape();
  const int dim = wrap_dim("cat", along, shape);
  shape[dim] = 0;
  for (const Tensor& part : parts) {
    check_pair("cat", parts[0], part);
    Shape with = part.shape();
    ENSURE(with.ndim() == shape.ndim(), "cat: shapes {} and {}", parts[0].shape().str(), part.shape().str());
    const std::int64_t size = std::exchange(with[dim], shape[dim]);
    ENSURE(with == shape, "cat: shapes {} and {} along {}", parts[0].shape().str(), part.shape().str(), dim);
    shape[dim] += size;
  }
  const Tensor out = like(parts[0], shape);
  std::int64_t start = 0;
  for (const Tensor& part : parts) {
    out.narrow(dim, start, part.size(dim)).copy_from(part);
    start += part.size(dim);
  }
  return out;
}

Tensor matmul(const Tensor& a, const Tensor& b, MatmulPrecision precision) {
  check_wide_pair("matmul", a, b);
  ENSURE(a.ndim() == b.ndim() && (a.ndim() == 2 || a.ndim() == 3) && a.size(-1) == b.size(-2) &&
             (a.ndim() == 2 || a.size(0) == b.size(0)),
         "matmul: a is {}, b is {}", a.shape().str(), b.shape().str());
  Shape shape = a.shape();
  shape[shape.ndim() - 1] = b.size(-1);
  const Tensor out = like(a, shape);
  if (a.size(-1) == 0) {
    out.fill(0.0);
  } else if (out.numel() > 0) {
    backend(a.device()).gemm(blas_operand(a), blas_operand(b), {}, {{}, precision}, out);
  }
  return out;
}

Tensor linear(const Tensor& x, const Tensor& w, const Tensor& bias, const ProductOptions& options) {
  check_wide_pair("linear", x, w);
  ENSURE(x.ndim() == 2 && w.ndim() == 2 && x.size(1) == w.size(1), "linear: input is {}, weight is {}",
         x.shape().str(), w.shape().str());
  check_fused("linear", x, bias, w.size(0), options.activation);
  const Tensor out = like(x, {x.size(0), w.size(0)});
  if (out.numel() > 0) {
    backend(x.device())
        .gemm(blas_operand(x), blas_operand(w).transpose(0, 1), bias.contiguous(), options, out);
  }
  return out;
}

Tensor fourier_features(const Tensor& z, const Tensor& projection, MatmulPrecision precision) {
  check_wide_pair("fourier_features", z, projection);
  ENSURE(z.ndim() == 2 && projection.ndim() == 2 && z.size(1) == projection.size(0),
         "fourier_features: z is {}, projection is {}", z.shape().str(), projection.shape().str());
  const Tensor t = matmul(z, projection, precision);
  const Tensor out = like(z, {z.size(0), 2 * t.size(1) + z.size(1)});
  backend(z.device()).fourier_features(t, z.contiguous(), out);
  return out;
}

Tensor fourier_features_vjp(const Tensor& g, const Tensor& y, std::int64_t n) {
  check_wide_pair("fourier_features_vjp", g, y);
  ENSURE(g.ndim() == 2 && g.shape() == y.shape() && n >= 0 && 2 * n <= g.size(1),
         "fourier_features_vjp: g is {}, y is {}, n is {}", g.shape().str(), y.shape().str(), n);
  const Tensor out = like(g, {g.size(0), n});
  backend(g.device()).fourier_features_vjp(g.contiguous(), y.contiguous(), out);
  return out;
}

void gated_linear_out(const Tensor& out, const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& c,
                      const ProductOptions& options) {
  for (const Tensor* operand : {&out, &w, &b, &c}) check_wide_pair("gated_linear_out", x, *operand);
  ENSURE(x.ndim() == 2 && w.ndim() == 2, "gated_linear_out: input is {}, weight is {}", x.shape().str(),
         w.shape().str());
  const Shape each{x.size(0), w.size(0)}, same{1, w.size(0)}, weight{2 * b.numel(), x.size(-1)};
  ENSURE(b.ndim() == 1 && w.shape() == weight && (c.shape() == each || c.shape() == same) &&
             out.ndim() == 2 && out.size(0) == x.size(0) && out.size(1) == b.size(0) &&
             (out.strides()[1] == 1 || out.size(1) == 1),
         "gated_linear_out: out is {}, input {}, weight {}, bias {}, context {}", out.shape().str(),
         x.shape().str(), w.shape().str(), b.shape().str(), c.shape().str());
  check_fused("gated_linear_out", x, b, b.size(0), options.activation);
  if (out.numel() == 0) return;
  Backend& on = backend(x.device());
  const Tensor x1 = blas_operand(x), w1 = blas_operand(w), b1 = b.contiguous(), c1 = c.contiguous();
  if (on.gated_linear(x1, w1, b1, c1, options, out)) return;
  on.gated_sum(linear(x1, w1, {}, {{}, options.precision}), b1, c1, options.activation, out);
}

InstanceStats instance_norm_stats(const Tensor& x, double eps) {
  ENSURE(x.defined() && x.ndim() == 4, "instance_norm: image {} (N,H,W,C)", x.shape().str());
  const Shape channels{x.size(0), x.size(3)};
  const InstanceStats stats{Tensor::empty(channels, computed(x.dtype()), x.device()),
                            Tensor::empty(channels, computed(x.dtype()), x.device())};
  backend(x.device()).instance_norm_stats(pixels_of(x), eps, stats.mean, stats.rstd);
  return stats;
}

Tensor instance_norm(const Tensor& x, const InstanceStats& stats, const Tensor& w, const Tensor& b,
                     const Unary& activation) {
  ENSURE(fuses(activation), "instance_norm: {} cannot be fused into it", name(activation.op));
  for (const Tensor* parameter : {&w, &b}) {
    check_parameter("instance_norm", x, *parameter);
    ENSURE(parameter->shape() == Shape{x.size(3)}, "instance_norm: image {} (N,H,W,C), a parameter {}",
           x.shape().str(), parameter->shape().str());
  }
  const Tensor out = like(x, x.shape());
  backend(x.device())
      .instance_norm(pixels_of(x), stats.mean, stats.rstd, w.contiguous(), b.contiguous(), activation,
                     pixels_of(out));
  return out;
}

Tensor instance_norm_sums(const Tensor& g, const Tensor& x, const InstanceStats& stats) {
  check_pair("instance_norm_sums", g, x);
  ENSURE(g.shape() == x.shape(), "instance_norm_sums: gradient {}, image {}", g.shape().str(),
         x.shape().str());
  const Tensor out =
      Tensor::empty({2, stats.mean.size(0), stats.mean.size(1)}, stats.mean.dtype(), stats.mean.device());
  backend(g.device())
      .instance_norm_sums(pixels_of(g), pixels_of(x), stats.mean, stats.rstd, out.narrow(0, 0, 1),
                          out.narrow(0, 1, 1));
  return out;
}

Tensor instance_norm_grad_x(const Tensor& g, const Tensor& x, const InstanceStats& stats, const Tensor& w,
                            const Tensor& sums) {
  check_pair("instance_norm_grad_x", g, x);
  ENSURE(g.shape() == x.shape(), "instance_norm_grad_x: gradient {}, image {}", g.shape().str(),
         x.shape().str());
  const Tensor out = like(g, g.shape());
  backend(g.device())
      .instance_norm_grad_x(pixels_of(g), pixels_of(x), stats.mean, stats.rstd, w.contiguous(),
                            sums.narrow(0, 0, 1), sums.narrow(0, 1, 1), pixels_of(out));
  return out;
}

Tensor pool2d(const Pooling& p, const Tensor& x) {
  check_wide(p.op == PoolOp::max ? "max_pool2d" : "avg_pool2d", x);
  ENSURE(x.shape() == p.windows.in_shape(), "pool2d: image {}, expected {}", x.shape().str(),
         p.windows.in_shape().str());
  const Tensor out = like(x, p.windows.out_shape());
  backend(x.device()).pool2d(p, x.contiguous(), out);
  return out;
}

Tensor pool2d_grad_x(const Pooling& p, const Tensor& g, const Tensor& x, const Tensor& y) {
  const bool max = p.op == PoolOp::max;
  check_wide_pair("pool2d_grad_x", g, max ? x : g);
  check_wide_pair("pool2d_grad_x", g, max ? y : g);
  ENSURE(g.shape() == p.windows.out_shape() && (!max || y.shape() == g.shape()) &&
             (!max || x.shape() == p.windows.in_shape()),
         "pool2d_grad_x: gradient {}, image {}, result {}, expected {}, {}", g.shape().str(), x.shape().str(),
         y.shape().str(), p.windows.out_shape().str(), p.windows.in_shape().str());
  const Tensor out = like(g, p.windows.in_shape());
  backend(g.device())
      .pool2d_grad_x(p, g.contiguous(), max ? x.contiguous() : Tensor(), max ? y.contiguous() : Tensor(),
                     out);
  return out;
}

Tensor pool2d_select(const Pooling& p, const Tensor& x, const Tensor& from) {
  check_wide_pair("pool2d_select", x, from);
  ENSURE(p.op == PoolOp::max && x.shape() == p.windows.in_shape() && from.shape() == x.shape(),
         "pool2d_select: images {} and {}, expected {} of a maximum", x.shape().str(), from.shape().str(),
         p.windows.in_shape().str());
  const Tensor out = like(x, p.windows.out_shape());
  backend(x.device()).pool2d_select(p, x.contiguous(), from.contiguous(), out);
  return out;
}

Tensor conv2d(const Tensor& x, const Tensor& filter, const Tensor& bias, const ConvOptions& options,
              const ProductOptions& product) {
  return conv2d_forward(conv_geometry(x.shape(), filter.shape(), options), x, filter, bias, product);
}

Tensor conv_transpose2d(const Tensor& x, const Tensor& filter, const Tensor& bias, const ConvOptions& options,
                        const ProductOptions& product) {
  return spread("conv_transpose2d", conv_transpose_geometry(x.shape(), filter.shape(), options), x, filter,
                bias, product);
}

Tensor conv2d_forward(const ConvGeometry& s, const Tensor& x, const Tensor& filter, const Tensor& bias,
                      const ProductOptions& options) {
  check_parameter("conv2d", x, filter);
  ENSURE(x.shape() == s.in_shape() && filter.shape() == s.filter_shape(),
         "conv2d: image {}, filter {}, expected {}, {}", x.shape().str(), filter.shape().str(),
         s.in_shape().str(), s.filter_shape().str());
  check_fused("conv2d", x, bias, s.out_c, options.activation);
  const Tensor out = like(x, s.out_shape());
  backend(x.device()).conv2d(s, x.contiguous(), filter.contiguous(), bias.contiguous(), options, out);
  return out;
}

Tensor conv2d_grad_x(const ConvGeometry& s, const Tensor& g, const Tensor& filter, const Tensor& bias,
                     const ProductOptions& options) {
  return spread("conv2d_grad_x", s, g, filter, bias, options);
}

Tensor conv2d_grad_w(const ConvGeometry& s, const Tensor& g, const Tensor& x, MatmulPrecision precision) {
  check_pair("conv2d_grad_w", g, x);
  ENSURE(g.shape() == s.out_shape() && x.shape() == s.in_shape(),
         "conv2d_grad_w: gradient {}, image {}, expected {}, {}", g.shape().str(), x.shape().str(),
         s.out_shape().str(), s.in_shape().str());
  const Tensor out = Tensor::empty(s.filter_shape(), computed(x.dtype()), x.device());
  backend(x.device()).conv2d_grad_w(s, g.contiguous(), x.contiguous(), precision, out);
  return out;
}

}  // namespace damc
