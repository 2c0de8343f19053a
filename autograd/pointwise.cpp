/// Pointwise operations on variables, and derivatives as operations.
#include "autograd/ops.h"

#include "tensor/error.h"

namespace damc {
namespace {

/// g f'(x) of a function whose slope is constant where it has one: linear in g, and that is all.
Variable selected(const Unary& f, const Variable& g, const Tensor& x, const Tensor& y) {
  return record(name(f), unary_vjp(f, g.value(), x, y),
                {{g, [f, x, y](const auto& h) { return unary_vjp(f, h, x, y); }}});
}

/// 1 where a > b or one of them is NaN, 1/2 where they are equal, else 0.
Tensor share(const Tensor& a, const Tensor& b) { return 1.0 - (gt(b, a) + 0.5 * eq(a, b)); }

/// The part of g that goes to an operand which the mask selects in part, summed to its shape.
Vjp to_selected(const Tensor& part, const Shape& shape) {
  return [part, shape](const auto& g) { return sum_to(masked(mul(g, part), part), shape); };
}

}  // namespace

Variable unary(const Unary& f, const Variable& x) {
  const Tensor y = unary(f, x.value());
  if (f.op == UnaryOp::greater) return y;  // a step has no gradient
  if (f.op == UnaryOp::leaky_relu &&
      f.p0 >= 0.0) {  // the value's sign is the input's, which need not be kept
    return record(name(f), y, {{x, Vjp::of_result(y, [f](const auto& g, const auto& result) {
                                  return unary_vjp(f, g, result, result);
                                })}});
  }
  return record(name(f), y, {{x, Vjp::of_result(y, [f, x = Saved(x)](const auto& g, const auto& result) {
                                return unary_vjp(f, g, x(g), result);
                              })}});
}

// What functors.h states for the kernels as df, here as operations, so that it has derivatives, too.
Variable unary_vjp(const Unary& f, const Variable& g, const Variable& x, const Variable& y) {
  constexpr double normal = 0.3989422804014327, root_half = 0.7071067811865476;  // 1/sqrt(2 pi), 1/sqrt(2)
  switch (f.op) {
    case UnaryOp::identity:
      return g;
    case UnaryOp::affine:
      return g * f.p0;
    case UnaryOp::exp:
      return g * y;
    case UnaryOp::log:
      return g / x;
    case UnaryOp::sqrt:
      return 0.5 * g / y;
    case UnaryOp::square:
      return 2.0 * g * x;
    case UnaryOp::reciprocal:
      return -g * square(y);
    case UnaryOp::sin:
      return g * cos(x);
    case UnaryOp::cos:
      return -g * sin(x);
    case UnaryOp::atan:
      return g / (1.0 + square(x));
    case UnaryOp::erf:
      return 4.0 * normal * root_half * g * exp(-square(x));
    case UnaryOp::tanh:
      return g * (1.0 - square(y));
    case UnaryOp::sigmoid:
      return g * y * (1.0 - y);
    case UnaryOp::softplus:
      return g * sigmoid(x);
    case UnaryOp::silu:
      return g * sigmoid(x) * (1.0 + x * (1.0 - sigmoid(x)));
    case UnaryOp::gelu:
      return g * (0.5 * (1.0 + erf(root_half * x)) + normal * x * exp(-0.5 * square(x)));
    case UnaryOp::pow:
      if (f.p0 == 0.0) return masked(x, Tensor::zeros({}, x.dtype(), x.device()));  // 0 / 0 at 0 otherwise
      return f.p0 * g * pow(x, f.p0 - 1.0);
    case UnaryOp::abs:
    case UnaryOp::leaky_relu:
    case UnaryOp::clamp:
    case UnaryOp::greater:
      return selected(f, g, x.value(), y.value());
  }
  throw Error(fmt::format("{}: no derivative", name(f)));
}

Variable cast(const Variable& x, Dtype dtype) {
  if (x.dtype() == dtype) return x;
  return record("cast", x.value().to(dtype), {{x, [t = x.dtype()](const auto& g) { return cast(g, t); }}});
}

Variable add(const Variable& a, const Variable& b) {
  return record("add", add(a.value(), b.value()),
                {{a, [s = a.shape()](const auto& g) { return sum_to(g, s); }},
                 {b, [s = b.shape()](const auto& g) { return sum_to(g, s); }}});
}

Variable sub(const Variable& a, const Variable& b) {
  return record("sub", sub(a.value(), b.value()),
                {{a, [s = a.shape()](const auto& g) { return sum_to(g, s); }},
                 {b, [s = b.shape()](const auto& g) { return mul(sum_to(g, s), -1.0); }}});
}

Variable mul(const Variable& a, const Variable& b) {
  return record("mul", mul(a.value(), b.value()),
                {{a, [b = Saved(b), s = a.shape()](const auto& g) { return sum_to(mul(g, b(g)), s); }},
                 {b, [a = Saved(a), s = b.shape()](const auto& g) { return sum_to(mul(g, a(g)), s); }}});
}

Variable div(const Variable& a, const Variable& b) {
  const Tensor y = div(a.value(), b.value());
  return record("div", y,
                {{a, [b = Saved(b), s = a.shape()](const auto& g) { return sum_to(div(g, b(g)), s); }},
                 {b, Vjp::of_result(y, [b = Saved(b), s = b.shape()](const auto& g, const auto& ratio) {
                    return mul(sum_to(mul(g, div(ratio, b(g))), s), -1.0);
                  })}});
}

Variable maximum(const Variable& a, const Variable& b) {
  return record("maximum", maximum(a.value(), b.value()),
                {{a, to_selected(share(a.value(), b.value()), a.shape())},
                 {b, to_selected(share(b.value(), a.value()), b.shape())}});
}

Variable minimum(const Variable& a, const Variable& b) {
  return record("minimum", minimum(a.value(), b.value()),
                {{a, to_selected(share(b.value(), a.value()), a.shape())},
                 {b, to_selected(share(a.value(), b.value()), b.shape())}});
}

Variable masked(const Variable& x, const Tensor& mask) {
  return record("masked", masked(x.value(), mask),
                {{x, [mask, s = x.shape()](const auto& g) { return sum_to(masked(g, mask), s); }}});
}

Variable where(const Tensor& condition, const Variable& a, const Variable& b) {
  const Tensor zero = Tensor::zeros({}, condition.dtype(), condition.device());
  return masked(a, condition) + masked(b, eq(condition, zero));
}

}  // namespace damc
